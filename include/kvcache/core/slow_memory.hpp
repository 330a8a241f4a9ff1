// Memory in a file: larger than RAM may be, and slower.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "kvcache/core/check.hpp"

namespace kvcache {

/// Where the system wants temporary files: $TMPDIR, or /tmp. Errors: no such folder.
inline std::filesystem::path temporary_folder() {
  std::error_code error;
  std::filesystem::path folder = std::filesystem::temp_directory_path(error);
  if (!error) return folder;
  const char* named = std::getenv("TMPDIR");
  fail("there is no folder for temporary files (", named ? named : "/tmp",
       "); make it, or set TMPDIR to a folder in which you may write");
}

/// Regions of equal size in a temporary file that has no name: it is gone when this object is, or the program. What is
/// written to a region is in the file; what is read comes from it, unless the system still has it in its page cache.
class SlowMemory {
 public:
  /// Errors: no file can be made in the folder.
  explicit SlowMemory(std::size_t region_bytes, const std::filesystem::path& folder = temporary_folder())
      : region_bytes_(whole_pages(region_bytes)) {
    std::string name = (folder / "kvcache-XXXXXX").string();
    const int made = mkostemp(name.data(), O_CLOEXEC);
    check(made >= 0, "SlowMemory: no file can be made in ", folder.string(), ": ", std::strerror(errno),
          "; set TMPDIR to a folder in which you may write");
    unlink(name.c_str());
    // Where a program was started with standard output closed, its number is free: what is printed would go to this
    // file.
    file_ = made > STDERR_FILENO ? made : fcntl(made, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (file_ != made) close(made);
    check(file_ >= 0, "SlowMemory: no more files can be opened: ", std::strerror(errno), "; close some");
  }
  SlowMemory(SlowMemory&& other) noexcept
      : file_(std::exchange(other.file_, -1)),
        region_bytes_(other.region_bytes_),
        regions_(std::exchange(other.regions_, {})) {}
  SlowMemory& operator=(SlowMemory&& other) noexcept {
    std::swap(file_, other.file_), std::swap(region_bytes_, other.region_bytes_), std::swap(regions_, other.regions_);
    return *this;
  }
  ~SlowMemory() {
    for (std::byte* region : regions_) munmap(region, region_bytes_);
    if (file_ >= 0) close(file_);
  }

  /// What a region of so many bytes takes: whole pages of the system.
  static std::size_t whole_pages(std::size_t bytes) {
    const std::size_t page = std::size_t(sysconf(_SC_PAGESIZE));
    return (bytes + page - 1) / page * page;
  }
  int regions() const { return int(regions_.size()); }
  std::size_t region_bytes() const { return region_bytes_; }
  std::byte* region(int index) const { return regions_[std::size_t(index)]; }

  /// One more region. Errors: the file cannot grow (the disk is full).
  void grow() {
    const std::size_t offset = regions_.size() * region_bytes_;
    // Asked for now: a full disk would show as a fault in the middle of a write otherwise.
    check(posix_fallocate(file_, off_t(offset), off_t(region_bytes_)) == 0, "SlowMemory: the temporary file cannot ",
          "grow to ", offset + region_bytes_, " bytes; is the disk full?");
    void* region = mmap(nullptr, region_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file_, off_t(offset));
    check(region != MAP_FAILED, "SlowMemory: ", region_bytes_,
          " bytes of the temporary file cannot be mapped: ", std::strerror(errno));
    regions_.push_back(static_cast<std::byte*>(region));
  }
  /// Asks the system to have a part of a region at hand soon.
  void read_ahead(int index, std::size_t first, std::size_t bytes) const {
    const auto [begin, length] = pages_of(index, first, bytes);
    madvise(begin, length, MADV_WILLNEED);
  }
  /// Asks it to forget what it has of a region, so that the next reader waits for the disk.
  void drop(int index) const {
    std::byte* begin = region(index);
    msync(begin, region_bytes_, MS_SYNC);
    madvise(begin, region_bytes_, MADV_DONTNEED);
    posix_fadvise(file_, off_t(std::size_t(index) * region_bytes_), off_t(region_bytes_), POSIX_FADV_DONTNEED);
  }

 private:
  std::pair<std::byte*, std::size_t> pages_of(int index, std::size_t first, std::size_t bytes) const {
    const std::size_t page = std::size_t(sysconf(_SC_PAGESIZE)), begin = first / page * page;
    return {region(index) + begin, first + bytes - begin};
  }
  int file_ = -1;
  std::size_t region_bytes_;
  std::vector<std::byte*> regions_;
};

}  // namespace kvcache
