// Kernels: y = x W^T + bias. For one token every weight is used once, so what counts is to read it at full bandwidth;
// for many tokens it is used for each, so what counts is to keep it near while it is.
#pragma once

#include <algorithm>

#include "kvcache/cuda/row_formats.cuh"

namespace kvcache::cuda {

/// W [outputs, inputs] of Weight (float or __half); x [tokens, inputs]; y [tokens, outputs]. `bias` [outputs] or null.
/// `adds`: the product is added to y, which then is the sum of a residual.
template <class Weight>
struct Product {
  const Weight* weight;
  const float* bias;
  const float* x;
  float* y;
  int outputs, inputs, tokens;
  bool adds;
};

__device__ inline Four four_weights(const float* from) { return four_floats(from); }
__device__ inline Four four_weights(const __half* from) { return four_halves(from); }

template <class Weight>
__device__ void finish_output(const Product<Weight>& p, int token, int output, float sum) {
  float* y = p.y + static_cast<long>(token) * p.outputs + output;
  *y = (p.adds ? *y : 0.0f) + sum + (p.bias ? p.bias[output] : 0.0f);
}

inline constexpr int product_warps = 4;

/// One token. A warp has one output: its lanes read neighbouring weights, four each, and add up what they have.
/// inputs: a multiple of 4. grid (outputs / product_warps).
template <class Weight>
__global__ void multiply_vector(Product<Weight> p) {
  const int output = static_cast<int>(blockIdx.x) * product_warps + warp();
  if (output >= p.outputs) return;  // a whole warp leaves
  const Weight* row = p.weight + static_cast<long>(output) * p.inputs;
  float sum = 0;
  for (int i = lane() * 4; i < p.inputs; i += 128) {
    const Four w = four_weights(row + i), x = four_floats(p.x + i);
    sum += w.x * x.x + w.y * x.y + w.z * x.z + w.w * x.w;
  }
  sum = warp_sum(sum);
  if (lane() == 0) finish_output(p, 0, output, sum);
}

inline constexpr int tile_size = 64, tile_depth = 16, tile_side = 16, thread_side = tile_size / tile_side;

/// Many tokens. A block of 16 x 16 threads has a tile of 64 tokens by 64 outputs, each thread 4 by 4 of them. The block
/// carries 16 inputs at a time of the tile's tokens and weights to shared memory: each number that is fetched is used
/// 64 times. grid (outputs / 64, tokens / 64).
template <class Weight>
__global__ void multiply_tiles(Product<Weight> p) {
  KVCACHE_SHARED(float, tokens, [tile_depth][tile_size + 1]);  // one more: columns of a tile lie in different banks
  KVCACHE_SHARED(float, outputs, [tile_depth][tile_size + 1]);
  const int tx = static_cast<int>(threadIdx.x), ty = static_cast<int>(threadIdx.y), me = ty * tile_side + tx;
  const int first_token = static_cast<int>(blockIdx.y) * tile_size,
            first_output = static_cast<int>(blockIdx.x) * tile_size;
  float sums[thread_side][thread_side] = {};
  for (int first = 0; first < p.inputs; first += tile_depth) {
    for (int i = me; i < tile_size * tile_depth; i += tile_side * tile_side) {
      const int row = i / tile_depth, k = i % tile_depth, input = first + k;
      const int token = first_token + row, output = first_output + row;
      tokens[k][row] = token < p.tokens && input < p.inputs ? p.x[static_cast<long>(token) * p.inputs + input] : 0.0f;
      outputs[k][row] = output < p.outputs && input < p.inputs
                            ? static_cast<float>(p.weight[static_cast<long>(output) * p.inputs + input])
                            : 0.0f;
    }
    __syncthreads();
    for (int k = 0; k < tile_depth; ++k) {
      float of_tokens[thread_side], of_outputs[thread_side];
      KVCACHE_UNROLL
      for (int i = 0; i < thread_side; ++i) {
        of_tokens[i] = tokens[k][ty + i * tile_side];
        of_outputs[i] = outputs[k][tx + i * tile_side];
      }
      KVCACHE_UNROLL
      for (int i = 0; i < thread_side; ++i) KVCACHE_UNROLL
      for (int j = 0; j < thread_side; ++j) sums[i][j] += of_tokens[i] * of_outputs[j];
    }
    __syncthreads();  // before the tile is overwritten
  }
  for (int i = 0; i < thread_side; ++i)
    for (int j = 0; j < thread_side; ++j) {
      const int token = first_token + ty + i * tile_side, output = first_output + tx + j * tile_side;
      if (token < p.tokens && output < p.outputs) finish_output(p, token, output, sums[i][j]);
    }
}

/// `at_once`: tokens of one launch. Along y a grid has at most 65,535 blocks.
template <class Weight>
void project(const Product<Weight>& p, Stream& stream, int at_once = 65535 * tile_size) {
  if (p.tokens == 1)
    return stream.launch(multiply_vector<Weight>, dim3(pieces(p.outputs, product_warps)), dim3(32 * product_warps), 0,
                         p);
  for (int first = 0; first < p.tokens; first += at_once) {
    Product<Weight> part = p;
    part.x += static_cast<long>(first) * p.inputs, part.y += static_cast<long>(first) * p.outputs;
    part.tokens = std::min(at_once, p.tokens - first);
    stream.launch(multiply_tiles<Weight>, dim3(pieces(p.outputs, tile_size), pieces(part.tokens, tile_size)),
                  dim3(tile_side, tile_side), 0, part);
  }
}

}  // namespace kvcache::cuda
