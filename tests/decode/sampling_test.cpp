#include "kvcache/decode/sampling.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

using namespace kvcache;

namespace {

const std::vector<double> logits{1.0, 3.0, -0.5, 2.0, 3.0, 0.0};
const std::vector<int> no_text;

std::vector<double> probabilities(const SamplingOptions& options, const std::vector<double>& of = logits,
                                  const std::vector<int>& text = {}) {
  return Sampler(options).probabilities(std::span(of), std::span(text));
}
double sum(const std::vector<double>& numbers) { return std::accumulate(numbers.begin(), numbers.end(), 0.0); }
int kept(const std::vector<double>& p) { return int(p.size()) - int(std::count(p.begin(), p.end(), 0.0)); }

}  // namespace

TEST_CASE("greedy takes the likeliest token, the first of equals") {
  Sampler sampler;
  CHECK(sampler.choose(std::span(logits), std::span(no_text)) == 1);
  const std::vector<float> rising{-3, -2, -1};
  CHECK(sampler.choose(std::span(rising), std::span(no_text)) == 2);
}

TEST_CASE("greedy with a repetition penalty leaves a token it has written") {
  Sampler sampler({.repetition_penalty = 2});
  const std::vector<int> text{1, 1};
  CHECK(sampler.choose(std::span(logits), std::span(text)) == 4);
  const std::vector<double> negative{-1, -1.5, -3};  // a negative logit is multiplied
  const std::vector<int> zero{0};
  CHECK(sampler.choose(std::span(negative), std::span(zero)) == 1);
}

TEST_CASE("temperature 1 gives the softmax; a low one nears greedy, a high one the uniform") {
  const auto p = probabilities({.temperature = 1});
  double whole = 0;
  for (const double x : logits) whole += std::exp(x);
  for (std::size_t i = 0; i < logits.size(); ++i)
    CHECK(p[i] == doctest::Approx(std::exp(logits[i]) / whole).epsilon(1e-14));
  CHECK(probabilities({.temperature = 0.01})[1] == doctest::Approx(0.5));
  CHECK(probabilities({.temperature = 1e6})[2] == doctest::Approx(1.0 / 6).epsilon(1e-4));
  CHECK(std::isfinite(sum(probabilities({.temperature = 1e-300}))));
}

TEST_CASE("probabilities sum to one whatever is cut, and keep their order and ratios") {
  const auto whole = probabilities({.temperature = 0.8});
  for (const int top_k : {0, 1, 2, 3, 6, 100})
    for (const double top_p : {1.0, 0.9, 0.5, 0.01}) {
      const auto p = probabilities({.temperature = 0.8, .top_k = top_k, .top_p = top_p});
      CHECK(sum(p) == doctest::Approx(1).epsilon(1e-14));
      for (std::size_t i = 0; i < p.size(); ++i)
        if (p[i] > 0) CHECK(p[i] / p[1] == doctest::Approx(whole[i] / whole[1]).epsilon(1e-13));
    }
}

TEST_CASE("top-k keeps the k likeliest; of equals, the first") {
  for (int k = 1; k <= 6; ++k) CHECK(kept(probabilities({.temperature = 1, .top_k = k})) == k);
  const auto one = probabilities({.temperature = 1, .top_k = 1});
  CHECK(one[1] == 1);
  const auto three = probabilities({.temperature = 1, .top_k = 3});
  CHECK_UNARY(three[1] > 0 && three[4] > 0 && three[3] > 0);
  CHECK(kept(probabilities({.temperature = 1, .top_k = 99})) == 6);
}

TEST_CASE("top-p keeps the fewest tokens that reach p, at least one") {
  const std::vector<double> halves{std::log(0.5), std::log(0.25), std::log(0.125), std::log(0.125)};
  const auto kept_at = [&](double p) { return kept(probabilities({.temperature = 1, .top_p = p}, halves)); };
  CHECK(kept_at(1e-9) == 1);
  CHECK(kept_at(0.49) == 1);
  CHECK(kept_at(0.51) == 2);
  CHECK(kept_at(0.74) == 2);
  CHECK(kept_at(0.76) == 3);
  CHECK(kept_at(0.99) == 4);
  CHECK(kept_at(1) == 4);
}

TEST_CASE("top-p is of what top-k left") {
  const std::vector<double> flat(10, 0.0);
  CHECK(kept(probabilities({.temperature = 1, .top_k = 4, .top_p = 0.6}, flat)) == 3);  // of quarters
  CHECK(kept(probabilities({.temperature = 1, .top_p = 0.55}, flat)) == 6);             // of tenths
}

TEST_CASE("the penalty counts a token once, divides positive logits and multiplies negative ones") {
  const std::vector<int> once{1, 2}, often{2, 1, 1, 2, 1};
  const SamplingOptions options{.temperature = 1, .repetition_penalty = 1.5};
  CHECK(probabilities(options, logits, once) == probabilities(options, logits, often));
  std::vector<double> by_hand = logits;
  by_hand[1] = 2, by_hand[2] = -0.75;
  const auto p = probabilities(options, logits, once), q = probabilities({.temperature = 1}, by_hand);
  for (std::size_t i = 0; i < p.size(); ++i) CHECK(p[i] == doctest::Approx(q[i]).epsilon(1e-14));
  CHECK(probabilities(options, logits) == probabilities({.temperature = 1}));
}

