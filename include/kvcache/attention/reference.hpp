// Attention as the textbook writes it: one query, all keys, no tiles, no cache. Slow and obvious: the tests' oracle.
#pragma once

#include <cmath>
#include <vector>

#include "kvcache/core/matrix.hpp"
#include "kvcache/math/softmax.hpp"

namespace kvcache {

/// softmax(q K^T / sqrt(head_dim)) V for one query [head_dim] over keys and values [rows, head_dim]; output [head_dim].
/// Vaswani et al., "Attention Is All You Need", 2017, equation 1. The weights [rows] are left in `weights`, if given.
template <class Scalar>
Vector<Scalar> reference_attention(const Vector<Scalar>& query, const Matrix<Scalar>& keys,
                                   const Matrix<Scalar>& values, std::vector<Scalar>* weights = nullptr) {
  std::vector<Scalar> scores;
  for (int row = 0; row < keys.rows(); ++row) {
    Scalar dot = 0;
    for (int d = 0; d < keys.cols(); ++d) dot += query[d] * keys(row, d);
    scores.push_back(dot / std::sqrt(Scalar(keys.cols())));
  }
  softmax(std::span(scores));
  Vector<Scalar> output = Vector<Scalar>::Zero(values.cols());
  for (int row = 0; row < values.rows(); ++row)
    for (int d = 0; d < values.cols(); ++d) output[d] += scores[std::size_t(row)] * values(row, d);
  if (weights) *weights = scores;
  return output;
}

}  // namespace kvcache
