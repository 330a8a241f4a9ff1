// Projection: y = x W^T + b, for one token (a matrix-vector product, limited by memory) or many (a matrix product, by
// arithmetic).
#pragma once

#include "kvcache/core/parallel.hpp"
#include "kvcache/math/products.hpp"

namespace kvcache {

/// x [n, inputs], weights [outputs, inputs], bias [outputs] or empty, y [n, outputs].
/// Every thread takes a run of outputs, so W is read once in all; one Eigen call each is faster than Eigen's own
/// threads, which split small products badly.
template <class Scalar>
void project(MatrixIn<Scalar> x, const Matrix<Scalar>& weights, const Vector<Scalar>& bias, MatrixOut<Scalar> y) {
  parallel_runs(weights.rows(), /*parallel*/ true, [&](long first, long count) {
    const MatrixIn<Scalar> part = in(weights.middleRows(first, count));
    if (x.rows() == 1)
      multiply_rows(x.data(), part, at(y, 0, first));
    else
      multiply_rows(x, part, out(y.middleCols(first, count)));
    if (bias.size() == 0) return;
    for (Eigen::Index t = 0; t < y.rows(); ++t)
      ArrayOut<Scalar>(at(y, t, first), count) += ArrayIn<Scalar>(bias.data() + first, count);
  });
}

}  // namespace kvcache
