// Kernel: the place of the largest number. One block: each thread looks at some, then pairs of threads agree.
#pragma once

#include "kvcache/cuda/kernels/warp.cuh"

namespace kvcache::cuda {

/// *place = the first place of the largest of numbers [size]. grid (1).
template <int threads>
__global__ void find_largest(const float* numbers, int size, int* place) {
  KVCACHE_SHARED(float, largest, [threads]);
  KVCACHE_SHARED(int, places, [threads]);
  const int me = static_cast<int>(threadIdx.x);
  int best = me < size ? me : 0;
  for (int i = me; i < size; i += threads)
    if (numbers[i] > numbers[best]) best = i;
  largest[me] = numbers[best], places[me] = best;
  for (int apart = threads / 2; apart > 0; apart /= 2) {
    __syncthreads();
    if (me >= apart) continue;
    const float theirs = largest[me + apart];
    if (theirs > largest[me] || (theirs == largest[me] && places[me + apart] < places[me]))
      largest[me] = theirs, places[me] = places[me + apart];
  }
  if (me == 0) *place = places[0];
}

}  // namespace kvcache::cuda
