// The two products of attention over stored rows: scores = Q K^T and output += W V.
#pragma once

#include <algorithm>
#include <concepts>

#include "kvcache/math/few_tokens.hpp"
#include "kvcache/math/products.hpp"

namespace kvcache::detail {

/// Up to so many queries, one vector product each beats packing the rows for a matrix product.
inline constexpr int few = 8;
/// 16 KB of floats: they stay in the first-level cache while all queries read them.
inline constexpr int piece_numbers = 4096;

/// Some rows as they are stored, perhaps in a narrower type than they are computed with.
template <class Stored>
struct StoredRows {
  const Stored* numbers;  // [rows, head_dim], contiguous
  int rows, head_dim;

  StoredRows slice(int first, int count) const { return {numbers + std::ptrdiff_t(first) * head_dim, count, head_dim}; }
  auto matrix() const { return Eigen::Map<const Matrix<Stored>>(numbers, rows, head_dim); }

  /// Calls product(rows as Scalar, first) for pieces of the rows; unpacked on the stack if they are stored otherwise.
  template <class Scalar>
  void for_each_piece(auto&& product) const {
    const int at_once = std::max(1, piece_numbers / head_dim);
    for (int first = 0; first < rows; first += at_once) {
      const StoredRows piece = slice(first, std::min(at_once, rows - first));
      if constexpr (std::same_as<Scalar, Stored>) {
        product(in(piece.matrix()), first);
      } else {
        alignas(64) Scalar unpacked[piece_numbers];
        Eigen::Map<Matrix<Scalar>> as_scalar(unpacked, piece.rows, head_dim);
        as_scalar = piece.matrix().template cast<Scalar>();
        product(in(as_scalar), first);
      }
    }
  }
};

/// scores [m, rows] = queries [m, head_dim] K^T.
template <class Scalar, class Rows>
void score_rows(const MatrixIn<Scalar>& queries, const Rows& stored, MatrixOut<Scalar>& scores) {
  stored.template for_each_piece<Scalar>([&](const MatrixIn<Scalar>& rows, int first) {
    if (queries.rows() > few)
      multiply_rows(queries, rows, out(scores.middleCols(first, rows.rows())));
    else if constexpr (std::same_as<Scalar, float>)
      multiply_few_tokens(queries, rows, out(scores.middleCols(first, rows.rows())));
    else
      for (int i = 0; i < queries.rows(); ++i) multiply_rows(at(queries, i, 0), rows, at(scores, i, first));
  });
}

/// output [m, head_dim] += weights [m, rows] V.
template <class Scalar, class Rows>
void accumulate_rows(const MatrixIn<Scalar>& weights, const Rows& stored, MatrixOut<Scalar>& output) {
  stored.template for_each_piece<Scalar>([&](const MatrixIn<Scalar>& rows, int first) {
    if (weights.rows() > few)
      add_weighted_rows(in(weights.middleCols(first, rows.rows())), rows, output);
    else if constexpr (std::same_as<Scalar, float>)
      add_few_weighted_rows(in(weights.middleCols(first, rows.rows())), rows, output);
    else
      for (int i = 0; i < weights.rows(); ++i) add_weighted_rows(at(weights, i, first), rows, at(output, i, 0));
  });
}

}  // namespace kvcache::detail
