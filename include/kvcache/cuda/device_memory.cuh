// Memory on the device, owned.
#pragma once

#include <span>
#include <vector>

#include "kvcache/cuda/simt.cuh"

namespace kvcache::cuda {

/// Numbers that lie in the device's memory: the host may not read them, only copy them. A copy of this object is a copy
/// of the numbers. What is in new memory is not said.
template <class Number>
class DeviceMemory {
 public:
  DeviceMemory() = default;
  /// Errors: the device has not so much memory left.
  explicit DeviceMemory(std::size_t size) : size_(size) {
    if (size == 0) return;
    if (cudaMalloc(reinterpret_cast<void**>(&numbers_), bytes()) != cudaSuccess) {
      cudaGetLastError();  // or the next call would report it again
      fail("CUDA: ", bytes(), " bytes of device memory asked for, which are not free; take a shorter text, a smaller ",
           "model or format, or see with `kvcache info` what the device has");
    }
  }
  explicit DeviceMemory(std::span<const Number> numbers) : DeviceMemory(numbers.size()) { upload(numbers); }
  DeviceMemory(const DeviceMemory& other) : DeviceMemory(other.size_) {
    if (size_ > 0) check_cuda(cudaMemcpy(numbers_, other.numbers_, bytes(), cudaMemcpyDeviceToDevice), "copying");
  }
  DeviceMemory(DeviceMemory&& other) noexcept { swap(other); }
  DeviceMemory& operator=(DeviceMemory other) noexcept {
    swap(other);
    return *this;
  }
  ~DeviceMemory() { cudaFree(numbers_); }

  Number* data() { return numbers_; }
  const Number* data() const { return numbers_; }
  std::size_t size() const { return size_; }
  std::size_t bytes() const { return size_ * sizeof(Number); }

  /// Copies from the host, after all that the device was asked for before. Errors: more numbers than there is room for.
  void upload(std::span<const Number> numbers) {
    check(numbers.size() <= size_, "DeviceMemory: ", numbers.size(), " numbers do not fit in room for ", size_);
    if (!numbers.empty())
      check_cuda(cudaMemcpy(numbers_, numbers.data(), numbers.size_bytes(), cudaMemcpyHostToDevice), "copying");
  }
  /// Copies the first numbers to the host, once they are computed.
  void download(std::span<Number> numbers) const {
    check(numbers.size() <= size_, "DeviceMemory: ", numbers.size(), " numbers asked for, of ", size_);
    if (!numbers.empty())
      check_cuda(cudaMemcpy(numbers.data(), numbers_, numbers.size_bytes(), cudaMemcpyDeviceToHost), "copying");
  }

 private:
  void swap(DeviceMemory& other) noexcept { std::swap(numbers_, other.numbers_), std::swap(size_, other.size_); }
  Number* numbers_ = nullptr;
  std::size_t size_ = 0;
};

/// Memory of the host that stays where it is ("pinned"), so that the device can copy from and to it on its own, while
/// host and device do other things. What is in new memory is not said.
class PinnedMemory {
 public:
  /// Errors: the system has not so much memory left that it would pin.
  explicit PinnedMemory(std::size_t bytes) : size_(bytes) {
    if (cudaMallocHost(reinterpret_cast<void**>(&bytes_), bytes) != cudaSuccess) {
      cudaGetLastError();
      fail("CUDA: ", bytes, " bytes of pinned host memory asked for, which the system does not give");
    }
  }
  PinnedMemory(PinnedMemory&& other) noexcept
      : bytes_(std::exchange(other.bytes_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  PinnedMemory& operator=(PinnedMemory other) noexcept {
    std::swap(bytes_, other.bytes_), std::swap(size_, other.size_);
    return *this;
  }
  ~PinnedMemory() { cudaFreeHost(bytes_); }

  unsigned char* data() const { return bytes_; }
  std::size_t bytes() const { return size_; }

 private:
  unsigned char* bytes_ = nullptr;
  std::size_t size_ = 0;
};

/// Work space that grows to the largest asked for and stays, so that a warm step allocates nothing.
template <class Number>
class DeviceRoom {
 public:
  Number* operator()(std::size_t size) {
    if (memory_.size() < size) memory_ = DeviceMemory<Number>(size);
    return memory_.data();
  }
  Number* upload(std::span<const Number> numbers) {
    (*this)(numbers.size());
    memory_.upload(numbers);
    return memory_.data();
  }
  void download(std::span<Number> numbers) const { memory_.download(numbers); }

 private:
  DeviceMemory<Number> memory_;
};

}  // namespace kvcache::cuda
