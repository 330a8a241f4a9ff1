// The words of CUDA that a kernel of this library uses, for two compilers: nvcc, which takes them from the toolkit, and
// any C++ compiler, which takes them from cuda/shim/simt_host.hpp: there each CUDA thread runs on the CPU, by CUDA's
// rules for barriers and warps. A kernel is the same text for both.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "kvcache/core/check.hpp"

#if defined(__CUDACC__)

#include <cuda_fp16.h>
#include <cuda_runtime.h>

/// Shared memory whose size is known when a kernel is launched. One symbol for all kernels, so that its type cannot
/// clash.
extern __shared__ __align__(128) unsigned char kvcache_dynamic_shared[];
#define KVCACHE_DYNAMIC_SHARED(type, name) type* name = reinterpret_cast<type*>(kvcache_dynamic_shared)
/// Shared memory of a fixed size: KVCACHE_SHARED(float, tile, [16][17]);
#define KVCACHE_SHARED(type, name, ...) __shared__ type name __VA_ARGS__
#define KVCACHE_UNROLL _Pragma("unroll")

#else

#if !__has_include("simt_host.hpp")
#error \
    "kvcache/cuda/ is compiled by nvcc, or by other compilers with the folder cuda/shim of this project before it (-I)"
#endif
#include "simt_host.hpp"

#define KVCACHE_DYNAMIC_SHARED(type, name) type* name = static_cast<type*>(::simt::blk().dynamic_shared())
#define KVCACHE_SHARED(type, name, ...)  \
  typedef type name##_shape __VA_ARGS__; \
  static const char name##_key = 0;      \
  auto& name = ::simt::blk().shared_array<name##_shape>(&name##_key)
#define KVCACHE_UNROLL

#endif

namespace kvcache::cuda {

/// Errors: CUDA's own sentence, after what was tried.
inline void check_cuda(cudaError_t status, const char* tried) {
  if (status != cudaSuccess) fail("CUDA: ", tried, " failed: ", cudaGetErrorString(status));
}

/// A mark in a stream, that another stream can wait for.
class Event {
 public:
  Event() { check_cuda(cudaEventCreateWithFlags(&handle_, cudaEventDisableTiming), "making an event"); }
  ~Event() { cudaEventDestroy(handle_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  cudaEvent_t handle() const { return handle_; }

 private:
  cudaEvent_t handle_{};
};

/// A queue of kernels and copies on the device, which run one after another. Counts the launches: each costs some
/// microseconds of the host's time, which is what small models spend theirs on.
class Stream {
 public:
  Stream() { check_cuda(cudaStreamCreate(&handle_), "making a stream"); }
  /// A stream beside others: plain copies between host and device do not wait for it, nor it for them.
  static std::unique_ptr<Stream> independent() {
    std::unique_ptr<Stream> stream(new Stream(nullptr));
    check_cuda(cudaStreamCreateWithFlags(&stream->handle_, cudaStreamNonBlocking), "making a stream");
    return stream;
  }
  ~Stream() {
    if (handle_) cudaStreamSynchronize(handle_), cudaStreamDestroy(handle_);
  }
  Stream(const Stream&) = delete;  // memory and kernels refer to it
  Stream& operator=(const Stream&) = delete;

  cudaStream_t handle() const { return handle_; }
  long launches() const { return launches_; }

  /// kernel(arguments...) in every thread of grid x block, with so many bytes of dynamic shared memory for each block.
  template <class... Parameters, class... Arguments>
  void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes,
              Arguments&&... arguments) {
    ++launches_;
#if defined(__CUDACC__)
    if (shared_bytes > 48 * 1024)
      check_cuda(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                      cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)),
                 "asking for shared memory");
    cudaLaunchConfig_t config{};
    config.gridDim = grid, config.blockDim = block, config.dynamicSmemBytes = shared_bytes, config.stream = handle_;
    check_cuda(cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...), "launching a kernel");
#else
    try {
      simt::launch(handle_, kernel, grid, block, shared_bytes, std::forward<Arguments>(arguments)...);
    } catch (const simt::error& error) {
      fail("CUDA on the CPU: ", error.what());
    }
#endif
  }
  /// Waits until all that was asked for is done. Errors: what went wrong in it.
  void finish() { check_cuda(cudaStreamSynchronize(handle_), "waiting for kernels"); }

  void record(Event& event) { check_cuda(cudaEventRecord(event.handle(), handle_), "marking a stream"); }
  /// What is asked for from now on begins after all that was asked of the other stream before it recorded the event.
  void wait(const Event& event) { check_cuda(cudaStreamWaitEvent(handle_, event.handle(), 0), "waiting for a stream"); }

 private:
  explicit Stream(std::nullptr_t) {}
  cudaStream_t handle_{};
  long launches_ = 0;
};

/// How many pieces of `size` cover `count`.
inline unsigned pieces(long count, long size) { return static_cast<unsigned>((count + size - 1) / size); }

}  // namespace kvcache::cuda
