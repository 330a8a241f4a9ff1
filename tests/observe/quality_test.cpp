#include "kvcache/observe/quality.hpp"

#include <doctest/doctest.h>

#include <array>

#include "common/caches.hpp"
#include "common/instances.hpp"
#include "student_cache.hpp"

using namespace kvcache;

TEST_CASE("what a cache has forgotten is seen from outside, whatever its policy tells") {
  const auto forgotten = [](auto cache, int tokens) {
    using Scalar = typename decltype(cache)::Scalar;
    const Matrix<Scalar> row = Matrix<Scalar>::Ones(1, cache.shape().row_size());
    for (int p = 0; p < tokens; ++p)
      for (int l = 0; l < cache.shape().layers; ++l) cache.append(l, p, in(row), in(row));
    return forgotten_tokens(cache);
  };
  constexpr CacheShape shape{.layers = 2, .kv_heads = 2, .head_dim = 6};
  CHECK(forgotten(StudentCache(shape, 8), 8) == 0);
  CHECK(forgotten(StudentCache(shape, 8), 9) == 1);  // and it has no observer
  CHECK(forgotten(StudentCache(shape), 30) == 0);
  const auto named = [&](const char* spec, int tokens) { return forgotten(make_cache(spec, shape, 64), tokens); };
  CHECK(named("growing", 30) == 0);
  CHECK(named("window:sinks=2,recent=5", 7) == 0);
  CHECK(named("window:sinks=2,recent=5", 30) == 23);
  CHECK(named("heavy-hitter:budget=6,recent=3", 30) == 24);
  CHECK(named("layers:0=growing;1=window:sinks=0,recent=5", 30) == 12.5);
}

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
