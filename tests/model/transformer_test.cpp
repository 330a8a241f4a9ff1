#include "kvcache/model/transformer.hpp"

#include <doctest/doctest.h>

#include "common/instances.hpp"
#include "common/caches.hpp"
#include "reference_transformer.hpp"
#include "small_models.hpp"
#include "threads.hpp"

using namespace kvcache;

namespace {

using Cache = NamedCache<FloatRows<double>>;
using Chunks = std::vector<int>;
constexpr int text_length = 24;

Cache cache_for(const ModelConfig& config, const char* name = "growing") {
  return make_cache<FloatRows<double>>(name, config.cache_shape(), 48);
}
std::span<const int> part(const std::vector<int>& tokens, int first, int n) {
  return std::span(tokens).subspan(std::size_t(first), std::size_t(n));
}
double difference(std::span<const double> logits, const reference::Row& expected) {
  REQUIRE(logits.size() == expected.size());
  double most = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double d = std::abs(logits[i] - expected[i]);
    if (!(d <= most)) most = std::isnan(d) ? HUGE_VAL : d;
  }
  return most;
}

}  // namespace

TEST_CASE("every cache, every kind of model, any chunks of the prompt: the logits of the reference, to 1e-12") {
  const Threads one(1);
  const std::vector<int> tokens = some_tokens(text_length);
  for (const SmallModel& small : small_models()) {
    const auto model = random_model<double>(small.config);
    const auto expected = reference::logits(model, tokens);
    Transformer<double> transformer(model);
    double worst = 0;
    for (const CacheName& name : cache_names)
      for (const Chunks& chunks : {Chunks(text_length, 1), Chunks{text_length}, {9, 1, 1, 5, 8}, {1, 22, 1}}) {
        Cache cache = cache_for(small.config, name.name);
        int done = 0;
        for (const int n : chunks) {
          const auto logits = transformer.step(cache, part(tokens, done, n));
          done += n;
          worst = std::max(worst, difference(logits, expected[std::size_t(done - 1)]));
        }
        for (int l = 0; l < small.config.layers; ++l) CHECK(cache.length(l) == text_length);
      }
    MESSAGE(std::string(small.name) << ": worst difference of a logit " << worst);
    CHECK(worst < 1e-12);
  }
}

TEST_CASE("two threads compute what one does") {
  const std::vector<int> tokens = some_tokens(40);  // more than one tile
  const auto model = random_model<double>(small_llama());
  Transformer<double> transformer(model);
  const auto expected = reference::logits(model, tokens);
  const Threads two(2);
  Cache cache = cache_for(model.config);
  CHECK(difference(transformer.step(cache, part(tokens, 0, 39)), expected[38]) < 1e-12);
  CHECK(difference(transformer.step(cache, part(tokens, 39, 1)), expected[39]) < 1e-12);
}

TEST_CASE("step_all gives after every token what cached decoding gives there") {
  const Threads one(1);
  const std::vector<int> tokens = some_tokens(text_length);
  for (const SmallModel& small : {small_models()[0], small_models()[1]}) {
    const auto model = random_model<double>(small.config);
    Transformer<double> transformer(model), decoder(model);
    Cache whole = cache_for(small.config), cached = cache_for(small.config);
    const MatrixIn<double> all = transformer.step_all(whole, tokens);  // [tokens, vocab]
    REQUIRE(all.rows() == text_length);
    REQUIRE(all.cols() == small.config.vocab);
    for (int t = 0; t < text_length; ++t) {
      const auto logits = decoder.step(cached, part(tokens, t, 1));
      CHECK(difference(logits, reference::Row(all.row(t).begin(), all.row(t).end())) < 1e-12);
    }
  }
}

