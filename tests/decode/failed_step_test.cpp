// A step happens whole, or the cache holds what it did before: in the midst of one, layers differ.
#include <doctest/doctest.h>

#include "common/caches.hpp"
#include "common/instances.hpp"
#include "kvcache/decode/generate.hpp"
#include "small_models.hpp"

using namespace kvcache;

namespace {

struct FailsAt {  // a hook that throws in the middle of a step
  int layer;
  void operator()(int, int, int, MatrixIn<float>) const {}
  void see(int l, Stage stage, MatrixIn<float>) const {
    if (l == layer && stage == Stage::attended) fail("somebody stops at layer ", l);
  }
};

}  // namespace

TEST_CASE("a cache that runs full in the midst of a step says so, each time it is asked, and holds what it did") {
  const Model<float> model = random_model<float>(small_llama());
  Transformer<float> transformer(model);
  const CacheShape shape = model.config.cache_shape();
  const std::vector<int> prompt{1, 2, 3, 4};
  for (const auto& [spec, sentence] :
       {std::pair{"layers:0=growing;rest=paged:page=2,pages=3", "1 more pages of 2 tokens are needed"},
        {"layers:0=growing;rest=preallocated", "token 7 does not fit in 6 slots"},
        {"layers:0=offloaded:block=2,recent=1;rest=paged:page=2,pages=3", "1 more pages of 2 tokens are needed"},
        {"preallocated", "token 7 does not fit in 6 slots"}}) {
    const std::string named = spec;  // clang captures no bindings
    CAPTURE(named);
    auto cache = make_cache(spec, shape, 6);
    Decoding decoding(transformer, cache, prompt, {.tokens = 10});
    for (int i = 0; i < 3; ++i) decoding.next();
    for (int i = 0; i < 3; ++i) {
      CHECK_THROWS_WITH_AS(decoding.next(), doctest::Contains(sentence), Error);
      for (int l = 0; l < shape.layers; ++l) CHECK(cache.length(l) == 6);
    }
  }
}

TEST_CASE("after a step that somebody stopped, the text goes on as if it had not been tried") {
  const Model<float> model = random_model<float>(small_llama());
  Transformer<float> transformer(model);
  const CacheShape shape = model.config.cache_shape();
  const std::vector<int> prompt{1, 2, 3, 4, 5, 6, 7, 8, 9};
  for (const char* spec : {"growing", "paged:page=4", "offloaded:block=2,recent=1", "window:sinks=1,recent=4",
                           "growing:format=kivi,group=2,residual=1", "heavy-hitter:budget=6,recent=3"}) {
    const std::string named = spec;  // clang captures no bindings
    CAPTURE(named);
    auto whole = make_cache(spec, shape, 30);
    const std::vector<int> expected = generate(transformer, whole, prompt, {.tokens = 6});
    auto cache = make_cache(spec, shape, 30);
    Decoding decoding(transformer, cache, prompt, {.tokens = 6});
    std::vector<int> written;
    while (!decoding.done()) {
      for (const int layer : {0, shape.layers - 1}) {
        const int length = cache.length(0);
        CHECK_THROWS_WITH_AS(decoding.next(FailsAt{layer}), doctest::Contains("somebody stops"), Error);
        for (int l = 0; l < shape.layers; ++l) CHECK(cache.length(l) == cache.length(0));
        CHECK((cache.length(0) == length || cache.length(0) == 0));
      }
      written.push_back(decoding.next().token);
    }
    CHECK(written == expected);
  }
}

TEST_CASE("a cache to which somebody else has appended is refused with a sentence") {
  const Model<float> model = random_model<float>(small_llama());
  Transformer<float> transformer(model), other(model);
  GrowingCache<> cache(model.config.cache_shape());
  const std::vector<int> prompt{1, 2};
  Decoding decoding(transformer, cache, prompt, {.tokens = 5});
  decoding.next();
  other.step(cache, prompt);
  CHECK_THROWS_WITH_AS(decoding.next(),
                       "generate: the cache holds 4 tokens and the text has 3; somebody else has "
                       "appended to it: rewind or clear it",
                       Error);
}
