// The rig itself: misuse that the shim must name, and faults planted in small kernels that it must show.
#include <algorithm>
#include <string>

#include "kvcache/cuda/simt.cuh"
#include "on_device.hpp"

#if !defined(__CUDACC__)

using namespace kvcache;
using namespace kvcache::cuda;

namespace {

__global__ void divergent_barrier(int* x) {
  if (threadIdx.x < 16) {
    __syncthreads();
    x[0] = 1;
  } else {
    __syncthreads();
    x[1] = 1;
  }
}
__global__ void waits_for_each_other(int*) {
  if (threadIdx.x < 16)
    __syncthreads();
  else
    __shfl_xor_sync(0xffffffffu, 1, 1);
}
__global__ void lane_has_left(int* x) {
  if (threadIdx.x & 1) return;
  *x = __shfl_down_sync(0xffffffffu, 1, 1);
}
__global__ void lane_outside_the_mask(int* x) {
  if (threadIdx.x < 16) *x = __shfl_sync(0x0000ffffu, 1, 20);
}
__global__ void not_in_its_own_mask(int* x) { *x = __shfl_xor_sync(0x0000ffffu, 1, 1); }
__global__ void different_exchanges(int* x) {
  if (threadIdx.x & 1)
    *x = __shfl_xor_sync(0xffffffffu, 1, 1);
  else
    *x = __shfl_down_sync(0xffffffffu, 1, 1);
}
/// Each thread hands its number to the next: right only with a barrier between writing and reading.
template <bool has_barrier>
__global__ void hand_on(int* x) {
  KVCACHE_DYNAMIC_SHARED(int, shared);
  shared[threadIdx.x] = static_cast<int>(threadIdx.x);
  if (has_barrier) __syncthreads();
  x[threadIdx.x] = shared[(threadIdx.x + 1) % blockDim.x];
}
template <bool has_barrier>
__global__ void hand_on_in_warp(int* x) {
  KVCACHE_SHARED(int, shared, [32]);
  shared[threadIdx.x] = static_cast<int>(threadIdx.x);
  if (has_barrier) __syncwarp();
  x[threadIdx.x] = shared[threadIdx.x ^ 1];
}
__global__ void some_leave_early(int* x) {
  if (threadIdx.x >= 40) return;
  __syncthreads();
  atomicAdd(x, 1);
}

std::string refusal(void (*kernel)(int*), unsigned threads = 32) {
  Stream stream;
  std::vector<int> x(64, 0);
  try {
    stream.launch(kernel, dim3(1), dim3(threads), 64 * sizeof(int), x.data());
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was refused";
}
/// How many different results the orders of threads give.
std::size_t results(void (*kernel)(int*), unsigned threads) {
  std::vector<std::vector<int>> all;
  const simt::options before = simt::config();
  for (const simt::order order : {simt::order::forward, simt::order::reverse, simt::order::random}) {
    simt::config().thread_order = order;
    std::vector<int> x(64, -1);
    Stream stream;
    stream.launch(kernel, dim3(1), dim3(threads), 64 * sizeof(int), x.data());
    if (std::find(all.begin(), all.end(), x) == all.end()) all.push_back(x);
  }
  simt::config() = before;
  return all.size();
}
bool says(const std::string& sentence, const char* what) {
  CAPTURE(sentence);
  return sentence.find(what) != std::string::npos;
}

}  // namespace

TEST_CASE("misuse of barriers and exchanges is named, with its line") {
  CHECK(says(refusal(divergent_barrier), "divergent barrier"));
  CHECK(says(refusal(divergent_barrier), "rig_test.cpp:"));
  CHECK(says(refusal(waits_for_each_other), "dead lock"));
  CHECK(says(refusal(lane_has_left), "named in the mask has exited"));
  CHECK(says(refusal(lane_outside_the_mask), "reads lane 20, which is not in the mask"));
  CHECK(says(refusal(not_in_its_own_mask), "is not in its own mask"));
  CHECK(says(refusal(different_exchanges), "another lane of the mask is in __shfl_"));
  CHECK(says(refusal(some_leave_early, 64), "nothing was refused"));  // CUDA allows it
  CHECK(says(refusal(some_leave_early, 2000), "invalid launch configuration"));
}

TEST_CASE("a missing barrier gives another result in another order of threads; with it there is one") {
  CHECK(results(hand_on<false>, 64) > 1);
  CHECK(results(hand_on<true>, 64) == 1);
  CHECK(results(hand_on_in_warp<false>, 32) > 1);
  CHECK(results(hand_on_in_warp<true>, 32) == 1);
}

TEST_CASE("shared memory begins as something that shows, not as zeros") {
  Stream stream;
  DeviceMemory<float> fresh(4);
  for (const float x : on_host(fresh)) CHECK(std::isnan(x));
}

#endif