TEST_CASE("the same seed draws the same tokens, another seed others") {
  const auto draw = [](std::uint64_t seed) {
    Sampler sampler({.temperature = 2, .seed = seed});
    std::vector<int> tokens;
    for (int i = 0; i < 50; ++i) tokens.push_back(sampler.choose(std::span(logits), std::span(no_text)));
    return tokens;
  };
  CHECK(draw(1) == draw(1));
  CHECK(draw(1) != draw(2));
}

TEST_CASE("tokens are drawn as often as their probabilities say, and never where they say 0") {
  for (const SamplingOptions options : {SamplingOptions{.temperature = 1},
                                        {.temperature = 1.3, .top_k = 3, .seed = 5},
                                        {.temperature = 1, .top_p = 0.8, .seed = 6}}) {
    const auto p = probabilities(options);
    Sampler sampler(options);
    std::vector<int> drawn(logits.size(), 0);
    constexpr int draws = 20000;
    for (int i = 0; i < draws; ++i) ++drawn[std::size_t(sampler.choose(std::span(logits), std::span(no_text)))];
    for (std::size_t t = 0; t < p.size(); ++t) {
      CHECK((drawn[t] == 0) == (p[t] == 0));
      CHECK(std::abs(drawn[t] / double(draws) - p[t]) < 0.015);  // four deviations of the likeliest
    }
  }
}

TEST_CASE("a draw takes one random number, and walks down from the likeliest token") {
  Sampler sampler({.temperature = 1, .seed = 9});
  Random random(9);
  const std::vector<double> halves{std::log(0.125), std::log(0.5), std::log(0.375)};
  for (int i = 0; i < 100; ++i) {
    const double x = random.uniform();
    CHECK(sampler.choose(std::span(halves), std::span(no_text)) == (x < 0.5 ? 1 : x < 0.875 ? 2 : 0));
  }
}

TEST_CASE("a logit of minus infinity is never drawn") {
  const double infinity = std::numeric_limits<double>::infinity();
  const auto p = probabilities({.temperature = 1}, {-infinity, 0, -infinity, 0});
  CHECK(p == std::vector<double>{0, 0.5, 0, 0.5});
}

TEST_CASE("a top-p of 1 keeps every token, however unlikely") {
  const std::vector<double> p = probabilities({.temperature = 1}, {0, -40});
  CHECK(p[1] > 0);
}

TEST_CASE("logits of a broken model, and a text of another one, are refused with a sentence") {
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  const std::vector<std::vector<double>> broken{{}, {1, nan}, {1, infinity}, {-infinity, -infinity}};
  for (const auto& of : broken)
    for (const double temperature : {0.0, 1.0})
      CHECK_THROWS_WITH_AS(Sampler({.temperature = temperature}).choose(std::span(of), std::span(no_text)),
                           doctest::Contains("the model's weights are broken"), Error);
  for (const int token : {-1, 6}) {
    const std::vector<int> text{token};
    CHECK_THROWS_WITH_AS(Sampler({.repetition_penalty = 2}).choose(std::span(logits), std::span(text)),
                         doctest::Contains("is in the text, but there are 6 logits"), Error);
  }
}

TEST_CASE("numbers outside their range are refused with a sentence") {
  const double nan = std::nan(""), infinity = HUGE_VAL;
  const auto refused = [](const SamplingOptions& options, const char* sentence) {
    CHECK_THROWS_WITH_AS(Sampler{options}, doctest::Contains(sentence), Error);
  };
  refused({.temperature = -0.1}, "temperature is -0.1; it must be 0 (greedy) or more");
  refused({.temperature = nan}, "temperature is nan");
  refused({.temperature = infinity}, "temperature is inf");
  refused({.top_k = -1}, "top-k is -1; it must be 0 (all tokens) or more");
  refused({.top_p = 0}, "top-p is 0; it must be above 0 and at most 1 (all tokens)");
  refused({.top_p = 1.01}, "top-p is 1.01");
  refused({.top_p = nan}, "top-p is nan");
  refused({.repetition_penalty = 0}, "repetition penalty is 0; it must be above 0; 1 means none");
  refused({.repetition_penalty = -2}, "repetition penalty is -2");
  refused({.repetition_penalty = nan}, "repetition penalty is nan");
  CHECK_THROWS_WITH_AS(probabilities({}), "probabilities: greedy choice (temperature 0) has none", Error);
}

TEST_CASE("probabilities are those of Hugging Face's transformers") {
  std::ifstream file(KVCACHE_GOLDENS "/sampling.json");
  REQUIRE_MESSAGE(file, "no " KVCACHE_GOLDENS "/sampling.json; make it with make_sampling.py");
  const nlohmann::json cases = nlohmann::json::parse(file);  // a list
  REQUIRE(cases.size() >= 10);
  double worst = 0;
  for (const auto& c : cases) {
    const SamplingOptions options{.temperature = c["temperature"],
                                  .top_k = c["top_k"],
                                  .top_p = c["top_p"],
                                  .repetition_penalty = c["repetition_penalty"]};
    const auto expected = c["probabilities"].get<std::vector<double>>();
    const auto p =
        probabilities(options, c["logits"].get<std::vector<double>>(), c["previous"].get<std::vector<int>>());
    REQUIRE(p.size() == expected.size());
    for (std::size_t i = 0; i < p.size(); ++i) worst = std::max(worst, std::abs(p[i] - expected[i]));
  }
  MESSAGE(cases.size() << " cases, worst difference " << worst);
  CHECK(worst < 1e-9);  // the file has ten digits
}
