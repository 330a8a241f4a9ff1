// What the 32 threads of a warp do together. Their lanes exchange numbers without shared memory.
#pragma once

#include "kvcache/cuda/simt.cuh"

namespace kvcache::cuda {

inline constexpr unsigned all_lanes = 0xffffffffu;

__device__ inline int lane() { return static_cast<int>(threadIdx.x) & 31; }
__device__ inline int warp() { return static_cast<int>(threadIdx.x) >> 5; }

/// The sum, or the largest, of the numbers of `width` neighbouring lanes (a power of two), given to all of them: each
/// exchange is with the lane whose number differs in one bit.
__device__ inline float sum_of_lanes(float number, int width) {
  for (int bit = width / 2; bit > 0; bit /= 2) number += __shfl_xor_sync(all_lanes, number, bit);
  return number;
}
__device__ inline float warp_sum(float number) { return sum_of_lanes(number, 32); }
__device__ inline float warp_max(float number) {
  for (int bit = 16; bit > 0; bit /= 2) number = fmaxf(number, __shfl_xor_sync(all_lanes, number, bit));
  return number;
}

/// The sum over all threads of a block of up to 1,024, given to all of them. Every thread must call it. `of_warps` is
/// shared memory for 32 numbers; it may be used again after the next __syncthreads().
__device__ inline float block_sum(float number, float* of_warps) {
  number = warp_sum(number);
  if (lane() == 0) of_warps[warp()] = number;
  __syncthreads();
  const int warps = static_cast<int>(blockDim.x) / 32;
  return warp_sum(lane() < warps ? of_warps[lane()] : 0.0f);
}

}  // namespace kvcache::cuda
