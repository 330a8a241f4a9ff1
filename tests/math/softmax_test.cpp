#include "kvcache/math/softmax.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <vector>

using kvcache::softmax;

TEST_CASE("softmax of known numbers") {
  std::vector<double> x{std::log(1.0), std::log(2.0), std::log(5.0)};
  softmax(std::span(x));
  CHECK(x[0] == doctest::Approx(0.125).epsilon(1e-15));
  CHECK(x[1] == doctest::Approx(0.25).epsilon(1e-15));
  CHECK(x[2] == doctest::Approx(0.625).epsilon(1e-15));
}

TEST_CASE("softmax does not overflow, and adding a constant changes nothing") {
  std::vector<float> x{1000, 999, -1000}, y{1, 0, -1999};
  softmax(std::span(x)), softmax(std::span(y));
  CHECK(x == y);
  CHECK(x[0] + x[1] + x[2] == doctest::Approx(1));
  CHECK(x[2] == 0);
}

TEST_CASE("minus infinity becomes exactly 0, wherever it stands") {
  const double infinity = std::numeric_limits<double>::infinity();
  std::vector<double> x{-infinity, 3, -infinity};
  softmax(std::span(x));
  CHECK(x == std::vector<double>{0, 1, 0});
}

TEST_CASE("one number becomes 1") {
  std::vector<double> x{-7};
  softmax(std::span(x));
  CHECK(x[0] == 1);
}
