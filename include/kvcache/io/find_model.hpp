// Where a model is: a path as it stands, or the name of one that came with the library or was fetched.
#pragma once

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kvcache/core/check.hpp"
#include "kvcache/io/folder_files.hpp"

namespace kvcache {

/// Where scripts/fetch_model.sh puts models: $XDG_CACHE_HOME/kvcache, else ~/.cache/kvcache.
inline std::filesystem::path fetched_models_folder() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && *cache)
    return std::filesystem::path(cache) / "kvcache";
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home ? home : "") / ".cache/kvcache";
}

/// The folders in which a model may be found by its name: $KVCACHE_MODELS, those of an install and of a build tree as
/// seen from the running program, models/ in the working directory, and that of fetched models.
inline std::vector<std::filesystem::path> model_folders() {
  std::vector<std::filesystem::path> folders;
  if (const char* chosen = std::getenv("KVCACHE_MODELS")) folders.emplace_back(chosen);
  std::error_code ignored;  // where there is no /proc, the program's own place is not known
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  if (!program.empty()) {
    folders.push_back(program.parent_path() / "../share/kvcache/models");  // PREFIX/bin/kvcache
    folders.push_back(program.parent_path() / "../../../models");          // build/PRESET/bin/kvcache
  }
  folders.emplace_back("models");
  folders.push_back(fetched_models_folder());
  return folders;
}

namespace detail {

/// What lies at a path, by what it begins with and not by its name.
enum class ModelFile { none, gguf, safetensors };
inline ModelFile model_file_at(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return ModelFile::none;
  std::ifstream file(path, std::ios::binary);
  std::array<char, 9> begin{};
  file.read(begin.data(), begin.size());
  if (std::string_view(begin.data(), 4) == "GGUF") return ModelFile::gguf;
  return file.gcount() == 9 && begin[5] == 0 && begin[6] == 0 && begin[7] == 0 && begin[8] == '{'
             ? ModelFile::safetensors  // a header of less than 2^40 bytes, which is JSON
             : ModelFile::none;
}

inline std::vector<std::filesystem::path> gguf_files_in(const std::filesystem::path& folder) {
  return files_of(folder, [](const std::filesystem::path& path) { return model_file_at(path) == ModelFile::gguf; });
}

/// The path by which a Checkpoint opens what is at `path`: a folder with a config.json, a GGUF file whatever it is
/// called, the only GGUF file of a folder, safetensors with a config.json beside them, or what Hugging Face's programs
/// downloaded (models--.../). Nothing: none of these.
inline std::optional<std::filesystem::path> model_at(const std::filesystem::path& path) {
  std::error_code ignored;
  if (std::filesystem::exists(path / "config.json", ignored)) return path;
  if (std::string version; std::ifstream(path / "refs/main") >> version)  // a folder of Hugging Face's own cache
    if (const auto in_cache = path / "snapshots" / version; std::filesystem::exists(in_cache / "config.json", ignored))
      return in_cache;
  const ModelFile kind = model_file_at(path);
  const bool named_so = path.extension() == ".gguf" && std::filesystem::is_regular_file(path, ignored);
  if (kind == ModelFile::gguf || named_so) return path;
  const bool in_model = std::filesystem::exists(path.parent_path() / "config.json", ignored);
  if (kind == ModelFile::safetensors && in_model) return path;
  if (path.filename() == "config.json" && std::filesystem::is_regular_file(path, ignored))
    return path.has_parent_path() ? path.parent_path() : ".";
  if (const auto found = gguf_files_in(path); found.size() == 1) return found[0];
  return {};
}

/// What is wrong with something that is there, but no model.
[[noreturn]] inline void refuse_model(const std::filesystem::path& path) {
  const std::string model = path.string();
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) {
    if (model_file_at(path) == ModelFile::safetensors)
      fail("model ", model, ": safetensors hold numbers alone; put the model's config.json beside the file");
    fail("model ", model, ": the file is neither GGUF (it does not begin with these letters) nor safetensors; give a ",
         "GGUF file or a Hugging Face folder");
  }
  const auto files = gguf_files_in(path);
  std::string names;
  for (const auto& file : files) names += (names.empty() ? "" : ", ") + file.filename().string();
  if (!files.empty()) fail("model ", model, ": the folder has several GGUF files; give the path of one: ", names);
  fail("model ", model, ": the folder has no config.json and no GGUF file; give the folder that holds the config.json");
}

}  // namespace detail

/// `model`: a folder with a config.json, a GGUF file, safetensors beside a config.json, or the name of one of these
/// (without .gguf) in model_folders(). Errors: none of them is there; something else is.
inline std::filesystem::path find_model(const std::string& model) {
  if (const auto found = model.empty() ? std::nullopt : detail::model_at(model)) return *found;
  std::string looked;
  for (const auto& folder : model_folders()) {
    if (!model.empty())
      for (const std::string& name : {model, model + ".gguf"})
        if (const auto found = detail::model_at(folder / name)) return found->lexically_normal();
    looked += (looked.empty() ? "" : ", ") + folder.lexically_normal().string();
  }
  if (std::error_code ignored; !model.empty() && std::filesystem::exists(model, ignored)) detail::refuse_model(model);
  if (model == "smollm2") fail("model \"smollm2\" is not on this machine yet; run scripts/fetch_model.sh smollm2");
  fail("model \"", model, "\": no folder of that name with a config.json, and no GGUF file, neither as a path nor in ",
       looked,
       "; give the path of a Hugging Face folder or of a GGUF file, or one of tiny, tiny-mha, tiny-mqa, smollm2");
}

}  // namespace kvcache
