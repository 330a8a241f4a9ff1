// Kernel: rotary positions. A thread turns one pair of numbers; cosines and sines were computed on the host, in double.
#pragma once

#include "kvcache/cuda/kernels/warp.cuh"

namespace kvcache::cuda {

/// Turns the `heads` first heads of each token: to[t, head] = from[t, head] turned by angles[t] (stride_of_angles = 0:
/// all tokens by the same). from and to lie `stride` numbers apart from token to token, and may be the same. angles:
/// [tokens, head_dim], cosines before sines. Pairs are d and d + head_dim / 2, or, interleaved, 2d and 2d + 1.
/// grid (tokens).
template <bool interleaved>
__global__ void turn_heads(const float* from, float* to, const float* angles, int heads, int head_dim, int stride,
                           int stride_of_angles) {
  const long token = static_cast<long>(blockIdx.x);
  const float* angle = angles + token * stride_of_angles;
  const int half = head_dim / 2;
  for (int i = static_cast<int>(threadIdx.x); i < heads * half; i += static_cast<int>(blockDim.x)) {
    const int d = i % half;
    const long first = token * stride + i / half * head_dim + (interleaved ? 2 * d : d);
    const long second = first + (interleaved ? 1 : half);
    const float x = from[first], y = from[second], cosine = angle[d], sine = angle[half + d];
    to[first] = x * cosine - y * sine;
    to[second] = x * sine + y * cosine;
  }
}

}  // namespace kvcache::cuda
