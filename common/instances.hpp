// The templates that take longest to compile, Eigen's matrix products, compiled once for all programs and tests (in
// instances.cpp).
#pragma once

#include "kvcache/math/linear.hpp"

namespace kvcache {

#define KVCACHE_INSTANCES(EXTERN, Scalar)                                                        \
  EXTERN template void multiply_rows(MatrixIn<Scalar>, MatrixIn<Scalar>, MatrixOut<Scalar>);     \
  EXTERN template void add_weighted_rows(MatrixIn<Scalar>, MatrixIn<Scalar>, MatrixOut<Scalar>); \
  EXTERN template void multiply_rows(const Scalar*, MatrixIn<Scalar>, Scalar*);                  \
  EXTERN template void add_weighted_rows(const Scalar*, MatrixIn<Scalar>, Scalar*);              \
  EXTERN template void project(MatrixIn<Scalar>, const WeightMatrix<Scalar>&, const Vector<Scalar>&, MatrixOut<Scalar>);
KVCACHE_INSTANCES(extern, float)
KVCACHE_INSTANCES(extern, double)

}  // namespace kvcache
