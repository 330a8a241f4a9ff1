// The tensors of a Hugging Face folder: in one file, or in several with an index.
#pragma once

#include <filesystem>

#include "kvcache/io/folder_files.hpp"
#include "kvcache/io/json_file.hpp"
#include "kvcache/io/read_weights.hpp"
#include "kvcache/io/safetensors.hpp"

namespace kvcache {

namespace detail {

/// The files that an index names, each once. A name is one of a file in the folder itself: the index may come from
/// anybody.
inline std::set<std::string> shards_of(const std::filesystem::path& index) {
  const std::string path = index.string();
  const nlohmann::json json = read_json(index);
  std::set<std::string> shards;
  const std::string where = path + ": 'weight_map'";
  for (const auto& [tensor, shard] : json_object(get_field(json, "weight_map", path), where).items()) {
    const auto name = json_as<std::string>(shard, where + ": '" + tensor + "'");
    check(!name.empty() && name.find('/') == std::string::npos && name != "..", where, ": '", name,
          "' is not the name of a file in this folder");
    shards.insert(name);
  }
  check(!shards.empty() && shards.size() <= 10'000, where, " names ", shards.size(),
        " files; 1 to 10,000 are possible");
  return shards;
}

}  // namespace detail

namespace detail {

/// The file or the index that holds a folder's weights: by its usual name, or whatever the only one is called.
inline std::filesystem::path weights_of(const std::filesystem::path& folder) {
  const auto there = [&](const char* file) {
    std::error_code ignored;
    return std::filesystem::exists(folder / file, ignored);
  };
  for (const char* usual : {"model.safetensors", "model.safetensors.index.json"})
    if (there(usual)) return folder / usual;
  for (const char* ending : {".safetensors.index.json", ".safetensors"}) {
    const auto found = files_of(folder, [&](const auto& path) { return path.string().ends_with(ending); });
    if (found.size() == 1) return found[0];
    check(found.empty(), folder.string(), ": has ", found.size(), " files that end in ", ending,
          ", and none is called model", ending, "; give the path of the one to use, or add an index");
  }
  for (const char* pickled : {"pytorch_model.bin", "pytorch_model.bin.index.json", "consolidated.00.pth"})
    check(!there(pickled), folder.string(), ": has no model.safetensors, and ", pickled,
          " cannot be read (a pickle is a program): take the safetensors of the same model, or convert them");
  return folder / "model.safetensors";
}

}  // namespace detail

/// The tensors of one file, or of the files that an index (a name that ends in .json) names. Errors: those of
/// Safetensors; a tensor that stands in two files.
inline TensorFiles open_safetensors_files(const std::filesystem::path& path) {
  const auto files = std::make_shared<std::vector<Safetensors>>();
  if (path.extension() == ".json")
    for (const std::string& shard : detail::shards_of(path)) files->emplace_back(path.parent_path() / shard);
  else
    files->emplace_back(path);
  TensorFiles all{path.string(), {}, files, {}};
  const auto once = [&](bool is_new, const std::string& name) {
    check(is_new, all.path, ": tensor \"", name, "\" stands in two files");
  };
  for (const Safetensors& file : *files) {
    for (const auto& [name, tensor] : file.tensors())
      once(!all.unread.contains(name) && all.tensors.emplace(name, tensor).second, name);
    for (const auto& [name, tensor] : file.unread())
      once(!all.tensors.contains(name) && all.unread.emplace(name, tensor).second, name);
  }
  return all;
}

/// Those of a folder: model.safetensors, or the files that model.safetensors.index.json names; or the only safetensors
/// file, or index, that is there. Errors: none, or several; those of open_safetensors_files.
inline TensorFiles open_safetensors(const std::filesystem::path& folder) {
  return open_safetensors_files(detail::weights_of(folder));
}

}  // namespace kvcache
