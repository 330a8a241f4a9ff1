// Where a model's folder is: a path as it stands, or the name of one that came with the library.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "kvcache/core/check.hpp"

namespace kvcache {

/// The folders in which a model may be found by its name: $KVCACHE_MODELS, those of an install and of a build tree as
/// seen from the running program, and models/ in the working directory.
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
  return folders;
}

/// `model`: a folder with a config.json, or the name of one in model_folders(). Errors: neither is there.
inline std::filesystem::path find_model(const std::string& model) {
  const auto is_model = [](const std::filesystem::path& folder) {
    std::error_code ignored;
    return std::filesystem::exists(folder / "config.json", ignored);
  };
  if (is_model(model)) return model;
  std::string looked;
  for (const auto& folder : model_folders()) {
    if (!model.empty() && is_model(folder / model)) return (folder / model).lexically_normal();
    looked += (looked.empty() ? "" : ", ") + folder.lexically_normal().string();
  }
  fail("model \"", model, "\": no folder of that name with a config.json, neither as a path nor in ", looked,
       "; give the path of a Hugging Face folder, or one of tiny, tiny-mha, tiny-mqa");
}

}  // namespace kvcache
