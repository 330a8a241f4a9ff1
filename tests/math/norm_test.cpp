#include "kvcache/math/norm.hpp"

#include <doctest/doctest.h>

#include "kvcache/core/random.hpp"

using namespace kvcache;

namespace {
struct Numbers4 {
  Matrix<double> x{1, 4}, y{1, 4};
  Vector<double> gain{4}, bias{4};
  Numbers4() {
    x << 1, -2, 3, 6;
    gain << 1, 2, 3, -1;
    bias << 0, 10, 0, 1;
  }
};
}  // namespace

TEST_CASE("RMSNorm divides by the root of the mean square") {
  Numbers4 n;  // squares 1 + 4 + 9 + 36 = 50, mean 12.5
  rms_norm(n.x.data(), n.gain, 0.5, n.y.data());
  const double scale = 1 / std::sqrt(13.0);
  CHECK(n.y(0, 0) == doctest::Approx(1 * scale).epsilon(1e-15));
  CHECK(n.y(0, 1) == doctest::Approx(-4 * scale).epsilon(1e-15));
  CHECK(n.y(0, 2) == doctest::Approx(9 * scale).epsilon(1e-15));
  CHECK(n.y(0, 3) == doctest::Approx(-6 * scale).epsilon(1e-15));
}

TEST_CASE("LayerNorm takes the mean away and divides by the deviation") {
  Numbers4 n;  // mean 2, deviations -1, -4, 1, 4: squares 34, mean 8.5
  layer_norm(n.x.data(), n.gain, n.bias, 0.5, n.y.data());
  CHECK(n.y(0, 0) == doctest::Approx(-1.0 / 3).epsilon(1e-15));
  CHECK(n.y(0, 1) == doctest::Approx(-8.0 / 3 + 10).epsilon(1e-15));
  CHECK(n.y(0, 2) == doctest::Approx(1.0).epsilon(1e-15));
  CHECK(n.y(0, 3) == doctest::Approx(-4.0 / 3 + 1).epsilon(1e-15));
}

TEST_CASE("a norm keeps nothing of the size of its input, but for epsilon") {
  Numbers4 n;
  const Matrix<double> large = n.x * 1000;
  Matrix<double> y(1, 4);
  rms_norm(n.x.data(), n.gain, 1e-12, n.y.data());
  rms_norm(large.data(), n.gain, 1e-12, y.data());
  CHECK((y - n.y).cwiseAbs().maxCoeff() < 1e-12);
}

TEST_CASE("epsilon keeps zeros finite") {
  const Matrix<float> zeros = Matrix<float>::Zero(1, 8);
  Matrix<float> y = Matrix<float>::Constant(1, 8, 7);
  const Vector<float> gain = Vector<float>::Ones(8), bias = Vector<float>::Constant(8, 0.5f);
  rms_norm(zeros.data(), gain, 1e-5f, y.data());
  CHECK(y == zeros);
  layer_norm(zeros.data(), gain, bias, 1e-5f, y.data());
  CHECK(y == Matrix<float>::Constant(1, 8, 0.5f));
}
