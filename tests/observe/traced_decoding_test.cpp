#include "kvcache/observe/traced_decoding.hpp"

#include <doctest/doctest.h>

#include <numeric>

#include "common/instances.hpp"
#include "kvcache/attention/reference.hpp"
#include "recorded.hpp"
#include "student_cache.hpp"
#include "threads.hpp"

using namespace kvcache;
using recorded::Run, recorded::Wish, recorded::record, recorded::as_text;

namespace {

using Floats = std::vector<float>;
Floats copy(std::span<const float> numbers) { return {numbers.begin(), numbers.end()}; }

/// Both families, every cache, with it and without: `check(model, wish)` for each.
void for_each_wish(const auto& look) {
  for (const ModelConfig& config : {small_gpt2(), small_llama()}) {
    const Model<float> model = random_model<float>(config);
    for (const CacheName& cache : cache_names)
      for (const bool use_cache : {true, false}) {
        Wish wish;
        wish.config = config, wish.cache = cache.name, wish.use_cache = use_cache;
        CAPTURE(config.family);
        CAPTURE(wish.cache);
        CAPTURE(use_cache);
        look(model, wish);
      }
  }
}
/// Keys and values [rows, head_dim] that one head sees now, from a position on.
std::pair<Matrix<float>, Matrix<float>> rows_now(const auto& cache, int layer, int head, int first, int rows) {
  Matrix<float> keys(rows, cache.shape().head_dim), values = keys;
  keys.setConstant(-7), values.setConstant(-7);
  read_rows(cache, layer, head, first, out(keys), out(values));
  return {keys, values};
}
float difference(std::span<const float> a, const auto& b) {
  REQUIRE(std::ssize(a) == b.size());
  float largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[Eigen::Index(i)]));
  return largest;
}
/// The textbook's weights of one query over the recorded keys of its kv head, up to its position.
std::vector<double> slow_weights(const Timeline& timeline, int layer, int q_head, int position, const float* query) {
  const ModelConfig& c = timeline.about().config;
  Matrix<double> keys(position + 1, c.head_dim);
  for (int p = 0; p <= position; ++p)
    for (int d = 0; d < c.head_dim; ++d)
      keys(p, d) = double(timeline.key(layer, q_head * c.kv_heads / c.q_heads, p)[std::size_t(d)]);
  Vector<double> q(c.head_dim);
  for (int d = 0; d < c.head_dim; ++d) q[d] = double(query[d]);
  std::vector<double> weights;
  reference_attention<double>(q, keys, keys, &weights);
  return weights;
}
void check_weights(std::span<const float> weights, const std::vector<double>& truth) {
  REQUIRE(weights.size() == truth.size());
  CHECK(std::abs(std::accumulate(weights.begin(), weights.end(), 0.0) - 1) < 1e-5);
  double worst = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) worst = std::max(worst, std::abs(double(weights[i]) - truth[i]));
  CHECK(worst < 1e-5);
}

/// Everything that a picture of step n may read, as the timeline gives it.
std::size_t digest(const Timeline& timeline, int n, bool with_times) {
  std::string all;
  for (int i = 0; i <= n; ++i) all += as_text(timeline.step(i), with_times);
  const ModelConfig& c = timeline.about().config;
  std::ostringstream text;
  text << std::hexfloat << timeline.formula_bytes(n) << ' ' << timeline.length_after(n) << '\n';
  for (int p = 0; p < timeline.length_after(n); ++p)
    for (int l = 0; l < c.layers; ++l) {
      for (int h = 0; h < c.kv_heads; ++h)
        recorded::put_all(text, "key", timeline.key(l, h, p)), recorded::put_all(text, "v", timeline.value(l, h, p));
      for (int h = 0; h < c.q_heads; ++h) recorded::put_all(text, "weights", timeline.attention(l, h, p));
    }
  recorded::put_all(text, "text", timeline.text().first(std::size_t(timeline.length_after(n)) + 1));
  return std::hash<std::string>()(all + text.str());
}

}  // namespace

