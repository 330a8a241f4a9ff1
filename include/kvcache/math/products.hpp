// The four matrix products that a decoder is made of. They stand in one place, over one argument type, so that Eigen's
// kernels are compiled once for projections and attention alike.
#pragma once

#include "kvcache/core/matrix.hpp"

namespace kvcache {

/// y = a b^T: a [m, k], b [n, k], y [m, n]. Rows with rows: a projection of many tokens, or the scores of many queries.
template <class Scalar>
void multiply_rows(MatrixIn<Scalar> a, MatrixIn<Scalar> b, MatrixOut<Scalar> y) {
  y.noalias() = a * b.transpose();
}
/// y += a b: a [m, k], b [k, n], y [m, n]. Weighted sums of rows.
template <class Scalar>
void add_weighted_rows(MatrixIn<Scalar> a, MatrixIn<Scalar> b, MatrixOut<Scalar> y) {
  y.noalias() += a * b;
}

namespace detail {
template <class Scalar>
using VectorIn = Eigen::Map<const Vector<Scalar>>;
template <class Scalar>
using VectorOut = Eigen::Map<Vector<Scalar>>;
}  // namespace detail

/// y = b x for one row x [k]: b [n, k], y [n]. A matrix-vector product: every number of b is read once.
template <class Scalar>
void multiply_rows(const Scalar* x, MatrixIn<Scalar> b, Scalar* y) {
  detail::VectorOut<Scalar>(y, b.rows()).noalias() = b * detail::VectorIn<Scalar>(x, b.cols());
}
/// y += b^T w for one row of weights w [k]: b [k, n], y [n].
template <class Scalar>
void add_weighted_rows(const Scalar* w, MatrixIn<Scalar> b, Scalar* y) {
  detail::VectorOut<Scalar>(y, b.cols()).noalias() += b.transpose() * detail::VectorIn<Scalar>(w, b.rows());
}

}  // namespace kvcache
