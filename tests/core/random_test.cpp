#include "kvcache/core/random.hpp"

#include <doctest/doctest.h>

using kvcache::Random;

TEST_CASE("the engine is the standard's: its ten thousandth number is fixed") {
  std::mt19937_64 engine;  // ISO C++ [rand.predef]
  engine.discard(9999);
  CHECK(engine() == 9981545732273789042u);
}

TEST_CASE("a seed gives the same numbers on every machine") {
  // The upper 53 bits of the first numbers of std::mt19937_64 with these seeds, over 2^53.
  Random one(1), other(5489);
  for (const double expected : {0x1.122deafddb434p-3, 0x1.175c928118c7cp-3, 0x1.ce0b479deb99p-2, 0x1.5876015e4d7p-6})
    CHECK(one.uniform() == expected);
  CHECK(other.uniform() == double(14514284786278117030u >> 11) / 9007199254740992.0);  // the engine's own first number
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
