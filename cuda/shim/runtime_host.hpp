// CUDA's runtime on the CPU: memory, streams, events, and one device, that is the CPU. Included by simt_host.hpp.
#pragma once

#include <deque>
#include <functional>

using cudaError_t = int;
inline constexpr cudaError_t cudaSuccess = 0, cudaErrorMemoryAllocation = 2, cudaErrorNoDevice = 100;

// ------------------------------------------------------------------ streams
/// Work that was asked for and is not done yet. Events are marks in it.
struct simt_stream {
  bool independent = false;  // of the default stream
  long asked = 0, done = 0;
  std::deque<std::function<void()>> queue;
};
struct simt_event {
  simt_stream* stream = nullptr;
  long asked = 0;  // done when the stream has done so much
};
using cudaStream_t = simt_stream*;  // null: the default stream
using cudaEvent_t = simt_event*;
inline constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2;

namespace simt {
inline std::vector<simt_stream*>& streams() {
  static std::vector<simt_stream*> all;
  return all;
}
/// Does a stream's work, up to a mark.
inline void finish(simt_stream& stream, long mark) {
  while (stream.done < mark) {
    const auto work = std::move(stream.queue.front());
    stream.queue.pop_front(), ++stream.done;
    work();
  }
}
inline void finish(simt_stream& stream) { finish(stream, stream.asked); }
/// What the default stream waits for: all others but those that are independent of it.
inline void finish_dependent() {
  for (simt_stream* stream : streams())
    if (!stream->independent) finish(*stream);
}
inline void finish_all() {
  for (simt_stream* stream : streams()) finish(*stream);
}
inline void ask(simt_stream* stream, std::function<void()> work) {
  if (stream == nullptr) return finish_dependent(), work();
  stream->queue.push_back(std::move(work)), ++stream->asked;
  if (!(stream->independent ? config().hold_independent_streams : config().hold_streams)) finish(*stream);
}
/// The same grid as run_grid, when its turn comes. Arguments are copied now, as by a launch.
template <class... P, class... A>
void launch(cudaStream_t stream, void (*kernel)(P...), dim3 grid, dim3 block, std::size_t smem, A&&... a) {
  ask(stream, [=, args = std::tuple<P...>{static_cast<P>(std::forward<A>(a))...}] {
    std::apply([&](const P&... p) { run_grid(kernel, grid, block, smem, p...); }, args);
  });
}
}  // namespace simt

inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* s, unsigned flags) {
  *s = new simt_stream{.independent = flags == cudaStreamNonBlocking, .queue = {}};
  simt::streams().push_back(*s);
  return cudaSuccess;
}
inline cudaError_t cudaStreamCreate(cudaStream_t* s) { return cudaStreamCreateWithFlags(s, 0); }
inline cudaError_t cudaStreamDestroy(cudaStream_t s) {
  simt::finish(*s);
  std::erase(simt::streams(), s);
  delete s;
  return cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t s) {
  s ? simt::finish(*s) : simt::finish_dependent();
  return cudaSuccess;
}
inline cudaError_t cudaDeviceSynchronize() {
  simt::finish_all();
  return cudaSuccess;
}
inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* e, unsigned) {
  *e = new simt_event;
  return cudaSuccess;
}
inline cudaError_t cudaEventDestroy(cudaEvent_t e) {
  delete e;
  return cudaSuccess;
}
inline cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s) {
  *e = {s, s->asked};
  return cudaSuccess;
}
inline cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned) {
  simt::ask(s, [mark = *e] {
    if (mark.stream) simt::finish(*mark.stream, mark.asked);
  });
  return cudaSuccess;
}

// ------------------------------------------------------------------ memory
enum cudaMemcpyKind {
  cudaMemcpyHostToHost,
  cudaMemcpyHostToDevice,
  cudaMemcpyDeviceToHost,
  cudaMemcpyDeviceToDevice,
  cudaMemcpyDefault
};
namespace simt {
inline std::atomic<std::size_t> allocations_made{0};
/// How often device memory was asked for.
inline std::size_t device_allocations() { return allocations_made; }
}  // namespace simt
template <class T>
cudaError_t cudaMalloc(T** p, std::size_t n) {
  ++simt::allocations_made;
  if (n > simt::config().device_bytes) return cudaErrorMemoryAllocation;
  *p = static_cast<T*>(std::malloc(n ? n : 1));  // exact size, so that AddressSanitizer sees overruns
  std::memset(static_cast<void*>(*p), 0xff, n);  // NaN pattern, like memory nobody wrote
  return cudaSuccess;
}
inline cudaError_t cudaFree(void* p) {
  simt::finish_all();  // as the device does
  std::free(p);
  return cudaSuccess;
}
template <class T>
cudaError_t cudaMallocHost(T** p, std::size_t n) {
  *p = static_cast<T*>(std::malloc(n ? n : 1));
  std::memset(static_cast<void*>(*p), 0xff, n);
  return cudaSuccess;
}
inline cudaError_t cudaFreeHost(void* p) { return cudaFree(p); }
inline cudaError_t cudaMemcpy(void* d, const void* s, std::size_t n, cudaMemcpyKind) {
  simt::finish_dependent();
  std::memcpy(d, s, n);
  return cudaSuccess;
}
inline cudaError_t cudaMemset(void* d, int v, std::size_t n) {
  simt::finish_dependent();
  std::memset(d, v, n);
  return cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* d, const void* s, std::size_t n, cudaMemcpyKind, cudaStream_t stream) {
  simt::ask(stream, [=] { std::memcpy(d, s, n); });
  return cudaSuccess;
}
/// `height` runs of `width` bytes, which begin a pitch apart.
inline cudaError_t cudaMemcpy2DAsync(void* d, std::size_t d_pitch, const void* s, std::size_t s_pitch,
                                     std::size_t width, std::size_t height, cudaMemcpyKind, cudaStream_t stream) {
  simt::ask(stream, [=] {
    for (std::size_t row = 0; row < height; ++row)
      std::memcpy(static_cast<char*>(d) + row * d_pitch, static_cast<const char*>(s) + row * s_pitch, width);
  });
  return cudaSuccess;
}

// ------------------------------------------------------------------ devices: the CPU, or as many as a test says
struct cudaDeviceProp {
  char name[256];
  int multiProcessorCount;
};
enum cudaDeviceAttr { cudaDevAttrMemoryClockRate, cudaDevAttrGlobalMemoryBusWidth, cudaDevAttrMultiProcessorCount };
inline cudaError_t cudaGetDeviceCount(int* count) {
  *count = simt::config().devices;
  return *count > 0 ? cudaSuccess : cudaErrorNoDevice;
}
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int) {
  std::snprintf(p->name, sizeof p->name, "the CPU, as a device");
  p->multiProcessorCount = 1;
  return cudaSuccess;
}
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  *value = attribute == cudaDevAttrMultiProcessorCount ? 132 : 0;  // work is cut as for an H100; a clock it has not
  return cudaSuccess;
}
inline cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* all_bytes) {
  *free_bytes = *all_bytes = simt::config().device_bytes;
  return cudaSuccess;
}
inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline const char* cudaGetErrorString(cudaError_t e) {
  return e == cudaSuccess         ? "no error"
         : e == cudaErrorNoDevice ? "no CUDA-capable device is detected"
                                  : "out of memory";
}
