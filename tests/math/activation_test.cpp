#include "kvcache/math/activation.hpp"

#include <doctest/doctest.h>

#include <cmath>

using namespace kvcache;

namespace {
constexpr int count = 401;
Matrix<double> line() {  // -20 to 20, in steps of 0.1
  Matrix<double> x(1, count);
  for (int i = 0; i < count; ++i) x(0, i) = (i - 200) * 0.1;
  return x;
}
}  // namespace

TEST_CASE("GELU is the tanh formula, number by number") {
  const Matrix<double> x = line();
  Matrix<double> y(1, count);
  gelu_tanh(x.data(), x.size(), y.data());
  const double pi = 3.14159265358979323846;
  for (int i = 0; i < count; ++i) {
    const double v = x(0, i);
    const double expected = 0.5 * v * (1 + std::tanh(std::sqrt(2 / pi) * (v + 0.044715 * v * v * v)));
    CHECK(std::abs(y(0, i) - expected) <= 1e-14 * std::max(1.0, std::abs(v)));
  }
}

TEST_CASE("GELU known values") {
  Matrix<double> x(1, 3), y(1, 3);
  x << 0, 1, -1;
  gelu_tanh(x.data(), x.size(), y.data());
  CHECK(y(0, 0) == 0);
  CHECK(y(0, 1) == doctest::Approx(0.8411919906082768).epsilon(1e-14));  // torch: gelu(1, approximate="tanh")
  CHECK(y(0, 2) == doctest::Approx(-0.15880800939172324).epsilon(1e-13));
}

TEST_CASE("gated SiLU is gate / (1 + exp(-gate)) * up, number by number") {
  Matrix<double> gate = line();
  Matrix<double> up(1, count), y(1, count);
  for (int i = 0; i < count; ++i) up(0, i) = std::sin(i);
  silu_gated(gate.data(), up.data(), gate.size(), y.data());
  for (int i = 0; i < count; ++i) {
    const double expected = gate(0, i) / (1 + std::exp(-gate(0, i))) * up(0, i);
    CHECK(std::abs(y(0, i) - expected) <= 1e-14 * std::max(1.0, std::abs(expected)));
  }
}

TEST_CASE("far from zero, activations are 0 or x, and finite, in float too") {
  Matrix<float> x(1, 8), up = Matrix<float>::Ones(1, 8), gelu(1, 8), silu(1, 8);
  x << -1e4f, -200, -100, -30, 30, 100, 200, 1e4f;
  gelu_tanh(x.data(), x.size(), gelu.data());
  silu_gated(x.data(), up.data(), x.size(), silu.data());
  for (int i = 0; i < 8; ++i) {
    const float expected = std::max(x(0, i), 0.f);
    CAPTURE(x(0, i));
    CHECK(std::abs(gelu(0, i) - expected) <= 1e-6f * std::abs(x(0, i)));
    CHECK(std::abs(silu(0, i) - expected) <= 1e-6f * std::abs(x(0, i)));
  }
}