TEST_CASE("recording changes no token and no bit of the logits") {
  const Threads two(2);
  for_each_wish([&](const Model<float>& model, Wish wish) {
    wish.tokens = 9;
    for (const double temperature : {0.0, 1.3}) {
      wish.sampling = {.temperature = temperature, .top_k = 30, .repetition_penalty = 1.1, .seed = 5};
      for (const bool all_layers : {true, false}) {
        wish.trace = {.all_layers = all_layers, .layer = 1};
        const Run run = record(model, wish);
        Transformer<float> transformer(model);
        auto cache = make_cache(wish.cache, model.config.cache_shape(), 48);
        int step = 0;
        const auto written =
            generate(transformer, cache, some_tokens(wish.prompt),
                     {.tokens = wish.tokens, .use_cache = wish.use_cache, .sampling = wish.sampling},
                     [&](const Step<float>& plain) {
                       const StepRecord& traced = run.timeline.step(step);
                       CHECK(Floats(plain.logits.begin(), plain.logits.end()) == run.logits[std::size_t(step)]);
                       CHECK(traced.index == step++);
                       CHECK(traced.token == plain.token);
                       CHECK(traced.tokens_fed == plain.tokens_fed);
                       CHECK(traced.tokens_reused == plain.tokens_reused);
                       CHECK(traced.work.multiplications == plain.work.multiplications);
                       CHECK(traced.work.keys_reused == plain.work.keys_reused);
                       CHECK(traced.memory.used_bytes == plain.memory.used_bytes);
                       CHECK(traced.memory.copied_bytes == plain.memory.copied_bytes);
                       CHECK(traced.seconds >= traced.work.total_seconds());
                     });
        CHECK(step == run.timeline.steps());
        const auto text = run.timeline.text();
        CHECK(std::vector<int>(text.begin() + wish.prompt, text.end()) == written);
      }
    }
  });
}

TEST_CASE("rows and layouts are those of the cache, after every step") {
  const Threads one(1);
  for_each_wish([&](const Model<float>& model, const Wish& wish) {
    record(model, wish, [&](const auto& decoding, const Timeline& timeline) {
      const ModelConfig& c = model.config;
      const int step = timeline.steps() - 1, length = timeline.length_after(step);
      const StepRecord& newest = timeline.step(step);
      CHECK(newest.first_position == (step == 0 ? 0 : length - 1));
      CHECK(newest.rows == (step == 0 ? wish.prompt : 1));
      REQUIRE(decoding.cache().length(0) == length);
      for (int l = 0; l < c.layers; ++l) {
        CHECK(newest.layout(l) == layout_of(decoding.cache().inner(), l));
        CHECK(newest.layout(l).rows() == length);
        for (int h = 0; h < c.kv_heads; ++h) {
          const auto [keys, values] = rows_now(decoding.cache(), l, h, 0, length);
          for (int p = 0; p < length; ++p) {
            // Rows of earlier steps lie there untouched; without the cache they were computed anew, in a larger batch.
            const float rounding = wish.use_cache || p >= newest.first_position ? 0 : 1e-5f;
            CHECK(difference(timeline.key(l, h, p), keys.row(p)) <= rounding);
            CHECK(difference(timeline.value(l, h, p), values.row(p)) <= rounding);
          }
          CHECK(timeline.key(l, h, length).empty());  // not computed yet
        }
      }
    });
  });
}

TEST_CASE("attention weights are what the queries and the recorded keys give") {
  const Threads one(1);
  for_each_wish([&](const Model<float>& model, Wish wish) {
    wish.prompt = 37;  // more than one tile of queries
    const ModelConfig& c = model.config;
    const Run run = record(model, wish);
    for (int step = 0; step < run.timeline.steps(); ++step)
      for (int l = 0; l < c.layers; ++l)
        for (int h = 0; h < c.q_heads; ++h) {
          const int newest = run.timeline.length_after(step) - 1;
          const Floats& projected = run.timeline.trace(l, step)->stages[std::size_t(Stage::projected)];
          check_weights(run.timeline.attention(l, h, newest),
                        slow_weights(run.timeline, l, h, newest, projected.data() + h * c.head_dim));
        }
  });
}

