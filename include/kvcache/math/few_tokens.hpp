// The matrix product of few tokens: y = x W^T without packing W anew for each product, as a general product would.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "kvcache/core/matrix.hpp"

namespace kvcache::detail {

/// As many floats as a vector register of the processor holds, by the extension that g++ and clang share.
#if defined(__AVX512F__)
inline constexpr int lanes = 16;
#elif defined(__AVX__)
inline constexpr int lanes = 8;
#else
inline constexpr int lanes = 4;
#endif
template <int count>
struct FloatVector {
  typedef float Type __attribute__((vector_size(count * sizeof(float))));
};
using Floats = FloatVector<lanes>::Type;

inline Floats load_floats(const float* from) {  // at any address
  Floats floats;
  std::memcpy(&floats, from, sizeof floats);
  return floats;
}
/// The sum of a vector's numbers: halves are added until one number is left.
template <int count>
float sum_of(typename FloatVector<count>::Type floats) {
  if constexpr (count == 2) return floats[0] + floats[1];
  const auto halves = std::bit_cast<std::array<typename FloatVector<count / 2>::Type, 2>>(floats);
  if constexpr (count > 2) return sum_of<count / 2>(halves[0] + halves[1]);
}

/// A tile of y that fits in the processor's vector registers with what it is computed from.
inline constexpr int tile_tokens = lanes == 16 ? 6 : 3, tile_outputs = lanes == 16 ? 4 : 3;

/// Rows of x and of W both lie in order, so a tile is `tokens` times `outputs` dot products side by side: each vector
/// that is loaded is used several times.
template <int tokens, int outputs>
void multiply_tile(MatrixIn<float> x, MatrixIn<float> w, MatrixOut<float> y, Eigen::Index token, Eigen::Index output) {
  const Eigen::Index inputs = x.cols(), x_step = x.outerStride(), w_step = w.outerStride();
  const float *from = at(x, token, 0), *row = at(w, output, 0);
  Floats sums[tokens][outputs] = {};
  Eigen::Index i = 0;
  for (; i + lanes <= inputs; i += lanes) {
    Floats weights[outputs];
    for (int o = 0; o < outputs; ++o) weights[o] = load_floats(row + o * w_step + i);
    for (int t = 0; t < tokens; ++t) {
      const Floats numbers = load_floats(from + t * x_step + i);
      for (int o = 0; o < outputs; ++o) sums[t][o] += numbers * weights[o];
    }
  }
  for (int t = 0; t < tokens; ++t)
    for (int o = 0; o < outputs; ++o) {
      float sum = sum_of<lanes>(sums[t][o]);
      for (Eigen::Index rest = i; rest < inputs; ++rest) sum += from[t * x_step + rest] * row[o * w_step + rest];
      y(token + t, output + o) = sum;
    }
}
/// All tokens with some rows of W, which stay in the first-level cache meanwhile.
template <int outputs, int tokens = tile_tokens>
void multiply_band(MatrixIn<float> x, MatrixIn<float> w, MatrixOut<float> y, Eigen::Index output,
                   Eigen::Index token = 0) {
  for (; token + tokens <= x.rows(); token += tokens) multiply_tile<tokens, outputs>(x, w, y, token, output);
  if constexpr (tokens > 1)
    if (token < x.rows()) multiply_band<outputs, tokens - 1>(x, w, y, output, token);
}

/// x [n, inputs], w [outputs, inputs], y [n, outputs].
inline void multiply_few_tokens(MatrixIn<float> x, MatrixIn<float> w, MatrixOut<float> y) {
  Eigen::Index output = 0;
  for (; output + tile_outputs <= w.rows(); output += tile_outputs) multiply_band<tile_outputs>(x, w, y, output);
  for (; output < w.rows(); ++output) multiply_band<1>(x, w, y, output);
}

/// Up to here that is faster than Eigen's product: packing costs as much as so many tokens, less where rows are short
/// and sums of vectors are added up often. [MEASURED: docs/speed.md]
inline bool are_few_tokens(Eigen::Index tokens, Eigen::Index inputs) {
  return tokens <= std::min<Eigen::Index>(96, inputs / 12);
}

}  // namespace kvcache::detail
