// Writes a file so that whoever looks, even after a crash, finds the old one or the new one and never a part of one.
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "kvcache/core/check.hpp"
#include "kvcache/core/file_errors.hpp"

namespace kvcache {

namespace detail {

/// A file or folder that is open, until the end of the scope.
class OpenFile {
 public:
  explicit OpenFile(int file = -1) : file_(file) {}
  OpenFile(OpenFile&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  OpenFile& operator=(OpenFile&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
  }
  ~OpenFile() {
    if (file_ >= 0) ::close(file_);
  }
  operator int() const { return file_; }

 private:
  int file_;
};

inline bool is_same(const struct stat& a, const struct stat& b) { return a.st_ino == b.st_ino && a.st_dev == b.st_dev; }

/// Does the name still lead to the file that was opened by it?
inline bool is_named(int file, const std::filesystem::path& name) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(file, &opened) == 0 && ::lstat(name.c_str(), &named) == 0 && is_same(opened, named);
}

/// Is this what standard output or standard error goes to? The descriptor; -1: neither.
inline int standard_stream(const struct stat& file) {
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) {
    struct stat opened {};
    if (::fstat(stream, &opened) == 0 && is_same(opened, file)) return stream;
  }
  return -1;
}

/// Where a name leads: links are followed to the end, also to a file that is not there yet.
inline std::filesystem::path behind_links(std::filesystem::path path) {
  const std::string given = path.string();
  for (int links = 0; links < 40; ++links) {
    std::error_code no_link;
    const std::filesystem::path target = std::filesystem::read_symlink(path, no_link);
    if (no_link) return path;
    path = path.parent_path() / target;  // an absolute target stands alone
  }
  fail(given, " cannot be written: its links lead in a circle; choose another name");
}

inline void write_whole(int file, std::span<const std::byte> bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    check(written > 0, path.string(), " could not be written whole: ", why_not_written(errno));
    bytes = bytes.subspan(std::size_t(written));
  }
}

}  // namespace detail

/// A file that will be written: PATH.part beside it, which becomes PATH when it is whole and the disk has it. Until
/// then PATH stays as it was. Who gives up leaves no PATH.part; a program that is killed leaves it, and the next one
/// writes over it, so they never pile up.
///
/// PATH.part is locked from the beginning to the end: nobody else writes PATH meanwhile. Links are followed: the file
/// behind them is replaced. An existing file's mode is kept, and its owner where one may. What is no regular file, such
/// as a pipe, and what standard output goes to are written as they stand.
class FileToWrite {
 public:
  /// Tries now what would fail later. Errors: a folder that is missing or not writable; a name that is a folder, too
  /// long, or of a file that may not be written; another program that is writing PATH.
  explicit FileToWrite(const std::filesystem::path& path) : path_(path), target_(detail::behind_links(path)) {
    check(!path_.empty(), "a file without a name cannot be written; give one");
    struct stat old {};
    struct stat behind {};
    if (::stat(path_.c_str(), &old) != 0) {
      check(errno == ENOENT, path_.string(), " cannot be written: ", why_not_written(errno));
    } else {
      check(!S_ISDIR(old.st_mode), path_.string(), " cannot be written: it is a folder; give the name of a file");
      const bool is_stream = detail::standard_stream(old) >= 0;
      is_direct_ =
          !S_ISREG(old.st_mode) || is_stream || ::lstat(target_.c_str(), &behind) != 0 || !detail::is_same(old, behind);
      const bool may_write =
          is_stream || ::access(path_.c_str(), W_OK) == 0;  // arguments have no order: errno is later
      check(may_write, path_.string(), " cannot be written: ", why_not_written(errno));
    }
    if (is_direct_) return;  // opened when it is written: who reads a pipe would see its end too early
    // Names may have 255 bytes; this one has 5 more than the target's.
    part_ = target_.parent_path() / (target_.filename().string().substr(0, 250) + ".part");
    open_part();
  }
  FileToWrite(const FileToWrite&) = delete;
  FileToWrite& operator=(const FileToWrite&) = delete;
  ~FileToWrite() {
    if (!is_direct_ && !is_whole_ && detail::is_named(file_, part_)) ::unlink(part_.c_str());  // locked until after it
  }

