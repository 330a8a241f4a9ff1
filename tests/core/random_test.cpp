#include "kvcache/core/random.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using kvcache::Random;

TEST_CASE("a seed gives the published numbers of SplitMix64, on every machine") {
  Random random(1234567);  // the numbers that implementations of it are usually checked against
  for (const std::uint64_t expected :
       {6457827717110365317u, 3203168211198807973u, 9817491932198370423u, 4593380528125082431u, 16408922859458223821u})
    CHECK(random.bits() == expected);
  Random same(1234567);
  CHECK(same.uniform() == double(6457827717110365317u >> 11) / 9007199254740992.0);
}

TEST_CASE("numbers stay in their range and fill it") {
  Random random(3);
  double sum = 0, least = 1, most = 0;
  for (int i = 0; i < 20000; ++i) {
    const double x = random.uniform();
    CHECK_UNARY(x >= 0 && x < 1);
    sum += x, least = std::min(least, x), most = std::max(most, x);
  }
  CHECK(sum / 20000 == doctest::Approx(0.5).epsilon(0.02));
  CHECK(least < 0.001);
  CHECK(most > 0.999);
  for (int i = 0; i < 1000; ++i) {
    const double x = random.uniform(-3, 5);
    CHECK_UNARY(x >= -3 && x <= 5);
  }
}

TEST_CASE("below() gives every number below its bound, about equally often") {
  Random random(4);
  int counts[7] = {};
  for (int i = 0; i < 7000; ++i) {
    const int x = random.below(7);
    REQUIRE_UNARY(x >= 0 && x < 7);
    ++counts[x];
  }
  for (const int count : counts) CHECK(count == doctest::Approx(1000).epsilon(0.15));
  for (int i = 0; i < 100; ++i) CHECK(random.below(1) == 0);
}
