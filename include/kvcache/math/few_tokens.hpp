// The matrix product of few tokens: y = x W^T without packing W anew for each product, as a general product would.
#pragma once

#include <algorithm>
#include <bit>
#include <utility>

#include "kvcache/core/matrix.hpp"
#include "kvcache/math/processor.hpp"
#include "kvcache/math/vectors.hpp"

namespace kvcache::detail {
inline namespace KVCACHE_PROCESSOR {

using vectors::Floats, vectors::lanes, vectors::load_floats, vectors::store_floats, vectors::store_first;

/// Weights and cached rows come from memory in order. Several rows side by side are more than the processor foresees,
/// so it is told: 4 KB ahead.
inline Floats load_and_look_ahead(const float* from) {
  __builtin_prefetch(from + 1024);
  return load_floats(from);
}

/// A tile of y that fits in the processor's vector registers with what it is computed from.
inline constexpr int tile_tokens = lanes == 16 ? 6 : 3, tile_outputs = lanes == 16 ? 4 : 3;

/// Rows of x and of W both lie in order, so a tile is `tokens` times `outputs` dot products side by side: each vector
/// that is loaded is used several times.
template <int tokens, int outputs>
void multiply_tile(const MatrixIn<float>& x, const MatrixIn<float>& w, MatrixOut<float>& y, Eigen::Index token,
                   Eigen::Index output) {
  const Eigen::Index inputs = x.cols(), x_step = x.outerStride(), w_step = w.outerStride();
  const float *from = at(x, token, 0), *row = at(w, output, 0);
  constexpr int padded = int(std::bit_ceil(unsigned(outputs)));
  Floats sums[tokens][padded] = {};
  Eigen::Index i = 0;
  for (; i + lanes <= inputs; i += lanes) {
    Floats weights[outputs];
    for (int o = 0; o < outputs; ++o) weights[o] = load_and_look_ahead(row + o * w_step + i);
    for (int t = 0; t < tokens; ++t) {
      const Floats numbers = load_floats(from + t * x_step + i);
      for (int o = 0; o < outputs; ++o) sums[t][o] += numbers * weights[o];
    }
  }
  // Spelled out token by token: in a loop the sums would be written to memory and read again.
  const auto store = [&]<int... t>(std::integer_sequence<int, t...>) {
    (..., store_first<outputs>(vectors::sums_of<padded>(sums[t]), at(y, token + t, output)));
  };
  store(std::make_integer_sequence<int, tokens>());
  for (; i < inputs; ++i)
    for (int t = 0; t < tokens; ++t)
      for (int o = 0; o < outputs; ++o) y(token + t, output + o) += from[t * x_step + i] * row[o * w_step + i];
}
/// All tokens with some rows of W, which stay in the first-level cache meanwhile.
template <int outputs, int tokens = tile_tokens>
void multiply_band(const MatrixIn<float>& x, const MatrixIn<float>& w, MatrixOut<float>& y, Eigen::Index output,
                   Eigen::Index token = 0) {
  for (; token + tokens <= x.rows(); token += tokens) multiply_tile<tokens, outputs>(x, w, y, token, output);
  if constexpr (tokens > 1)
    if (token < x.rows()) multiply_band<outputs, tokens - 1>(x, w, y, output, token);
}

/// x [n, inputs], w [outputs, inputs], y [n, outputs].
inline void multiply_few_tokens(const MatrixIn<float>& x, const MatrixIn<float>& w, MatrixOut<float> y) {
  Eigen::Index output = 0;
  for (; output + tile_outputs <= w.rows(); output += tile_outputs) multiply_band<tile_outputs>(x, w, y, output);
  for (; output < w.rows(); ++output) multiply_band<1>(x, w, y, output);
}

/// Up to here that is faster than Eigen's product: packing costs as much as so many tokens, less where rows are short
/// and sums of vectors are added up often. [MEASURED: docs/speed.md]
inline bool are_few_tokens(Eigen::Index tokens, Eigen::Index inputs) {
  return tokens <= std::min<Eigen::Index>(96, inputs / 12);
}

/// A tile of y: some rows, some vectors wide. Each number of b that is loaded is used for all of them, and each number
/// of y is summed in the order of b's rows, however b is cut into pieces.
template <int rows, int vectors>
void add_weighted_tile(const MatrixIn<float>& weights, const MatrixIn<float>& b, MatrixOut<float>& y, Eigen::Index row,
                       Eigen::Index column) {
  Floats sums[rows][vectors];
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v) sums[r][v] = load_floats(at(y, row + r, column + v * lanes));
  for (Eigen::Index k = 0; k < b.rows(); ++k) {
    Floats numbers[vectors];
    for (int v = 0; v < vectors; ++v) numbers[v] = load_and_look_ahead(at(b, k, column + v * lanes));
    for (int r = 0; r < rows; ++r)
      for (int v = 0; v < vectors; ++v) sums[r][v] += weights(row + r, k) * numbers[v];
  }
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v) store_floats(sums[r][v], at(y, row + r, column + v * lanes));
}
/// All rows of y, some vectors wide.
template <int vectors, int rows = tile_tokens>
void add_weighted_band(const MatrixIn<float>& weights, const MatrixIn<float>& b, MatrixOut<float>& y,
                       Eigen::Index column, Eigen::Index row = 0) {
  for (; row + rows <= y.rows(); row += rows) add_weighted_tile<rows, vectors>(weights, b, y, row, column);
  if constexpr (rows > 1)
    if (row < y.rows()) add_weighted_band<vectors, rows - 1>(weights, b, y, column, row);
}

/// y [n, columns] += weights [n, k] b [k, columns]: the sum of a few cached values, for few queries.
inline void add_few_weighted_rows(const MatrixIn<float>& weights, const MatrixIn<float>& b, MatrixOut<float> y) {
  Eigen::Index column = 0;
  for (; column + tile_outputs * lanes <= y.cols(); column += tile_outputs * lanes)
    add_weighted_band<tile_outputs>(weights, b, y, column);
  for (; column + lanes <= y.cols(); column += lanes) add_weighted_band<1>(weights, b, y, column);
  for (; column < y.cols(); ++column)
    for (Eigen::Index row = 0; row < y.rows(); ++row)
      for (Eigen::Index k = 0; k < b.rows(); ++k) y(row, column) += weights(row, k) * b(k, column);
}

}  // namespace KVCACHE_PROCESSOR
}  // namespace kvcache::detail
