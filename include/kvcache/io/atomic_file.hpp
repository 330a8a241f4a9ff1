// Writes a file so that whoever looks, even after a crash, finds the old one or the new one and never a part of one.
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <span>
#include <utility>

#include "kvcache/core/check.hpp"

namespace kvcache {

namespace detail {

/// A file or folder that is open, until the end of the scope.
class OpenFile {
 public:
  explicit OpenFile(int file) : file_(file) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() {
    if (file_ >= 0) ::close(file_);
  }
  operator int() const { return file_; }

 private:
  int file_;
};

/// Does the name still lead to the file that was opened by it?
inline bool is_named(int file, const std::filesystem::path& name) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(file, &opened) == 0 && ::lstat(name.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
         opened.st_dev == named.st_dev;
}

inline void write_whole(int file, std::span<const std::byte> bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    check(written > 0, path.string(), " could not be written whole: ", std::strerror(errno), "; is the disk full?");
    bytes = bytes.subspan(std::size_t(written));
  }
}

}  // namespace detail

/// Writes PATH.part, waits for the disk, and renames it to PATH; then waits for the disk again, so that the new name
/// outlives a power cut. A write that fails leaves PATH as it was and no PATH.part. A program that is killed leaves its
/// PATH.part, and the next one writes over it: so they never pile up. Errors: a folder that is missing or not writable;
/// a full disk; another program that is writing PATH.
inline void write_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  const std::filesystem::path temporary = path.string() + ".part";
  const detail::OpenFile file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
  check(file >= 0, path.string(), " cannot be written: ", std::strerror(errno),
        "; does its folder exist, and may you write there?");
  // Locked, and under this name after that: another program may have renamed it since it was opened.
  check(::flock(file, LOCK_EX | LOCK_NB) == 0 && detail::is_named(file, temporary), path.string(),
        " is being written by another program; wait for it, or choose another name");
  try {
    check(::ftruncate(file, 0) == 0, path.string(), " cannot be written: ", std::strerror(errno));
    detail::write_whole(file, bytes, path);
    check(::fsync(file) == 0, path.string(), " could not be written whole: ", std::strerror(errno),
          "; is the disk full?");
    check(::rename(temporary.c_str(), path.c_str()) == 0, path.string(), " cannot be replaced: ", std::strerror(errno),
          "; choose another name");
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  const detail::OpenFile opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened >= 0) ::fsync(opened);  // some systems cannot: the file is whole all the same
}

}  // namespace kvcache
