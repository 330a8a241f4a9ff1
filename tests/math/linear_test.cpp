#include "kvcache/math/linear.hpp"

#include <doctest/doctest.h>

#include "common/instances.hpp"
#include "random_matrix.hpp"
#include "threads.hpp"

using namespace kvcache;

namespace {
/// Sum by sum.
Matrix<double> slow(const Matrix<double>& x, const Matrix<double>& weights, const Vector<double>& bias) {
  Matrix<double> y(x.rows(), weights.rows());
  for (int t = 0; t < x.rows(); ++t)
    for (int o = 0; o < weights.rows(); ++o) {
      y(t, o) = bias.size() > 0 ? bias[o] : 0;
      for (int i = 0; i < x.cols(); ++i) y(t, o) += x(t, i) * weights(o, i);
    }
  return y;
}
}  // namespace

TEST_CASE("a projection is what the sums say, for one token and many, with a bias and without, in threads") {
  Random random(1);
  for (const int tokens : {1, 2, 9, 33})
    for (const auto& [outputs, inputs] : {std::pair{1, 1}, {7, 13}, {40, 24}})
      for (const bool biased : {false, true})
        for (const int threads : {1, 2, 3}) {
          const Threads scope(threads);
          const Matrix<double> x = random_matrix(tokens, inputs, random), w = random_matrix(outputs, inputs, random);
          const Vector<double> bias =
              biased ? Vector<double>(random_matrix(1, outputs, random).row(0)) : Vector<double>();
          Matrix<double> y = Matrix<double>::Constant(tokens, outputs, 1e6);
          project(in(x), WeightMatrix<double>(w), bias, out(y));
          CHECK((y - slow(x, w, bias)).cwiseAbs().maxCoeff() < 1e-13);
          Matrix<float> narrow(tokens, outputs);
          const Matrix<float> x32 = x.cast<float>(), w32 = w.cast<float>();
          const Vector<float> bias32 = bias.cast<float>();
          project(in(x32), WeightMatrix<float>(w32), bias32, out(narrow));
          CHECK((narrow.cast<double>() - y).cwiseAbs().maxCoeff() < 1e-5);
        }
}

TEST_CASE("a projection reads and writes columns of wider matrices, and touches no others") {
  Random random(2);
  const Matrix<double> wide = random_matrix(5, 20, random), w = random_matrix(4, 6, random);
  const Vector<double> bias = Vector<double>::Ones(4);
  Matrix<double> result = Matrix<double>::Constant(5, 10, 7);
  project(in(wide.middleCols(3, 6)), WeightMatrix<double>(w), bias, out(result.middleCols(5, 4)));
  CHECK((result.middleCols(5, 4) - slow(wide.middleCols(3, 6), w, bias)).cwiseAbs().maxCoeff() < 1e-13);
  CHECK((result.leftCols(5).array() == 7).all());
  CHECK((result.rightCols(1).array() == 7).all());
}
