#include "kvcache/decode/generate.hpp"

#include <doctest/doctest.h>

#include <climits>
#include <map>
#include <set>

#include "common/caches.hpp"
#include "common/instances.hpp"
#include "reference_transformer.hpp"
#include "small_models.hpp"
#include "threads.hpp"

using namespace kvcache;

namespace {

using Cache = NamedCache<FloatRows<double>>;
Cache cache_for(const ModelConfig& config, const char* name = "growing") {
  return make_cache<FloatRows<double>>(name, config.cache_shape(), 48);
}
struct Setting {
  explicit Setting(const ModelConfig& config = small_llama()) : model(random_model<double>(config)) {}
  const Threads one{1};
  Model<double> model;
  Transformer<double> transformer{model};
  Cache cache = cache_for(model.config);
  std::vector<int> prompt = some_tokens(7);

  std::vector<int> write(const GenerateOptions& options) {
    cache.clear();
    return generate(transformer, cache, prompt, options);
  }
};
/// The likeliest token after each text, from the slow reference.
std::vector<int> greedy_by_reference(const Model<double>& model, std::vector<int> text, int tokens) {
  std::vector<int> written;
  for (int i = 0; i < tokens; ++i) {
    const auto logits = reference::logits(model, text).back();
    written.push_back(int(std::max_element(logits.begin(), logits.end()) - logits.begin()));
    text.push_back(written.back());
  }
  return written;
}

}  // namespace

TEST_CASE("with a cache and without, the same tokens as the reference, for every cache and model") {
  for (const SmallModel& small : {small_models()[0], small_models()[1]}) {
    Setting s(small.config);
    const auto expected = greedy_by_reference(s.model, s.prompt, 12);
    for (const CacheName& name : cache_names)
      for (const bool use_cache : {true, false}) {
        s.cache = cache_for(small.config, name.name);
        CHECK(generate(s.transformer, s.cache, s.prompt, {.tokens = 12, .use_cache = use_cache}) == expected);
      }
  }
}

TEST_CASE("sampled text is the same with a cache and without, and depends on the seed") {
  Setting s;
  const auto options = [](bool use_cache, std::uint64_t seed) {
    return GenerateOptions{
        .tokens = 15,
        .use_cache = use_cache,
        .sampling = {.temperature = 1, .top_k = 20, .top_p = 0.95, .repetition_penalty = 1.2, .seed = seed}};
  };
  const auto cached = s.write(options(true, 1));
  CHECK(cached.size() == 15);
  CHECK(s.write(options(false, 1)) == cached);
  CHECK(s.write(options(true, 1)) == cached);
  CHECK(s.write(options(true, 2)) != cached);
}

TEST_CASE("a step says what it did, with a cache") {
  Setting s;
  int steps = 0;
  std::vector<int> text = s.prompt;
  const ModelConfig& c = s.model.config;
  const auto written = generate(s.transformer, s.cache, s.prompt, {.tokens = 5}, [&](const Step<double>& step) {
    const int held = steps == 0 ? 0 : 6 + steps, fed = steps == 0 ? 7 : 1;
    CHECK(step.index == steps);
    CHECK(step.tokens_fed == fed);
    CHECK(step.tokens_reused == held);
    const auto expected = reference::logits(s.model, text).back();
    REQUIRE(step.logits.size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) CHECK(std::abs(step.logits[i] - expected[i]) < 1e-12);
    CHECK(step.token == int(std::max_element(expected.begin(), expected.end()) - expected.begin()));
    text.push_back(step.token);
    CHECK(std::vector<int>(step.text.begin(), step.text.end()) == text);
    CHECK(step.memory.used_bytes == c.cache_shape().bytes_per_token(8) * std::size_t(held + fed));
    CHECK(step.memory.used_bytes == s.cache.memory().used_bytes);
    CHECK(step.work.keys_computed == c.layers * c.kv_heads * fed);  // keys of earlier tokens are never computed again
    CHECK(step.work.queries_computed == c.layers * c.q_heads * fed);
    CHECK(step.work.keys_reused == c.layers * c.kv_heads * held);
    CHECK(step.seconds > 0);
    CHECK(step.work.total_seconds() <= step.seconds);
    CHECK(step.work.seconds[std::size_t(Part::sampling)] > 0);
    CHECK(step.is_last == (steps == 4));
    ++steps;
  });
  CHECK(steps == 5);
  CHECK(written == std::vector<int>(text.begin() + 7, text.end()));
  CHECK(s.cache.length(0) == 7 + 4);  // the last token is chosen, but never fed
}

TEST_CASE("a step says what it did, without a cache: everything again") {
  Setting s;
  const ModelConfig& c = s.model.config;
  std::int64_t keys = 0;
  generate(s.transformer, s.cache, s.prompt, {.tokens = 4, .use_cache = false}, [&](const Step<double>& step) {
    CHECK(step.tokens_fed == 7 + step.index);
    CHECK(step.tokens_reused == 0);
    CHECK(step.work.keys_reused == 0);
    keys += step.work.keys_computed;
  });
  CHECK(keys == c.layers * c.kv_heads * (7 + 8 + 9 + 10));
}

