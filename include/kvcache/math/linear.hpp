// Projection: y = x W^T + b, for one token (a matrix-vector product, limited by memory) or many (a matrix product, by
// arithmetic).
#pragma once

#include "kvcache/core/matrix.hpp"
#include "kvcache/core/parallel.hpp"

namespace kvcache {

/// x [n, inputs], weights [outputs, inputs], bias [outputs] or empty, y [n, outputs].
/// Every thread takes a run of outputs, so W is read once in all; one Eigen call each is faster than Eigen's own
/// threads, which split small products badly.
template <class Scalar>
void project(MatrixIn<Scalar> x, const Matrix<Scalar>& weights, const Vector<Scalar>& bias, MatrixOut<Scalar> y) {
  parallel_runs(weights.rows(), /*parallel*/ true, [&](long first, long count) {
    if (x.rows() == 1)
      y.row(0).segment(first, count).transpose().noalias() = weights.middleRows(first, count) * x.row(0).transpose();
    else
      y.middleCols(first, count).noalias() = x * weights.middleRows(first, count).transpose();
    if (bias.size() > 0) y.middleCols(first, count).rowwise() += bias.segment(first, count).transpose();
  });
}

}  // namespace kvcache
