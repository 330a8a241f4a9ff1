#include "kvcache/core/statistics.hpp"

#include <doctest/doctest.h>

using namespace kvcache;

TEST_CASE("the median is the middle, or half way between the two middles") {
  CHECK(median({5}) == 5);
  CHECK(median({9, 1, 5}) == 5);
  CHECK(median({4, 1, 3, 2}) == 2.5);
  CHECK(median({1, 1, 1000}) == 1);  // one slow run does not move it
  CHECK(median({-2, -4}) == -3);
}

TEST_CASE("a quantile lies between its neighbours by a straight line") {
  const std::vector<double> numbers{30, 10, 20, 50, 40};
  CHECK(quantile(numbers, 0) == 10);
  CHECK(quantile(numbers, 0.25) == 20);
  CHECK(quantile(numbers, 0.5) == 30);
  CHECK(quantile(numbers, 1) == 50);
  CHECK(quantile(numbers, 0.125) == 15);
  CHECK(quantile(numbers, 0.9) == doctest::Approx(46).epsilon(1e-15));  // as numpy's
  CHECK(quantile({0, 8}, 0.75) == 6);
  CHECK(quantile({7}, 0.3) == 7);
}

TEST_CASE("no numbers, and fractions outside 0 to 1, are refused with a sentence") {
  CHECK_THROWS_WITH_AS(median({}),
                       "quantile: 0.5 of 0 numbers asked for; it takes at least one number, and a fraction from 0 to 1",
                       Error);
  CHECK_THROWS_WITH_AS(quantile({1, 2}, 1.5), doctest::Contains("quantile: 1.5 of 2 numbers"), Error);
  CHECK_THROWS_AS(quantile({1, 2}, -0.1), Error);
  CHECK_THROWS_AS(quantile({1, 2}, std::nan("")), Error);
}

TEST_CASE("mean and spread of numbers that come one by one") {
  Spread spread;
  CHECK(spread.mean() == 0);
  CHECK(spread.deviation() == 0);
  for (const double x : {1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16}) spread.add(x);  // large, and close together
  CHECK(spread.count() == 4);
  CHECK(spread.mean() == doctest::Approx(1e9 + 10));
  CHECK(spread.deviation() == doctest::Approx(std::sqrt(30)));
  CHECK(spread.standard_error() == doctest::Approx(std::sqrt(30) / 2));
}