TEST_CASE("the weights of every query of the prompt stand at its own position") {
  const Threads one(1);
  struct Queries {  // of all tokens, layer by layer, as the model computes them
    std::vector<Matrix<float>> layers;
    bool wants(int) const { return false; }
    void operator()(int, int, int, MatrixIn<float>) {}
    void see(int, Stage stage, MatrixIn<float> numbers) {
      if (stage == Stage::projected) layers.emplace_back(numbers);
    }
  };
  Wish wish;
  wish.prompt = 37;
  const Model<float> model = random_model<float>(wish.config);
  const Run run = record(model, wish);
  Transformer<float> transformer(model);
  auto cache = make_cache("growing", wish.config.cache_shape(), 48);
  Queries queries;
  transformer.step(cache, some_tokens(wish.prompt), queries);
  for (int l = 0; l < wish.config.layers; ++l)
    for (int h = 0; h < wish.config.q_heads; ++h)
      for (int p = 0; p < wish.prompt; ++p)
        check_weights(
            run.timeline.attention(l, h, p),
            slow_weights(run.timeline, l, h, p, at(queries.layers[std::size_t(l)], p, h * wish.config.head_dim)));
}

TEST_CASE("the stages of the newest token have their sizes, and its key and value are those in the cache") {
  const Threads one(1);
  for_each_wish([&](const Model<float>& model, const Wish& wish) {
    const ModelConfig& c = model.config;
    const Run run = record(model, wish);
    for (int step = 0; step < run.timeline.steps(); ++step)
      for (int l = 0; l < c.layers; ++l) {
        const LayerTrace* trace = run.timeline.trace(l, step);
        REQUIRE(trace != nullptr);
        const auto stage = [&](Stage which) -> const Floats& { return trace->stages[std::size_t(which)]; };
        CHECK(int(stage(Stage::normalised).size()) == c.hidden);
        REQUIRE(int(stage(Stage::projected).size()) == c.qkv_size());
        REQUIRE(int(stage(Stage::attended).size()) == c.q_size());
        CHECK(int(stage(Stage::after_attention).size()) == c.hidden);
        CHECK(int(stage(Stage::after_feed_forward).size()) == c.hidden);
        const int newest = run.timeline.length_after(step) - 1;
        for (int h = 0; h < c.kv_heads; ++h) {
          const auto first = stage(Stage::projected).begin() + c.q_size() + h * c.head_dim;
          CHECK(copy(run.timeline.key(l, h, newest)) == Floats(first, first + c.head_dim));
          CHECK(copy(run.timeline.value(l, h, newest)) ==
                Floats(first + c.kv_size(), first + c.kv_size() + c.head_dim));
        }
        for (int h = 0; h < c.q_heads; ++h)  // what attention mixed is the weighted sum of the recorded values
          for (int d = 0; d < c.head_dim; ++d) {
            double mixed = 0;
            const auto weights = run.timeline.attention(l, h, newest);
            for (int p = 0; p <= newest; ++p)
              mixed += double(weights[std::size_t(p)]) *
                       double(run.timeline.value(l, h * c.kv_heads / c.q_heads, p)[std::size_t(d)]);
            CHECK(std::abs(mixed - double(stage(Stage::attended)[std::size_t(h * c.head_dim + d)])) < 1e-5);
          }
      }
  });
}

TEST_CASE("one layer alone may be recorded, and gives the same numbers") {
  const Threads one(1);
  Wish wish;
  const Model<float> model = random_model<float>(wish.config);
  const Run all = record(model, wish);
  wish.trace = {.all_layers = false, .layer = 2, .candidates = 3};
  const Run single = record(model, wish);
  for (int step = 0; step < wish.tokens; ++step) {
    CHECK(single.timeline.trace(0, step) == nullptr);
    CHECK(single.timeline.trace(1, step) == nullptr);
    REQUIRE(single.timeline.trace(2, step) != nullptr);
    StepRecord expected = all.timeline.step(step), got = single.timeline.step(step);
    expected.traces.erase(0), expected.traces.erase(1);
    expected.candidates.resize(3);
    CHECK(recorded::first_difference(as_text(got, false), as_text(expected, false)) == "");
  }
}

