// Names for files that overwrite nothing.
#pragma once

#include <filesystem>
#include <string>

namespace kvcache::visualizer {

/// `wanted` if nothing is there; else the same with a number: picture.png, picture-2.png, picture-3.png ...
inline std::filesystem::path free_name(const std::filesystem::path& wanted) {
  std::filesystem::path name = wanted;
  std::error_code error;  // what cannot be asked is taken for free: writing to it will tell
  for (int i = 2; std::filesystem::symlink_status(name, error).type() > std::filesystem::file_type::not_found; ++i)
    name = wanted.parent_path() / (wanted.stem().string() + "-" + std::to_string(i) + wanted.extension().string());
  return name;
}

}  // namespace kvcache::visualizer
