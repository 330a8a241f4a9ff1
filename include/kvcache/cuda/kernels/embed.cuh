// Kernel: the numbers of each token, looked up. A block has one token.
#pragma once

#include "kvcache/cuda/kernels/warp.cuh"

namespace kvcache::cuda {

/// x[t] = embedding[token t] + positions[first_position + t], the second if the model has learned positions (else
/// null). embedding [vocab, hidden] of Weight (float or __half), x [tokens, hidden]. grid (tokens).
template <class Weight>
__global__ void embed_tokens(const int* tokens, const Weight* embedding, const float* positions, int first_position,
                             int hidden, float* x) {
  const long t = static_cast<long>(blockIdx.x);
  const Weight* row = embedding + static_cast<long>(tokens[t]) * hidden;
  for (int i = static_cast<int>(threadIdx.x); i < hidden; i += static_cast<int>(blockDim.x)) {
    const float position = positions ? positions[(first_position + t) * hidden + i] : 0.0f;
    x[t * hidden + i] = static_cast<float>(row[i]) + position;
  }
}

}  // namespace kvcache::cuda