  const std::filesystem::path& path() const { return path_; }

  /// Adds bytes at the end. Errors: a full disk.
  void write(std::span<const std::byte> bytes) {
    if (is_direct_ && file_ < 0) open_directly();
    if (!is_direct_ && !is_begun_ && !detail::is_named(file_, part_)) open_part();  // somebody tidied up meanwhile
    is_begun_ = true;
    detail::write_whole(file_, bytes, path_);
  }
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }

  /// Waits for the disk, and gives the file its name; then waits for the disk again, so that the new name outlives a
  /// power cut. Errors: a full disk.
  void finish() {
    if (is_direct_) return;
    const bool is_on_disk = ::fsync(file_) == 0;
    check(is_on_disk, path_.string(), " could not be written whole: ", why_not_written(errno));
    is_whole_ = ::rename(part_.c_str(), target_.c_str()) == 0;
    check(is_whole_, path_.string(), " cannot be replaced: ", why_not_written(errno), "; choose another name");
    const std::filesystem::path folder = target_.has_parent_path() ? target_.parent_path() : ".";
    const detail::OpenFile opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (opened >= 0) ::fsync(opened);  // some systems cannot: the file is whole all the same
  }

 private:
  void open_part() {
    struct stat old {};
    const bool exists = ::stat(target_.c_str(), &old) == 0;
    bool is_locked = false;
    for (int tries = 0; tries < 100 && !is_locked; ++tries) {
      // A pipe of that name would be waited for, and a link followed into somebody else's file.
      file_ = detail::OpenFile(::open(
          part_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, exists ? 0600 : 0666));
      check(file_ >= 0 || errno != ENOENT, path_.string(), " cannot be written: there is no folder ",
            target_.parent_path().string(), "; make it first");
      check(file_ >= 0, path_.string(), " cannot be written: ", part_.string(), " beside it: ", why_not_written(errno));
      struct stat opened {};
      check(::fstat(file_, &opened) == 0 && S_ISREG(opened.st_mode), path_.string(),
            " cannot be written: ", part_.string(), " beside it is in the way; remove it");
      if (::flock(file_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) break;
      // Locked, and under this name after that: the one before may have renamed or removed it since it was opened.
      is_locked = detail::is_named(file_, part_);
    }
    check(is_locked, path_.string(),
          " is being written by another program, or was asked for twice; wait for it, or choose another name");
    if (exists) {
      [[maybe_unused]] const int kept = ::fchown(file_, old.st_uid, old.st_gid);  // only root may give files away
      ::fchmod(file_, old.st_mode & 0777);
    }
    if (::ftruncate(file_, 0) == 0) return;
    const int error = errno;
    ::unlink(part_.c_str());
    fail(path_.string(), " cannot be written: ", why_not_written(error));
  }
  void open_directly() {
    struct stat now {};
    const bool exists = ::stat(path_.c_str(), &now) == 0;
    const int stream = exists ? detail::standard_stream(now) : -1;
    if (stream == STDOUT_FILENO) std::fflush(stdout);  // what was printed before comes before
    // What a stream goes to is gone on with where the stream is: opened anew, both would write from the beginning.
    if (stream < 0 || !S_ISREG(now.st_mode))
      file_ = detail::OpenFile(::open(path_.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOCTTY));
    if (file_ < 0 && stream >= 0) file_ = detail::OpenFile(::fcntl(stream, F_DUPFD_CLOEXEC, 3));
    check(file_ >= 0, path_.string(), " cannot be written: ", why_not_written(errno));
  }

  std::filesystem::path path_, target_, part_;  // as given; behind all links; what is written meanwhile
  detail::OpenFile file_;
  bool is_direct_ = false, is_begun_ = false, is_whole_ = false;
};

/// The whole file at once. Errors: those of FileToWrite.
inline void write_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  FileToWrite file(path);
  file.write(bytes);
  file.finish();
}
inline void write_atomically(const std::filesystem::path& path, std::string_view text) {
  write_atomically(path, std::as_bytes(std::span(text)));
}

}  // namespace kvcache