namespace {

/// Which earlier tokens attention reads in a step: a hook sees each piece as it is read.
struct Reader {
  const Cache& cache;
  int first;                                               // position of the step
  std::map<std::pair<int, int>, std::set<int>> read = {};  // by layer and head
  void operator()(int layer, int kv_head, int, MatrixIn<double> weights) {
    int column = 0;
    cache.for_each_block(layer, kv_head, [&](const auto& block) {
      for (int r = 0; r < block.rows(); ++r, ++column)
        if (block.position(r) < first && weights.col(column).maxCoeff() > 0)
          read[{layer, kv_head}].insert(block.position(r));
    });
  }
};

}  // namespace

TEST_CASE("reused is what attention reads of earlier steps: in every cache, for one token and for many at once") {
  Setting s;
  for (const char* spec :
       {"growing", "preallocated", "concatenating", "paged:page=3,pages=40", "offloaded:block=2,recent=1",
        "window:sinks=1,recent=3", "window:sinks=0,recent=4", "window:sinks=0,recent=1",
        "window:sinks=2,recent=4,positions=shifted", "heavy-hitter:budget=6,recent=3", "random:budget=6,recent=3",
        "layers:0=growing;1=window:sinks=0,recent=4;2=heavy-hitter:budget=6,recent=3"}) {
    CAPTURE(std::string(spec));
    s.cache = cache_for(s.model.config, spec);
    const std::vector<int> text = some_tokens(30);
    int done = 0;
    for (const int fed : {7, 1, 1, 5, 1, 9, 1}) {
      Reader reader{s.cache, done};
      s.transformer.step(s.cache, std::span(text).subspan(std::size_t(done), std::size_t(fed)), reader);
      std::size_t keys = 0, most = 0;
      for (const auto& [head, positions] : reader.read)
        keys += positions.size(), most = std::max(most, positions.size());
      CHECK(s.transformer.work().keys_reused == std::int64_t(keys));
      CHECK(s.transformer.work().tokens_reused == std::int64_t(most));
      done += fed;
    }
  }
}

TEST_CASE("a token that was forgotten is not reused; where layers differ, the number is that of the most") {
  Setting s;
  const auto reused = [&](const char* spec) {  // by the steps after the prompt of 7
    s.cache = cache_for(s.model.config, spec);
    std::vector<std::pair<int, int>> all;
    generate(s.transformer, s.cache, s.prompt, {.tokens = 4}, [&](const Step<double>& step) {
      CHECK(step.tokens_reused == step.work.tokens_reused);
      if (step.index > 0) all.push_back({step.tokens_reused, int(step.work.keys_reused)});
    });
    return all;
  };
  using All = std::vector<std::pair<int, int>>;
  REQUIRE(s.model.config.layers == 3);
  REQUIRE(s.model.config.kv_heads == 2);
  CHECK(reused("growing") == All{{7, 42}, {8, 48}, {9, 54}});
  CHECK(reused("window:sinks=0,recent=4") == All{{3, 18}, {3, 18}, {3, 18}});  // and the query's own key
  CHECK(reused("window:sinks=1,recent=8") == All{{7, 42}, {8, 48}, {8, 48}});
  CHECK(reused("window:sinks=0,recent=1") == All{{0, 0}, {0, 0}, {0, 0}});
  CHECK(reused("heavy-hitter:budget=6,recent=3") == All{{5, 30}, {5, 30}, {5, 30}});
  CHECK(reused("layers:0=growing;rest=window:sinks=0,recent=4") ==
        All{{7, 2 * (7 + 3 + 3)}, {8, 2 * (8 + 3 + 3)}, {9, 2 * (9 + 3 + 3)}});
}

TEST_CASE("use_cache = false does not mind what the cache holds") {
  Setting s;
  const auto expected = s.write({.tokens = 3});
  CHECK(s.cache.length(0) == 9);
  CHECK(generate(s.transformer, s.cache, s.prompt, {.tokens = 3, .use_cache = false}) == expected);
}

TEST_CASE("what the cache holds of the prompt is not computed again") {
  Setting s;
  const auto expected = s.write({.tokens = 6});
  s.cache.rewind(5);
  std::vector<int> fed;
  const auto again = generate(s.transformer, s.cache, s.prompt, {.tokens = 6}, [&](const Step<double>& step) {
    fed.push_back(step.tokens_fed);
    CHECK(step.tokens_reused == (step.index == 0 ? 5 : 6 + step.index));
  });
  CHECK(again == expected);
  CHECK(fed == std::vector<int>{2, 1, 1, 1, 1, 1});
}

