#include "kvcache/observe/compared_decoding.hpp"

#include <doctest/doctest.h>

#include "common/caches.hpp"
#include "common/instances.hpp"
#include "kvcache/decode/generate.hpp"
#include "small_models.hpp"
#include "student_cache.hpp"
#include "threads.hpp"

using namespace kvcache;

namespace {

using Cache = NamedCache<FloatRows<double>>;

struct Setting {
  explicit Setting(const ModelConfig& config = small_llama()) : model(random_model<double>(config)) {}
  Cache cache(const char* name = "growing") const {
    return make_cache<FloatRows<double>>(name, model.config.cache_shape(), 48);
  }
  /// The prompt, and what is written after it.
  std::vector<int> text(int prompt, const GenerateOptions& options) {
    std::vector<int> all = some_tokens(prompt);
    Cache own = cache();
    const auto written = generate(transformer, own, all, options);
    all.insert(all.end(), written.begin(), written.end());
    return all;
  }
  const Threads one{1};
  Model<double> model;
  Transformer<double> transformer{model};
};

Work seconds(double projection, double attention) {
  Work work;
  work.seconds[std::size_t(Part::projection)] = projection, work.seconds[std::size_t(Part::attention)] = attention;
  return work;
}

}  // namespace

TEST_CASE("both ways give the same numbers and tokens; one reads a token a step, the other all of them") {
  for (const ModelConfig& config : {small_gpt2(), small_llama()})
    for (const CacheName& name : cache_names) {
      Setting s(config);
      const SamplingOptions sampling{.temperature = 1.2, .top_k = 30, .repetition_penalty = 1.3, .seed = 8};
      const auto text = s.text(7, {.tokens = 6, .sampling = sampling});
      ComparedDecoding<double, Cache> compared(s.transformer, s.cache(name.name), s.cache(), text, 7, 2, sampling);
      CHECK(compared.steps() == 6);
      CHECK(compared.total_steps() == 12);
      const int keys = config.layers * config.kv_heads, queries = config.layers * config.q_heads;
      for (int i = 0; i < 12; ++i) {
        CHECK(!compared.done());
        const ComparedStep step = compared.next();
        CHECK(step.repeat == i / 6);
        CHECK(step.step == i % 6);
        const int length = 7 + step.step, fed = step.step == 0 ? 7 : 1;
        CHECK(step.logit_difference <= 1e-12);
        CHECK(step.token_with == text[std::size_t(length)]);  // in every repeat: the samplers start anew
        CHECK(step.token_without == step.token_with);
        CHECK(step.with.keys_computed == keys * fed);
        CHECK(step.with.queries_computed == queries * fed);
        CHECK(step.with.keys_reused == keys * (length - fed));
        CHECK(step.without.keys_computed == keys * length);
        CHECK(step.without.queries_computed == queries * length);
        CHECK(step.without.keys_reused == 0);
        for (const Work& work : {step.with, step.without}) {
          CHECK(work.seconds[std::size_t(Part::sampling)] > 0);
          CHECK(work.seconds[std::size_t(Part::attention)] > 0);
        }
        if (step.step == 0) CHECK(step.with.multiplications == step.without.multiplications);
        if (step.step > 0) CHECK(step.with.total_multiplications() < step.without.total_multiplications());
      }
      CHECK(compared.done());
      CHECK_THROWS_WITH_AS(compared.next(), "comparison: all 12 steps are done", Error);
    }
}

TEST_CASE(
    "a cache that is not empty, and one that forgets: the text is read from its beginning, and differences show") {
  Setting s;
  const auto text = s.text(4, {.tokens = 5});
  Cache used = s.cache();
  s.transformer.step(used, some_tokens(9));
  ComparedDecoding<double, Cache> compared(s.transformer, std::move(used), s.cache(), text, 4, 1);
  CHECK(compared.next().with.keys_computed == 3 * 2 * 4);

  ComparedDecoding<double, StudentCache, Cache> forgets(s.transformer, StudentCache(s.model.config.cache_shape(), 6),
                                                        s.cache(), text, 4, 1);
  std::vector<double> differences;
  while (!forgets.done()) differences.push_back(forgets.next().logit_difference);
  REQUIRE(differences.size() == 5);
  for (int i = 0; i < 5; ++i)
    CHECK((differences[std::size_t(i)] <= 1e-12) == (4 + i <= 6));  // until the window is full
}

