#include "kvcache/observe/quality.hpp"

#include <doctest/doctest.h>

using namespace kvcache;

TEST_CASE("loss, divergence and agreement are those of the textbook") {
  // Probabilities 1/2, 1/4, 1/4 against 1/4, 1/4, 1/2, as logits with something added to all.
  const std::vector<float> ours{float(std::log(0.5)) + 3, float(std::log(0.25)) + 3, float(std::log(0.25)) + 3},
      reference{float(std::log(0.25)) - 9, float(std::log(0.25)) - 9, float(std::log(0.5)) - 9};
  Quality quality;
  quality.add<float>(ours, reference, 0);
  CHECK(quality.loss().mean() == doctest::Approx(std::log(2)));
  CHECK(quality.perplexity() == doctest::Approx(2));
  CHECK(quality.divergence().mean() == doctest::Approx(0.25 * std::log(0.5) + 0.5 * std::log(2)));
  CHECK(quality.agreement().mean() == 0);
  CHECK(quality.loss().standard_error() == 0);
  quality.add<float>(ours, ours, 1);
  CHECK(quality.loss().mean() == doctest::Approx(1.5 * std::log(2)));
  CHECK(quality.divergence().mean() == doctest::Approx(0.125 * std::log(2)));
  CHECK(quality.agreement().mean() == 0.5);
  CHECK(quality.losses().size() == 2);
  CHECK(quality.loss().deviation() == doctest::Approx(std::log(2) / std::sqrt(2)));
  CHECK(quality.loss().standard_error() == doctest::Approx(std::log(2) / 2));
}

TEST_CASE("large logits do not overflow, and what is no number is refused") {
  Quality quality;
  quality.add<float>(std::vector<float>{300, 0}, std::vector<float>{300, 0}, 1);
  CHECK(quality.loss().mean() == doctest::Approx(300));
  CHECK(quality.divergence().mean() == doctest::Approx(0));
  const float nan = std::nanf("");
  CHECK_THROWS_WITH_AS(quality.add<float>(std::vector<float>{nan, nan}, std::vector<float>{1, 1}, 0),
                       doctest::Contains("not finite"), Error);
  CHECK_THROWS_WITH_AS(quality.add<float>(std::vector<float>{1, 1}, std::vector<float>{1}, 0),
                       doctest::Contains("do not belong together"), Error);
  CHECK_THROWS_AS(quality.add<float>(std::vector<float>{1, 1}, std::vector<float>{1, 1}, 2), Error);
}
