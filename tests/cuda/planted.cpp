// Kernels with a fault each, which a sanitizer must see: `planted past_shared`, `planted past_global`, `planted race`.
// Without a fault (`planted nothing`) it must stay silent.
#include <cstdio>
#include <cstring>

#include "kvcache/cuda/device_memory.cuh"

using namespace kvcache::cuda;

namespace {

/// The sum of a block's numbers, pair by pair.
template <bool past_shared, bool past_global, bool race>
__global__ void add_up(const float* numbers, float* sum) {
  KVCACHE_SHARED(float, shared, [64]);
  const unsigned me = threadIdx.x;
  float* cells = shared;  // through a pointer: the sanitizer must know the memory, not the type
  cells[me + (past_shared && me == 63 ? 1 : 0)] = numbers[me + (past_global && me == 63 ? 1 : 0)];
  for (unsigned apart = 32; apart > 0; apart /= 2) {
    if (!race) __syncthreads();
    if (me < apart) shared[me] += shared[me + apart];
  }
  if (me == 0) *sum = shared[0];
}

}  // namespace

int main(int, char** argv) {
  const char* fault = argv[1];
  std::vector<float> numbers(64, 1);
  DeviceMemory<float> there{std::span<const float>(numbers)}, sum(1);
  Stream stream;
  const auto run = [&](auto kernel) {
    stream.launch(kernel, dim3(1), dim3(64), 0, static_cast<const float*>(there.data()), sum.data());
  };
  if (std::strcmp(fault, "past_shared") == 0)
    run(add_up<true, false, false>);
  else if (std::strcmp(fault, "past_global") == 0)
    run(add_up<false, true, false>);
  else if (std::strcmp(fault, "race") == 0)
    run(add_up<false, false, true>);
  else
    run(add_up<false, false, false>);
  float result = 0;
  sum.download(std::span(&result, 1));
  std::printf("sum %g\n", double(result));
}