TEST_CASE("texts and repeats that cannot be compared are refused with a sentence") {
  Setting s;
  const auto start = [&](std::vector<int> text, int prompt, int repeats) {
    ComparedDecoding<double, Cache>(s.transformer, s.cache(), s.cache(), std::move(text), prompt, repeats);
  };
  CHECK_NOTHROW(start({1, 2}, 1, 1));
  CHECK_THROWS_WITH_AS(
      start({1, 2}, 0, 1),
      "comparison: a prompt of 0 tokens in a text of 2; it must have at least one, and one must follow", Error);
  CHECK_THROWS_WITH_AS(start({1, 2}, 2, 1), doctest::Contains("a prompt of 2 tokens in a text of 2"), Error);
  CHECK_THROWS_WITH_AS(start({}, 0, 1), doctest::Contains("in a text of 0"), Error);
  CHECK_THROWS_WITH_AS(start({1, 2}, 1, 0), "comparison: 0 repeats asked for; at least 1 is needed", Error);
}

TEST_CASE("a comparison gives medians over the repeats, and the first step with another token") {
  Comparison comparison;
  CHECK(comparison.steps() == 0);
  CHECK(comparison.first_other_token() == -1);
  const double with[3][3] = {{3, 10, 1}, {1, 30, 1}, {2, 20, 1}};  // [repeats][steps]
  for (int repeat = 0; repeat < 3; ++repeat)
    for (int step = 0; step < 3; ++step) {
      const double s = with[repeat][step];
      comparison.add({repeat, step, seconds(s, s / 2), seconds(7 * s, s), 0.5 + step + repeat, 4, 4 + step});
    }
  CHECK(comparison.steps() == 3);
  CHECK(comparison.runs(true, 1).size() == 3);
  CHECK(comparison.seconds(true, 0) == 3);  // 1.5, 3 and 4.5 in all
  CHECK(comparison.seconds(true, 1) == 30);
  CHECK(comparison.seconds(true, 1, 0) == 15);
  CHECK(comparison.seconds(true, 1, 1) == 45);
  CHECK(comparison.seconds(false, 0) == 16);
  CHECK(comparison.part_seconds(true, 0, Part::projection) == 2);
  CHECK(comparison.part_seconds(false, 1, Part::attention) == 20);
  CHECK(comparison.part_seconds(false, 1, Part::sampling) == 0);
  CHECK(comparison.logit_differences() == std::vector<double>{0.5, 1.5, 2.5});  // of the first repeat: all are alike
  CHECK(comparison.first_other_token() == 1);
  CHECK(comparison.repeat_seconds(true) == std::vector<double>{21, 48, 34.5});
  CHECK(comparison.repeat_seconds(false) == std::vector<double>{8 * 14, 8 * 32, 8 * 23});
  CHECK_FALSE(comparison.repeats_agree());
  comparison.add({3, 0, seconds(1e6, 0), seconds(1e6, 0), 0, 4, 4});  // not yet done: it counts for its step alone
  CHECK(comparison.repeat_seconds(true).size() == 3);
}

TEST_CASE("repeats that took about the same time agree, and so do none and one") {
  Comparison comparison;
  CHECK(comparison.repeats_agree());
  CHECK(comparison.disturbed() == "");
  for (const double s : {1.0, 1.1, 0.95}) {
    const int repeat = int(comparison.all().size());
    comparison.add({repeat, 0, seconds(s, s), seconds(5 * s, 5 * s), 0, 4, 4});
    CHECK(comparison.repeats_agree());
  }
  comparison.add({3, 0, seconds(1, 1), seconds(40, 40), 0, 4, 4});  // disturbed without the cache alone
  CHECK_FALSE(comparison.repeats_agree());
  CHECK(comparison.disturbed() == "the repeats of the same work disagree");
  comparison.set_share_waited(0.4);
  CHECK(comparison.disturbed() ==
        "for 40 % of the time other programs had the processor, and the repeats of the same work disagree");
}
