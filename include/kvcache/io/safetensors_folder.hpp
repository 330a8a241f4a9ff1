// The tensors of a Hugging Face folder: in one file, or in several with an index.
#pragma once

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

/// model.safetensors, or the files that model.safetensors.index.json names. Errors: neither is there; those of
/// Safetensors; a tensor that stands in two files.
inline TensorFiles open_safetensors(const std::filesystem::path& folder) {
  const std::filesystem::path single = folder / "model.safetensors", index = folder / "model.safetensors.index.json";
  const bool has_index = !std::filesystem::exists(single) && std::filesystem::exists(index);
  const auto files = std::make_shared<std::vector<Safetensors>>();
  if (has_index)
    for (const std::string& shard : detail::shards_of(index)) files->emplace_back(folder / shard);
  else
    files->emplace_back(single);
  TensorFiles all{has_index ? index.string() : single.string(), {}, files};
  for (const Safetensors& file : *files)
    for (const auto& [name, tensor] : file.tensors())
      check(all.tensors.emplace(name, tensor).second, all.path, ": tensor \"", name, "\" stands in two files");
  return all;
}

}  // namespace kvcache
