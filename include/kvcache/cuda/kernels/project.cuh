// Kernels: y = x W^T + bias. For one token every weight is used once, so what counts is to read it at full bandwidth;
// for many tokens it is used for each, so what counts is to keep it near while it is.
#pragma once

#include <algorithm>
#include <type_traits>

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

/// Four weights as one load brings them. They are unpacked when they are used: to unpack is to wait for them.
template <class Weight>
using PackedFour = std::conditional_t<std::is_same_v<Weight, float>, float4, uint2>;
template <class Weight>
__device__ PackedFour<Weight> load_four(const Weight* from) {
  return *reinterpret_cast<const PackedFour<Weight>*>(from);
}
__device__ inline Four unpack(const float4& four) { return {four.x, four.y, four.z, four.w}; }
__device__ inline Four unpack(const uint2& four) { return four_halves(reinterpret_cast<const __half*>(&four)); }

template <class Weight>
__device__ void finish_output(const Product<Weight>& p, int token, int output, float sum) {
  float* y = p.y + static_cast<long>(token) * p.outputs + output;
  *y = (p.adds ? *y : 0.0f) + sum + (p.bias ? p.bias[output] : 0.0f);
}

inline constexpr int product_warps = 4;

/// One token, or a few: a block's are the `most` tokens from blockIdx.y * most on. A warp has one output: its lanes read
/// neighbouring weights, four each, and use them for each token. Eight loads are on their way before the first is used:
/// one alone would leave the memory waiting. inputs: a multiple of 4. grid (outputs / product_warps, tokens / most).
template <class Weight, int most>
__global__ void multiply_few(Product<Weight> p) {
  constexpr int ahead = 8;
  const int output = static_cast<int>(blockIdx.x) * product_warps + warp();
  if (output >= p.outputs) return;  // a whole warp leaves
  const int first_token = static_cast<int>(blockIdx.y) * most, tokens = min(most, p.tokens - first_token);
  const Weight* row = p.weight + static_cast<long>(output) * p.inputs;
  const float* x = p.x + static_cast<long>(first_token) * p.inputs;
  float sums[most] = {};
  for (int first = lane() * 4; first < p.inputs; first += ahead * 128) {
    PackedFour<Weight> weights[ahead];
    KVCACHE_UNROLL
    for (int j = 0; j < ahead; ++j)
      weights[j] = first + j * 128 < p.inputs ? load_four(row + first + j * 128) : PackedFour<Weight>{};
    KVCACHE_UNROLL
    for (int t = 0; t < most; ++t) KVCACHE_UNROLL
    for (int j = 0; j < ahead; ++j)
      if (t < tokens && first + j * 128 < p.inputs)
        sums[t] += dot(unpack(weights[j]), four_floats(x + static_cast<long>(t) * p.inputs + first + j * 128));
  }
  KVCACHE_UNROLL
  for (int t = 0; t < most; ++t) {
    const float sum = warp_sum(sums[t]);
    if (lane() == 0 && t < tokens) finish_output(p, first_token + t, output, sum);
  }
}

