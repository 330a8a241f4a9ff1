// Projection: y = x W^T + b, for one token (a matrix-vector product, limited by memory) or many (a matrix product, by
// arithmetic). A few tokens are in between: math/few_tokens.hpp.
#pragma once

#include "kvcache/core/parallel.hpp"
#include "kvcache/math/few_tokens.hpp"
#include "kvcache/math/products.hpp"
#include "kvcache/math/weight_matrix.hpp"

namespace kvcache {

namespace detail {

/// y = x rows^T: x [n, inputs], rows [outputs, inputs] as numbers.
template <class Scalar>
void multiply_numbers(MatrixIn<Scalar> x, MatrixIn<Scalar> rows, MatrixOut<Scalar> y) {
  if (x.rows() == 1) return multiply_rows(x.data(), rows, y.data());
  if constexpr (std::is_same_v<Scalar, float>)
    if (are_few_tokens(x.rows(), x.cols())) return multiply_few_tokens(x, rows, y);
  multiply_rows(x, rows, y);
}

/// y = x rows^T for many tokens. Packed rows are unpacked a tile at a time: the tile stays in the second-level cache
/// while all tokens pass.
inline void multiply_tiles(MatrixIn<float> x, const WeightRows<float>& rows, MatrixOut<float> y) {
  constexpr int tile_rows = 64;  // 64 to 512 are alike
  static thread_local Room<float> room;
  auto tile = room(tile_rows, rows.cols);
  for (int first = 0; first < rows.count; first += tile_rows) {
    const int count = std::min(tile_rows, rows.count - first);
    rows.format->unpack(rows.slice(first, count).packed, count, rows.cols, tile.data());
    multiply_numbers<float>(x, in(tile.topRows(count)), out(y.middleCols(first, count)));
  }
}

template <class Scalar>
void multiply_run(MatrixIn<Scalar> x, const WeightRows<Scalar>& rows, MatrixOut<Scalar> y) {
  if constexpr (std::is_same_v<Scalar, float>) {
    if (rows.is_packed() && x.rows() == 1)
      return rows.format->multiply(rows.packed, rows.count, rows.cols, x.data(), y.data());
    if (rows.is_packed()) return multiply_tiles(x, rows, y);
  }
  multiply_numbers<Scalar>(x, rows.dense(), y);
}

}  // namespace detail

/// x [n, inputs], weights [outputs, inputs], bias [outputs] or empty, y [n, outputs].
/// Every thread takes a run of outputs, so W is read once in all; one Eigen call each is faster than Eigen's own
/// threads, which split small products badly.
template <class Scalar>
void project(MatrixIn<Scalar> x, const WeightMatrix<Scalar>& weights, const Vector<Scalar>& bias, MatrixOut<Scalar> y) {
  parallel_runs(weights.rows(), /*parallel*/ true, [&](long first, long count) {
    weights.for_each_run(int(first), int(count), [&](const WeightRows<Scalar>& rows, int at_row) {
      detail::multiply_run(x, rows, out(y.middleCols(at_row, rows.count)));
    });
    if (bias.size() == 0) return;
    for (Eigen::Index t = 0; t < y.rows(); ++t)
      ArrayOut<Scalar>(at(y, t, first), count) += ArrayIn<Scalar>(bias.data() + first, count);
  });
}

}  // namespace kvcache