TEST_CASE("writing ends after a stop token, which is written too") {
  Setting s;
  GenerateOptions options{.tokens = 20, .sampling = {.temperature = 1.5, .seed = 3}};
  const auto whole = s.write(options);
  REQUIRE(whole.size() == 20);
  const int stop = whole[5];
  const auto first = std::find(whole.begin(), whole.end(), stop);
  options.stop_tokens = {stop, 77};
  CHECK(s.write(options) == std::vector<int>(whole.begin(), first + 1));
  options.stop_tokens = {whole[0]};
  CHECK(s.write(options) == std::vector<int>{whole[0]});
  bool last = false;
  s.cache.clear();
  generate(s.transformer, s.cache, s.prompt, options, [&](const Step<double>& step) { last = step.is_last; });
  CHECK(last);
}

TEST_CASE("whoever watches may end the writing, and the text can go on later") {
  Setting s;
  const auto whole = s.write({.tokens = 9});
  s.cache.clear();
  auto text = s.prompt;
  const auto first = generate(s.transformer, s.cache, s.prompt, {.tokens = 9},
                              [](const Step<double>& step) { return step.index < 3; });
  CHECK(first == std::vector<int>(whole.begin(), whole.begin() + 4));  // the one that ended it is written
  text.insert(text.end(), first.begin(), first.end());
  const auto rest = generate(s.transformer, s.cache, text, {.tokens = 5});
  CHECK(rest == std::vector<int>(whole.begin() + 4, whole.end()));
}

TEST_CASE("a decoding can be driven by hand, and says when it is done") {
  Setting s;
  Decoding decoding(s.transformer, s.cache, s.prompt, GenerateOptions{.tokens = 2});
  CHECK(!decoding.done());
  CHECK(!decoding.next().is_last);
  CHECK(!decoding.done());
  CHECK(decoding.next().is_last);
  CHECK(decoding.done());
  CHECK_THROWS_WITH_AS(decoding.next(), "generate: all 2 tokens are written; start anew for more", Error);
}

TEST_CASE("a step may be watched: the hook sees weights and stages of every layer, and changes nothing") {
  struct Watcher {
    std::vector<int> weights = std::vector<int>(3), stages = std::vector<int>(3);  // calls in each layer
    void operator()(int layer, int, int, MatrixIn<double>) { ++weights[std::size_t(layer)]; }
    void see(int layer, Stage, MatrixIn<double>) { ++stages[std::size_t(layer)]; }
  };
  Setting s;
  const auto expected = s.write({.tokens = 3});
  s.cache.clear();
  Decoding decoding(s.transformer, s.cache, s.prompt, GenerateOptions{.tokens = 3});
  for (const int token : expected) {
    Watcher watcher;
    CHECK(decoding.next(watcher).token == token);
    CHECK(watcher.weights == std::vector<int>(3, s.model.config.kv_heads));
    CHECK(watcher.stages == std::vector<int>(3, int(stage_count)));
  }
}

TEST_CASE("requests that cannot be met are refused with a sentence, before anything is computed") {
  Setting s;
  const auto refused = [&](std::vector<int> prompt, const GenerateOptions& options, const char* sentence) {
    CHECK_THROWS_WITH_AS(generate(s.transformer, s.cache, prompt, options), sentence, Error);
  };
  refused({}, {}, "generate: the prompt is empty; give at least one token");
  refused(s.prompt, {.tokens = 0}, "generate: 0 tokens asked for; at least 1 is needed");
  refused(some_tokens(49), {.tokens = 1},
          "generate: the prompt has 49 tokens, but the model has positions for 48; give a shorter prompt");
  refused(
      some_tokens(40), {.tokens = 10},
      "generate: a prompt of 40 tokens and 10 more do not fit in the model's 48 positions; ask for at most 9 tokens");
  refused(
      s.prompt, {.tokens = INT_MAX},
      "generate: a prompt of 7 tokens and 2147483647 more do not fit in the model's 48 positions; ask for at most 42 "
      "tokens");
  refused(s.prompt, {.sampling = {.temperature = -1}}, "temperature is -1; it must be 0 (greedy) or more");
  CHECK(s.cache.length(0) == 0);
  CHECK(generate(s.transformer, s.cache, some_tokens(40), {.tokens = 9}).size() == 9);  // exactly as many as fit
  CHECK(s.cache.length(0) == 48);
  refused(s.prompt, {},
          "generate: the cache holds 48 tokens and the prompt has 7; at least the prompt's last token must "
          "be computed: clear or rewind the cache");
  s.cache.rewind(7);
  refused(s.prompt, {},
          "generate: the cache holds 7 tokens and the prompt has 7; at least the prompt's last token must "
          "be computed: clear or rewind the cache");
  s.cache.clear();
  refused({1, 99}, {},
          "Transformer: token id 99 given, but the vocabulary has 50 tokens; was the text tokenised for "
          "another model?");
}
