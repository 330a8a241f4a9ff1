// A matrix of random numbers between -size and size.
#pragma once

#include "kvcache/core/matrix.hpp"
#include "kvcache/core/random.hpp"

inline kvcache::Matrix<double> random_matrix(int rows, int columns, kvcache::Random& random, double size = 1) {
  kvcache::Matrix<double> m(rows, columns);
  for (double& x : m.reshaped()) x = random.uniform(-size, size);
  return m;
}
