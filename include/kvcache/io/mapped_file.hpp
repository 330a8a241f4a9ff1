// A file seen as memory: the operating system reads pages when they are touched, and shares them between programs.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
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

/// Read-only; POSIX. Errors: a file that is missing, empty, a folder, or not readable. Do not truncate the file while
/// it is mapped: reading past its end would end the program.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe is refused, not waited for
    check(file >= 0, path.string(), ": cannot be opened: ", std::strerror(errno));
    struct stat status {};
    const bool known = ::fstat(file, &status) == 0;
    if (!known || !S_ISREG(status.st_mode) || status.st_size == 0) {
      ::close(file);
      fail(path.string(), known && S_ISREG(status.st_mode) ? ": the file is empty" : ": not a file");
    }
    size_ = std::size_t(status.st_size);
    data_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
    const int error = errno;
    ::close(file);  // the mapping stays
    check(data_ != MAP_FAILED, path.string(), ": cannot be mapped: ", std::strerror(error));
  }
  MappedFile(MappedFile&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(data_, other.data_), std::swap(size_, other.size_);
    return *this;
  }
  ~MappedFile() {
    if (data_ != nullptr) ::munmap(data_, size_);
  }

  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace kvcache
