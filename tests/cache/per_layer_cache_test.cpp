#include "kvcache/cache/per_layer_cache.hpp"

#include <variant>

#include "cache_laws.hpp"
#include "common/caches.hpp"
#include "common/instances.hpp"

using namespace kvcache;

TEST_CASE("a cache made of parts keeps the laws of its parts") {
  const CacheShape one{.layers = 1, .kv_heads = 2, .head_dim = 6};
  check_cache_laws([&] {
    std::vector<GrowingCache<FloatRows<double>>> parts;
    for (int l = 0; l < 3; ++l) parts.emplace_back(one, l);
    return PerLayerCache(std::move(parts));
  });
  check_cache_laws(
      [&] {
        std::vector<SlidingWindowCache<FloatRows<double>>> parts;
        for (int l = 0; l < 3; ++l) parts.emplace_back(one, WindowOptions{2, 6});
        return PerLayerCache(std::move(parts));
      },
      {.keeps = [](int p, int length) { return p < 2 || p >= length - 6; }});
}

TEST_CASE("layers differ in what they keep and take") {
  auto cache = make_cache("layers:0,2=growing;1=window:sinks=0,recent=3;rest=growing:format=int8", {4, 1, 32}, 0);
  const Matrix<float> row = Matrix<float>::Ones(1, 32);
  for (int p = 0; p < 10; ++p)
    for (int l = 0; l < 4; ++l) cache.append(l, p, in(row), in(row));
  const auto kept = [&](int layer) { return kept_rows(cache, layer, 0); };
  CHECK(kept(0) == 10);
  CHECK(kept(1) == 3);
  CHECK(kept(2) == 10);
  CHECK(cache.length(1) == 10);
  CHECK(cache.slots(1) == 3);
  CHECK(cache.chunk_limit(1) == 1);
  CHECK(cache.chunk_limit(0) == unlimited);
  CHECK(cache.reach() == unlimited);
  CHECK(cache.memory().used_bytes == (10 + 3 + 10) * 2 * 128 + 10 * 2 * 36);
  CHECK(!cache.keeps_every_token());
  CHECK(make_cache("layers:rest=window:sinks=0,recent=3", {4, 1, 32}, 0).reach() == 3);
  CHECK(make_cache("layers:0=window:sinks=0,recent=9;rest=window:sinks=0,recent=3", {4, 1, 32}, 0).reach() == 9);
  CHECK(make_cache("layers:0=window:positions=shifted;rest=growing", {4, 1, 32}, 0).shifts_positions());
  CHECK(make_cache("layers:0=heavy-hitter;rest=growing", {4, 1, 32}, 0).learns());
}

TEST_CASE("parts that do not fit are refused with a sentence") {
  using Part = GrowingCache<FloatRows<double>>;
  CHECK_THROWS_WITH_AS(PerLayerCache(std::vector<Part>()), doctest::Contains("no parts given"), Error);
  std::vector<Part> parts;
  parts.emplace_back(CacheShape{1, 2, 6}), parts.emplace_back(CacheShape{1, 2, 4});
  CHECK_THROWS_WITH_AS(PerLayerCache(std::move(parts)), doctest::Contains("the heads of the first: 2 of 6"), Error);
  std::vector<Part> deep;
  deep.emplace_back(CacheShape{2, 2, 6});
  CHECK_THROWS_WITH_AS(PerLayerCache(std::move(deep)), doctest::Contains("a part of 2 layers"), Error);
  for (const auto& [spec, sentence] : {std::pair{"layers:0=growing", "no cache is named for layer 1; add rest=growing"},
                                       {"layers:0-4=growing", "\"4\" is no layer; the model has layers 0 to 3"},
                                       {"layers:0-2=growing;2=window;rest=growing", "layer 2 is named twice"},
                                       {"layers:growing", "has no \"=\""},
                                       {"layers:x=growing", "\"x\" is no layer"},
                                       {"layers:rest=windo", "cache \"windo\" is unknown"}})
    CHECK_THROWS_WITH_AS(make_cache(spec, {4, 1, 32}, 0), doctest::Contains(sentence), Error);
}

TEST_CASE("all layers go back, or none") {
  const Matrix<float> row = Matrix<float>::Ones(1, 32);
  for (const auto& [spec, sentence] :
       {std::pair{"layers:0=growing;1=window:sinks=1,recent=4", "the first 20 are forgotten or packed for good"},
        {"layers:0=growing;1=growing:format=kivi,group=4,residual=4", "are forgotten or packed for good"},
        {"layers:0=paged:page=4;1=paged:format=kivi,group=4,residual=4", "are forgotten or packed for good"}}) {
    const std::string named = spec;  // clang captures no bindings
    CAPTURE(named);
    auto cache = make_cache(spec, {2, 1, 32}, 40);
    for (int p = 0; p < 20; ++p)
      for (int l = 0; l < 2; ++l) cache.append(l, p, in(row), in(row));
    CHECK_THROWS_WITH_AS(cache.rewind(5), doctest::Contains(sentence), Error);
    CHECK(cache.length(0) == 20);
    CHECK(cache.length(1) == 20);
    CHECK(kept_rows(cache, 0, 0) == 20);
  }
  auto cache = make_cache("layers:0=growing;1=paged:page=4", {2, 1, 32}, 40);
  for (int p = 0; p < 20; ++p)
    for (int l = 0; l < 2; ++l) cache.append(l, p, in(row), in(row));
  cache.rewind(5);
  CHECK(cache.length(0) == 5);
  CHECK(cache.length(1) == 5);
}