/// Many tokens. A block has a tile of `tall` tokens by `wide` outputs, each thread 4 by 4 of them. The block carries
/// `depth` inputs at a time of the tile's tokens and weights to shared memory, where each number that was fetched is
/// used `wide`, or `tall`, times. While these are used, the next are on their way. inputs: a multiple of 4.
/// grid (outputs / wide, tokens / tall), block (wide / 4 * tall / 4).
template <class Weight, int tall, int wide, int depth>
__global__ void __launch_bounds__(tall* wide / 16) multiply_tiles(Product<Weight> p) {
  constexpr int threads = tall * wide / 16, fours = depth / 4;  // of a row of the tile
  constexpr int token_loads = tall * fours / threads, weight_loads = wide * fours / threads;
  static_assert(token_loads * threads == tall * fours && weight_loads * threads == wide * fours);
  KVCACHE_SHARED(float4, tokens, [depth][tall / 4 + 1]);  // by inputs; one more: what a warp writes lies in other banks
  KVCACHE_SHARED(float4, outputs, [depth][wide / 4 + 1]);
  const int me = static_cast<int>(threadIdx.x), tx = me % (wide / 4), ty = me / (wide / 4);
  const int first_token = static_cast<int>(blockIdx.y) * tall, first_output = static_cast<int>(blockIdx.x) * wide;

  float4 next_tokens[token_loads];
  PackedFour<Weight> next_weights[weight_loads];
  const auto fetch = [&](int first) {  // a thread's loads: neighbours have neighbouring inputs of a row
    KVCACHE_UNROLL
    for (int i = 0; i < token_loads; ++i) {
      const int token = first_token + (me + i * threads) / fours, input = first + (me + i * threads) % fours * 4;
      const bool is_there = token < p.tokens && input < p.inputs;
      next_tokens[i] = is_there ? load_four(p.x + static_cast<long>(token) * p.inputs + input) : float4{};
    }
    KVCACHE_UNROLL
    for (int i = 0; i < weight_loads; ++i) {
      const int output = first_output + (me + i * threads) / fours, input = first + (me + i * threads) % fours * 4;
      const bool is_there = output < p.outputs && input < p.inputs;
      next_weights[i] =
          is_there ? load_four(p.weight + static_cast<long>(output) * p.inputs + input) : PackedFour<Weight>{};
    }
  };
  const auto put_down = [&](const Four& numbers, int load, float* tile, int stride) {
    float* to = tile + load % fours * 4 * stride + load / fours;
    to[0] = numbers.x, to[stride] = numbers.y, to[2 * stride] = numbers.z, to[3 * stride] = numbers.w;
  };

  float sums[4][4] = {};
  fetch(0);
  for (int first = 0; first < p.inputs; first += depth) {
    KVCACHE_UNROLL
    for (int i = 0; i < token_loads; ++i)
      put_down(unpack(next_tokens[i]), me + i * threads, reinterpret_cast<float*>(&tokens[0][0]), tall + 4);
    KVCACHE_UNROLL
    for (int i = 0; i < weight_loads; ++i)
      put_down(unpack(next_weights[i]), me + i * threads, reinterpret_cast<float*>(&outputs[0][0]), wide + 4);
    __syncthreads();
    if (first + depth < p.inputs) fetch(first + depth);
    KVCACHE_UNROLL
    for (int k = 0; k < depth; ++k) {
      const float4 t = tokens[k][ty], o = outputs[k][tx];
      const float of_tokens[4] = {t.x, t.y, t.z, t.w}, of_outputs[4] = {o.x, o.y, o.z, o.w};
      KVCACHE_UNROLL
      for (int i = 0; i < 4; ++i) KVCACHE_UNROLL
      for (int j = 0; j < 4; ++j) sums[i][j] += of_tokens[i] * of_outputs[j];
    }
    __syncthreads();  // before the tile is overwritten
  }
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j) {
      const int token = first_token + 4 * ty + i, output = first_output + 4 * tx + j;
      if (token < p.tokens && output < p.outputs) finish_output(p, token, output, sums[i][j]);
    }
}

template <class Weight, int most>
void launch_few(const Product<Weight>& p, Stream& stream) {
  stream.launch(multiply_few<Weight, most>, dim3(pieces(p.outputs, product_warps), pieces(p.tokens, most)),
                dim3(32 * product_warps), 0, p);
}
template <class Weight, int tall, int wide, int depth>
void launch_tiles(const Product<Weight>& p, Stream& stream) {
  stream.launch(multiply_tiles<Weight, tall, wide, depth>, dim3(pieces(p.outputs, wide), pieces(p.tokens, tall)),
                dim3(tall * wide / 16), 0, p);
}

/// Up to so many tokens are few. So many large tiles keep a device busy: one for each of its multiprocessors, more or
/// less. With fewer of them, small tiles are faster. [MEASURED on an H200, for the sizes of four models]
inline constexpr int few_tokens = 16, enough_tiles = 132;

/// Which kernel, cut how. `at_once`: tokens of one launch. Along y a grid has at most 65,535 blocks.
template <class Weight>
void project(const Product<Weight>& p, Stream& stream, int at_once = 65535 * 32) {
  const bool is_large = pieces(p.outputs, 64) * pieces(p.tokens, 64) >= enough_tiles;
  for (int first = 0; first < p.tokens; first += at_once) {
    Product<Weight> part = p;
    part.x += static_cast<long>(first) * p.inputs, part.y += static_cast<long>(first) * p.outputs;
    part.tokens = std::min(at_once, p.tokens - first);
    if (p.tokens == 1)
      launch_few<Weight, 1>(part, stream);
    else if (p.tokens <= few_tokens)
      launch_few<Weight, 4>(part, stream);
    else if (is_large)
      launch_tiles<Weight, 64, 64, 16>(part, stream);
    else
      launch_tiles<Weight, 32, 32, 32>(part, stream);
  }
}

}  // namespace kvcache::cuda
