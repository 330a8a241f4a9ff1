// Where a model is: a path as it stands, or the name of one that came with the library or was fetched.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "kvcache/core/check.hpp"

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

/// `model`: a folder with a config.json, a GGUF file, or the name of either (without .gguf) in model_folders(). Errors:
/// none of them is there.
inline std::filesystem::path find_model(const std::string& model) {
  const auto model_at = [](const std::filesystem::path& path) -> std::optional<std::filesystem::path> {
    std::error_code ignored;
    if (std::filesystem::exists(path / "config.json", ignored)) return path;
    if (path.extension() == ".gguf" && std::filesystem::is_regular_file(path, ignored)) return path;
    return {};
  };
  if (const auto found = model_at(model)) return *found;
  std::string looked;
  for (const auto& folder : model_folders()) {
    if (!model.empty())
      for (const std::string& name : {model, model + ".gguf"})
        if (const auto found = model_at(folder / name)) return found->lexically_normal();
    looked += (looked.empty() ? "" : ", ") + folder.lexically_normal().string();
  }
  if (model == "smollm2") fail("model \"smollm2\" is not on this machine yet; run scripts/fetch_model.sh smollm2");
  fail("model \"", model, "\": no folder of that name with a config.json, and no GGUF file, neither as a path nor in ",
       looked,
       "; give the path of a Hugging Face folder or of a GGUF file, or one of tiny, tiny-mha, tiny-mqa, smollm2");
}

}  // namespace kvcache
