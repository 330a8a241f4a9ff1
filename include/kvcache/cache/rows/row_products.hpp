// The two products of attention over stored rows: scores = Q K^T and output += W V.
#pragma once

#include <algorithm>
#include <concepts>

#include "kvcache/core/matrix.hpp"

namespace kvcache::detail {

inline constexpr int few = 8;  // up to so many queries, one vector product each beats packing the rows for a matrix product
inline constexpr int piece_numbers = 4096;  // 16 KB of floats: stay in the first-level cache while all queries read them

/// Some rows as they are stored, perhaps in a narrower type than they are computed with.
template <class Stored>
struct StoredRows {
  const Stored* numbers;  // [rows, head_dim], contiguous
  int rows, head_dim;

  StoredRows slice(int first, int count) const {
    return {numbers + std::ptrdiff_t(first) * head_dim, count, head_dim};
  }
  auto matrix() const { return Eigen::Map<const Matrix<Stored>>(numbers, rows, head_dim); }

  /// Calls product(rows as Scalar, first) for pieces of the rows; unpacked on the stack if they are stored otherwise.
  template <class Scalar>
  void for_each_piece(auto&& product) const {
    const int at_once = std::max(1, piece_numbers / head_dim);
    for (int first = 0; first < rows; first += at_once) {
      const StoredRows piece = slice(first, std::min(at_once, rows - first));
      if constexpr (std::same_as<Scalar, Stored>) {
        product(piece.matrix(), first);
      } else {
        alignas(64) Scalar unpacked[piece_numbers];
        Eigen::Map<Matrix<Scalar>> as_scalar(unpacked, piece.rows, head_dim);
        as_scalar = piece.matrix().template cast<Scalar>();
        product(Eigen::Map<const Matrix<Scalar>>(unpacked, piece.rows, head_dim), first);
      }
    }
  }
};

template <class Scalar, class Rows>
void score_rows(const MatrixIn<Scalar>& queries, const Rows& stored, MatrixOut<Scalar>& scores) {
  stored.template for_each_piece<Scalar>([&](const auto& rows, int first) {
    auto part = scores.middleCols(first, rows.rows());
    if (queries.rows() > few)
      part.noalias() = queries * rows.transpose();
    else
      for (int i = 0; i < queries.rows(); ++i) part.row(i).transpose().noalias() = rows * queries.row(i).transpose();
  });
}

template <class Scalar, class Rows>
void accumulate_rows(const MatrixIn<Scalar>& weights, const Rows& stored, MatrixOut<Scalar>& output) {
  stored.template for_each_piece<Scalar>([&](const auto& rows, int first) {
    const auto part = weights.middleCols(first, rows.rows());
    if (weights.rows() > few)
      output.noalias() += part * rows;
    else
      for (int i = 0; i < weights.rows(); ++i)
        output.row(i).transpose().noalias() += rows.transpose() * part.row(i).transpose();
  });
}

}  // namespace kvcache::detail
