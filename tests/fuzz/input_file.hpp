// Some bytes as a file in memory alone, for readers that take paths; and what all fuzz targets share.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

#include "kvcache/core/check.hpp"
#include "kvcache/core/tensor.hpp"

namespace kvcache_test {

/// Linux only: the path leads to an open file that lies on no disk.
class InputFile {
 public:
  explicit InputFile(std::string_view bytes) : file_(::memfd_create("input", MFD_CLOEXEC)) {
    if (file_ < 0) throw std::runtime_error("no file in memory can be made");
    while (!bytes.empty()) {
      const ssize_t written = ::write(file_, bytes.data(), bytes.size());
      if (written <= 0) throw std::runtime_error("a file in memory cannot be written");
      bytes.remove_prefix(std::size_t(written));
    }
  }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile() { ::close(file_); }
  std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(file_); }

 private:
  int file_;
};

/// True if `work` ended, false if it threw Error. Any other exception is a fault of the library, and goes on.
bool attempt(auto&& work) {
  try {
    work();
    return true;
  } catch (const kvcache::Error&) {
    return false;
  }
}

/// What must hold whatever the input is.
inline void must(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

/// Reads every number, so that a sanitizer sees any byte that lies outside the file.
inline void touch(const kvcache::Tensor& tensor) {
  const std::size_t block = std::size_t(kvcache::block_bytes(tensor.format));
  must(tensor.bytes.size() % block == 0, "a tensor ends within a block");
  float numbers[32], sum = 0;
  for (std::size_t at = 0; at < tensor.bytes.size(); at += block) {
    kvcache::read_numbers(tensor.format, tensor.bytes.data() + at, std::size_t(kvcache::block_numbers(tensor.format)),
                          numbers);
    sum += numbers[0];
  }
  [[maybe_unused]] static volatile float used;
  used = sum;
}

}  // namespace kvcache_test