TEST_CASE("candidates are the likeliest tokens, with their share of the softmax") {
  const Threads one(1);
  Wish wish;
  wish.trace.candidates = 50;
  const Run run = record(random_model<float>(wish.config), wish);
  for (int step = 0; step < wish.tokens; ++step) {
    const std::vector<Candidate>& all = run.timeline.step(step).candidates;
    const Floats& logits = run.logits[std::size_t(step)];
    REQUIRE(all.size() == 50);
    CHECK(all[0].token == run.timeline.step(step).token);  // greedy
    double sum = 0, normaliser = 0;
    for (const float logit : logits) normaliser += std::exp(double(logit));
    for (std::size_t i = 0; i < all.size(); ++i) {
      sum += all[i].probability;
      if (i > 0) CHECK(all[i].probability <= all[i - 1].probability);
      CHECK(all[i].probability ==
            doctest::Approx(std::exp(double(logits[std::size_t(all[i].token)])) / normaliser).epsilon(1e-5));
    }
    CHECK(sum == doctest::Approx(1).epsilon(1e-5));
  }
  wish.trace.candidates = 0;
  CHECK(record(random_model<float>(wish.config), wish).timeline.step(0).candidates.empty());
}

TEST_CASE("what happened to the cache stands in the record of its step") {
  const Threads one(1);
  Wish wish;
  wish.tokens = 4;
  const Model<float> model = random_model<float>(wish.config);
  const std::size_t row_bytes = 2 * 4 * 16;  // of one layer: 2 kv heads of 8
  const auto events = [&](const char* cache, bool use_cache, int step) {
    wish.cache = cache, wish.use_cache = use_cache;
    return record(model, wish).timeline.step(step).events;
  };
  using Kind = CacheEvent::Kind;
  CHECK(events("concatenating", true, 0).empty());
  CHECK(events("concatenating", true, 2) == std::vector<CacheEvent>{{Kind::moved, 0, 0, 8, 8 * row_bytes},
                                                                    {Kind::moved, 1, 0, 8, 8 * row_bytes},
                                                                    {Kind::moved, 2, 0, 8, 8 * row_bytes}});
  CHECK(events("growing", true, 1).size() == 3);  // 7 slots grow to 14
  CHECK(events("growing", true, 2).empty());
  CHECK(events("preallocated", true, 1).empty());
  CHECK(events("preallocated", false, 1) ==
        std::vector<CacheEvent>{{Kind::cleared, 0, 0, 7, 0}, {Kind::cleared, 1, 0, 7, 0}, {Kind::cleared, 2, 0, 7, 0}});
}

TEST_CASE("a cache that forgets: weights are not_kept where it did not hold the key any more") {
  const Threads one(1);
  const Model<double> model = random_model<double>(small_llama());
  Transformer<double> transformer(model);
  const std::vector<int> prompt = some_tokens(9);
  constexpr int window = 5;
  TracedDecoding<double, StudentCache> decoding(transformer, StudentCache(model.config.cache_shape(), window), prompt,
                                                {.tokens = 4}, {.all_layers = true});
  TimelineAbout about;
  about.config = model.config, about.prompt = prompt;
  Timeline timeline(about);
  while (!decoding.done()) timeline.add(decoding.next());
  for (int p = 0; p < timeline.length_after(3); ++p) {
    const auto weights = timeline.attention(1, 4, p);
    REQUIRE(int(weights.size()) == p + 1);
    double sum = 0;
    for (int k = 0; k <= p; ++k) {
      CHECK((weights[std::size_t(k)] == AttentionWeights::not_kept) == (k <= p - window));
      if (k > p - window) sum += double(weights[std::size_t(k)]);
    }
    CHECK(std::abs(sum - 1) < 1e-6);
  }
  for (int step = 1; step < 4; ++step) {
    CHECK(timeline.step(step).layout(2).slot_of(8 + step) == 0);  // newest first
    CHECK(timeline.step(step).layout(2).slot_of(8 + step - window) == -1);
    REQUIRE(timeline.step(step).events.size() == 3);
    CHECK(timeline.step(step).events[1] == CacheEvent{CacheEvent::Kind::forgotten, 1, 8 + step - window, 1, 0});
  }
}

