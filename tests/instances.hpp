// The templates that take longest to compile, Eigen's matrix products, compiled once for all tests (in instances.cpp).
#pragma once

#include "kvcache/math/products.hpp"

#define KVCACHE_TESTS_INSTANCES(EXTERN, Scalar)                                                           \
  EXTERN template void kvcache::multiply_rows(MatrixIn<Scalar>, MatrixIn<Scalar>, MatrixOut<Scalar>);     \
  EXTERN template void kvcache::add_weighted_rows(MatrixIn<Scalar>, MatrixIn<Scalar>, MatrixOut<Scalar>); \
  EXTERN template void kvcache::multiply_rows(const Scalar*, MatrixIn<Scalar>, Scalar*);                  \
  EXTERN template void kvcache::add_weighted_rows(const Scalar*, MatrixIn<Scalar>, Scalar*);
using kvcache::MatrixIn, kvcache::MatrixOut;
KVCACHE_TESTS_INSTANCES(extern, float)
KVCACHE_TESTS_INSTANCES(extern, double)