TEST_CASE("what a step counts is what the formulas say") {
  const Threads one(1);
  for (const SmallModel& small : small_models()) {
    CAPTURE(std::string(small.name));
    const ModelConfig& c = small.config;
    const auto model = random_model<double>(c);
    Transformer<double> transformer(model);
    Cache cache = cache_for(c);
    const std::vector<int> tokens = some_tokens(text_length);
    const auto check_counts = [&](std::int64_t n, std::int64_t held) {
      transformer.step(cache, part(tokens, int(held), int(n)));
      const Work& work = transformer.work();
      const auto performed = [&](Part p) { return work.multiplications[std::size_t(p)]; };
      const std::int64_t layers = c.layers, h = c.hidden,
                         rope = c.position == PositionKind::rope ? 2 * (c.q_size() + c.kv_size()) : 0;
      CHECK(performed(Part::projection) == layers * n * (h * (c.q_size() + 2 * c.kv_size()) + rope + c.q_size() * h));
      CHECK(performed(Part::feed_forward) == layers * n * h * c.ffn * (small.config.family == "gpt2" ? 2 : 3));
      CHECK(performed(Part::output_layer) == h * c.vocab);                            // of the last token only
      CHECK(performed(Part::attention) == layers * 2 * c.q_size() * n * (held + n));  // one tile
      CHECK(work.queries_computed == layers * n * c.q_heads);
      CHECK(work.keys_computed == layers * n * c.kv_heads);
      CHECK(work.keys_reused == layers * held * c.kv_heads);
      CHECK(performed(Part::sampling) + performed(Part::copying) + performed(Part::tokenising) == 0);
    };
    check_counts(10, 0);
    check_counts(1, 10);
    check_counts(5, 11);
    cache.clear();
    transformer.step_all(cache, part(tokens, 0, 7));
    CHECK(transformer.work().multiplications[std::size_t(Part::output_layer)] == 7 * c.hidden * c.vocab);
    for (const Part p : {Part::projection, Part::attention, Part::feed_forward, Part::output_layer, Part::copying})
      CHECK(transformer.work().seconds[std::size_t(p)] > 0);
  }
}

TEST_CASE("wrong input is refused with a sentence, and before anything is appended") {
  const auto model = random_model<double>(small_llama());
  Transformer<double> transformer(model);
  Cache cache = cache_for(model.config);
  const std::vector<int> tokens = some_tokens(49);
  transformer.step(cache, part(tokens, 0, 3));
  const auto refused = [&](Cache& by, std::vector<int> ids, const char* sentence) {
    CHECK_THROWS_WITH_AS(transformer.step(by, ids), sentence, Error);
    for (int l = 0; l < 3; ++l) CHECK(cache.length(l) == 3);
  };
  refused(cache, {}, "Transformer: no tokens given; at least 1 is needed");
  refused(
      cache, {1, 50},
      "Transformer: token id 50 given, but the vocabulary has 50 tokens; was the text tokenised for another model?");
  refused(
      cache, {-1},
      "Transformer: token id -1 given, but the vocabulary has 50 tokens; was the text tokenised for another model?");
  refused(cache, some_tokens(46),
          "Transformer: 46 tokens given after 3, but the model has positions for 48; give fewer tokens");
  CHECK_NOTHROW(transformer.step(cache, part(tokens, 3, 45)));  // 48 fit exactly
  cache.rewind(3);
  for (const CacheShape shape : {CacheShape{2, 2, 8}, {3, 6, 8}, {3, 2, 4}}) {
    Cache other = make_cache<FloatRows<double>>("growing", shape, 0);
    CHECK_THROWS_WITH_AS(transformer.step(other, part(tokens, 0, 1)),
                         doctest::Contains("but the model has 3 layers of 2 of 8; build the cache with"), Error);
  }
}

TEST_CASE("a cache that runs full in mid-step can be rewound, and works on") {
  const Threads one(1);
  const auto model = random_model<double>(small_llama());
  Transformer<double> transformer(model);
  Cache cache = make_cache<FloatRows<double>>("preallocated", model.config.cache_shape(), 10);
  const std::vector<int> tokens = some_tokens(12);
  transformer.step(cache, part(tokens, 0, 8));
  CHECK_THROWS_WITH_AS(transformer.step(cache, part(tokens, 8, 3)),
                       doctest::Contains("token 11 does not fit in 10 slots"), Error);
  cache.rewind(8);
  CHECK(difference(transformer.step(cache, part(tokens, 8, 1)), reference::logits(model, part(tokens, 0, 9))[8]) <
        1e-12);
}

TEST_CASE("a model whose config makes no sense is refused") {
  Model<double> model{small_llama(), {}};
  model.config.kv_heads = 4;
  CHECK_THROWS_WITH_AS(Transformer<double>{model}, doctest::Contains("6 query heads cannot share 4 kv heads"), Error);
}

static_assert(!std::is_constructible_v<Transformer<double>, Model<double>>);  // a temporary model would be gone at once
static_assert(!std::is_copy_constructible_v<Transformer<double>>);
