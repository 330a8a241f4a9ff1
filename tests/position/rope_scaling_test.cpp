#include "kvcache/position/rope_scaling.hpp"

#include <doctest/doctest.h>

#include "kvcache/position/rope.hpp"

using namespace kvcache;

TEST_CASE(
    "Llama 3's stretch is Meta's, which thinks in wavelengths: fast pairs stay, slow ones are divided by factor") {
  for (const int head_dim : {64, 128})
    for (const double theta : {500000.0, 10000.0}) {
      const Llama3Scaling scaling{.factor = 8, .low = 1, .high = 4, .old_positions = 8192};  // Llama 3.1's
      const std::vector<double> divisors = scaling.divisors(head_dim, theta);
      REQUIRE(int(divisors.size()) == head_dim / 2);
      int fast = 0, slow = 0;
      for (int d = 0; d < head_dim / 2; ++d) {
        const double frequency = std::pow(theta, -2.0 * d / head_dim),
                     wavelength = 2 * 3.14159265358979323846 / frequency;
        const double smooth = (8192 / wavelength - 1) / (4 - 1);
        double expected = (1 - smooth) * frequency / 8 + smooth * frequency;
        if (wavelength < 8192 / 4.0) expected = frequency, ++fast;
        if (wavelength > 8192 / 1.0) expected = frequency / 8, ++slow;
        CHECK(frequency / divisors[std::size_t(d)] == doctest::Approx(expected).epsilon(1e-14));
      }
      CHECK(divisors.front() == 1);
      CHECK(fast > 0);
      CHECK(fast + slow < head_dim / 2);  // some go over smoothly
      CHECK(slow > 0);
    }
}

TEST_CASE("rope with divisors turns pair d as a position that is divisors[d] times nearer would") {
  const std::vector<double> divisors{1, 2, 4};
  const Rope<double> stretched(6, 10000, RopePairs::half_split, divisors), plain(6);
  std::vector<double> angles(6), expected(6);
  stretched.angles(40, angles.data());
  for (std::size_t d = 0; d < 3; ++d) {
    plain.angles(int(40 / divisors[d]), expected.data());
    for (const std::size_t part : {d, d + 3}) CHECK(angles[part] == doctest::Approx(expected[part]).epsilon(1e-14));
  }
  CHECK_THROWS_WITH_AS(Rope<double>(8, 10000, RopePairs::half_split, divisors),
                       "Rope: 3 divisors of frequencies given for 4 pairs", Error);
}
