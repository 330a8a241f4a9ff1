// Kernels: the non-linear step of the feed-forward network, a thread for each number. Tokens go along the grid's x:
// along y and z a launch has at most 65,535 blocks.
#pragma once

#include "kvcache/cuda/kernels/warp.cuh"

namespace kvcache::cuda {

/// y = silu(gate) * up: gate_and_up [tokens, 2 * size], gates first; y [tokens, size]. grid (tokens, size / threads).
template <int threads>
__global__ void silu_gated_rows(const float* gate_and_up, float* y, int size) {
  const int i = static_cast<int>(blockIdx.y) * threads + static_cast<int>(threadIdx.x);
  const long token = static_cast<long>(blockIdx.x);
  if (i >= size) return;
  const float gate = gate_and_up[token * 2 * size + i], up = gate_and_up[token * 2 * size + size + i];
  y[token * size + i] = gate / (1 + expf(-gate)) * up;
}
/// y = gelu(x), in its tanh form: x, y [tokens, size].
template <int threads>
__global__ void gelu_tanh_rows(const float* x, float* y, int size) {
  const int i = static_cast<int>(blockIdx.y) * threads + static_cast<int>(threadIdx.x);
  const long token = static_cast<long>(blockIdx.x);
  if (i >= size) return;
  const float from = x[token * size + i];
  y[token * size + i] = from / 2 * (1 + tanhf(0.7978845608028654f * (from + 0.044715f * from * from * from)));
}

}  // namespace kvcache::cuda