TEST_CASE("what is reused is one number: in the record, in its work, in the layouts and in attention's own weights") {
  const Threads one(1);
  const Model<float> model = random_model<float>(small_llama());
  const ModelConfig& c = model.config;
  for (const char* cache : {"growing", "window:sinks=1,recent=3", "window:sinks=0,recent=4", "window:sinks=0,recent=1",
                            "heavy-hitter:budget=6,recent=3", "random:budget=6,recent=3", "paged:page=3,pages=40",
                            "offloaded:block=2,recent=1", "layers:0=growing;rest=window:sinks=0,recent=4"})
    for (const bool use_cache : {true, false}) {
      CAPTURE(std::string(cache));
      Wish wish;
      wish.cache = cache, wish.use_cache = use_cache;
      const Run run = record(model, wish);
      for (int i = 0; i < run.timeline.steps(); ++i) {
        const StepRecord& step = run.timeline.step(i);
        const int length = run.timeline.length_after(i), computed = step.tokens_fed;
        std::int64_t by_layout = 0, by_weights = 0, most = 0;
        for (int l = 0; l < c.layers; ++l) {
          int rows = 0;  // of the picture: kept, and not new
          for (int p = 0; p < length - computed; ++p) rows += step.layout(l).slot_of(p) >= 0;
          by_layout += rows * c.kv_heads, most = std::max<std::int64_t>(most, rows);
          for (int h = 0; h < c.kv_heads; ++h) {  // one of the query heads that share it
            const auto weights = run.timeline.attention(l, h * c.q_heads / c.kv_heads, length - 1);
            REQUIRE(std::ssize(weights) == length);
            for (int p = 0; p < length - computed; ++p)
              by_weights += weights[std::size_t(p)] != AttentionWeights::not_kept;
          }
        }
        CHECK(step.tokens_reused == most);
        CHECK(step.work.tokens_reused == most);
        CHECK(step.work.keys_reused == by_layout);
        CHECK(step.work.keys_reused == by_weights);
        if (!use_cache) CHECK(step.tokens_reused == 0);
      }
    }
}

TEST_CASE("a picture of step n is the same from either side: nothing that comes later changes what it reads") {
  const Threads one(1);
  for_each_wish([&](const Model<float>& model, Wish wish) {
    std::vector<std::size_t> on_the_way;
    const Run run = record(model, wish, [&](const auto&, const Timeline& timeline) {
      on_the_way.push_back(digest(timeline, timeline.steps() - 1, /*with_times*/ true));
    });
    for (int n = 0; n < run.timeline.steps(); ++n) CHECK(digest(run.timeline, n, true) == on_the_way[std::size_t(n)]);
    for (const int n : {0, 3}) {  // and of a run that ends there
      wish.tokens = n + 1;
      CHECK(digest(record(model, wish).timeline, n, false) == digest(run.timeline, n, false));
    }
    CHECK(digest(run.timeline, 2, false) != digest(run.timeline, 3, false));
  });
}

TEST_CASE("a layer that is not there, and a cache that is not empty, are refused with a sentence") {
  const Model<float> model = random_model<float>(small_gpt2());
  Transformer<float> transformer(model);
  const std::vector<int> prompt = some_tokens(3);
  const auto start = [&](int layer, int held, int candidates = 5) {
    auto cache = make_cache("growing", model.config.cache_shape(), 0);
    const Matrix<float> rows = Matrix<float>::Ones(held, 24);
    for (int l = 0; l < 2 && held > 0; ++l) cache.append(l, 0, in(rows), in(rows));
    TracedDecoding<float, recorded::Cache>(transformer, std::move(cache), prompt, {.tokens = 2},
                                           {.layer = layer, .candidates = candidates});
  };
  CHECK_NOTHROW(start(1, 0));
  CHECK_THROWS_WITH_AS(start(2, 0), "TracedDecoding: layer 2 asked for; the model has layers 0 to 1", Error);
  CHECK_THROWS_WITH_AS(start(-1, 0), doctest::Contains("layer -1 asked for"), Error);
  CHECK_THROWS_WITH_AS(start(0, 0, -1), doctest::Contains("-1 candidates asked for"), Error);
  CHECK_THROWS_WITH_AS(start(0, 2), "TracedDecoding: the cache holds 2 tokens already; give an empty one", Error);
}

