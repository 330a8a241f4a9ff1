// The files of a folder that somebody looks for.
#pragma once

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

namespace kvcache {

/// Those regular files for which `wanted(path)` is true, in the order of their names. What cannot be listed has none.
template <class Wanted>
std::vector<std::filesystem::path> files_of(const std::filesystem::path& folder, const Wanted& wanted) {
  std::vector<std::filesystem::path> found;
  std::error_code error;
  std::filesystem::directory_iterator entry(folder.empty() ? "." : folder, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const std::filesystem::path path = folder / entry->path().filename();
    if (std::error_code ignored; std::filesystem::is_regular_file(path, ignored) && wanted(path)) found.push_back(path);
  }
  std::ranges::sort(found);
  return found;
}

}  // namespace kvcache
