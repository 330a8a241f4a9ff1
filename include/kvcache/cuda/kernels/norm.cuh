// Kernels: RMSNorm and LayerNorm. A block has one row and its threads share the row's numbers: read once to add them
// up, and again, from the cache by now, to scale them.
#pragma once

#include "kvcache/cuda/kernels/warp.cuh"

namespace kvcache::cuda {

/// y = x / rms(x) * gain for rows of `size`. Row r of a token's `heads` (1: the token is one row) lies at
/// x + token * stride + head * size; so queries and keys are normalised where they lie. grid (tokens, heads).
template <int threads>
__global__ void rms_norm_rows(const float* x, const float* gain, float* y, int size, int stride, float epsilon) {
  KVCACHE_SHARED(float, of_warps, [32]);
  const long row = static_cast<long>(blockIdx.x) * stride + static_cast<long>(blockIdx.y) * size;
  float squares = 0;
  for (int i = static_cast<int>(threadIdx.x); i < size; i += threads) squares += x[row + i] * x[row + i];
  const float scale = 1 / sqrtf(block_sum(squares, of_warps) / static_cast<float>(size) + epsilon);
  for (int i = static_cast<int>(threadIdx.x); i < size; i += threads) y[row + i] = x[row + i] * gain[i] * scale;
}

/// y = (x - mean) / deviation * gain + bias: x, y [tokens, size]. grid (tokens). Differences from the mean are
/// squared, not the numbers: the difference of two large sums would lose what is small.
template <int threads>
__global__ void layer_norm_rows(const float* x, const float* gain, const float* bias, float* y, int size,
                                float epsilon) {
  KVCACHE_SHARED(float, sums, [32]);
  KVCACHE_SHARED(float, squares, [32]);
  const long row = static_cast<long>(blockIdx.x) * size;
  float sum = 0, square = 0;
  for (int i = static_cast<int>(threadIdx.x); i < size; i += threads) sum += x[row + i];
  const float mean = block_sum(sum, sums) / static_cast<float>(size);
  for (int i = static_cast<int>(threadIdx.x); i < size; i += threads) {
    const float from_mean = x[row + i] - mean;
    square += from_mean * from_mean;
  }
  const float scale = 1 / sqrtf(block_sum(square, squares) / static_cast<float>(size) + epsilon);
  for (int i = static_cast<int>(threadIdx.x); i < size; i += threads)
    y[row + i] = (x[row + i] - mean) * scale * gain[i] + bias[i];
}

}  // namespace kvcache::cuda