TEST_CASE(
    "at every step the timeline tells the rows that attention reads then, also of a cache that packs them later") {
  const Threads one(1);
  const Model<float> model = random_model<float>(small_llama());
  for (const char* cache : {"growing:format=int8", "growing:format=kivi,bits=2,group=4,residual=2", "growing"}) {
    CAPTURE(std::string(cache));
    Wish wish{.cache = cache, .prompt = 11, .tokens = 9};
    wish.trace.written_rows = true;
    int rewritten = 0;
    bool differs = false;
    const Run run = record(model, wish, [&](const auto& decoding, const Timeline& timeline) {
      const int step = timeline.steps() - 1, length = timeline.length_after(step), dim = model.config.head_dim;
      rewritten += int(timeline.step(step).rewritten.size());
      Matrix<float> keys(length, dim), values(length, dim);
      for (int l = 0; l < model.config.layers; ++l)
        for (int h = 0; h < model.config.kv_heads; ++h) {
          read_rows(decoding.cache(), l, h, 0, out(keys), out(values));
          for (int p = 0; p < length; ++p) {
            REQUIRE(difference(timeline.key(l, h, p), keys.row(p)) == 0);
            REQUIRE(difference(timeline.value(l, h, p), values.row(p)) == 0);
            differs = differs || difference(timeline.written_key(l, h, p), keys.row(p)) > 0;
          }
        }
    });
    CHECK(differs == (std::string(cache) != "growing"));
    CHECK((rewritten > 0) == (std::string(cache).find("kivi") != std::string::npos));
    if (rewritten == 0) continue;
    // A picture of an earlier step still shows the rows of then: whole.
    int first = 0;
    while (run.timeline.step(first).rewritten.empty()) ++first;
    const RewrittenRows& rows = run.timeline.step(first).rewritten[0];
    const auto written = run.timeline.written_key(rows.layer, 1, rows.first_position);
    const Eigen::Map<const Vector<float>> whole(written.data(), std::ssize(written));
    CHECK(difference(run.timeline.key(rows.layer, 1, rows.first_position, first - 1), whole) == 0);
    CHECK(difference(run.timeline.key(rows.layer, 1, rows.first_position, first), whole) > 0);
  }
}

TEST_CASE("rows as they were given are kept for new tokens only, also when all are computed again") {
  const Threads one(1);
  Wish wish{.cache = "growing:format=int8", .use_cache = false};
  wish.trace.written_rows = true;
  const Timeline timeline = record(random_model<float>(wish.config), wish).timeline;
  for (const StepRecord& step : timeline.records()) CHECK(step.written_keys.size() == step.keys.size());
}

TEST_CASE("another text may go on from the prompt: its pages are shared, the last one until it is written to") {
  const Threads one(1);
  const Model<float> model = random_model<float>(small_llama());
  Wish wish{.cache = "paged:page=4,pages=40", .prompt = 10, .tokens = 4};
  const Run alone = record(model, wish);
  wish.trace.fork_at = 1;
  const Run forked = record(model, wish);
  CHECK(forked.timeline.text().back() == alone.timeline.text().back());
  CHECK(forked.logits == alone.logits);
  const auto pages = [&](int step) { return forked.timeline.step(step).layout(0).pieces; };
  CHECK(pages(0)[0].references == 1);
  CHECK(pages(1)[0].references == 2);
  CHECK(pages(1)[2].references == 1);  // this text's own by now
  CHECK(pages(1)[2].page != pages(0)[2].page);
  CHECK(pages(3)[1].references == 2);
  wish.cache = "growing";
  CHECK_THROWS_WITH_AS(record(model, wish), doctest::Contains("fork: this cache shares nothing"), Error);
}
