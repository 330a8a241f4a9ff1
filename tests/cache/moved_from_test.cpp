// A cache that was moved from is empty: it can be asked for its length and its memory, cleared, and assigned to. What
// it cannot do any more it says.
#include <doctest/doctest.h>

#include "common/caches.hpp"
#include "common/instances.hpp"
#include "kvcache/cache/lent_cache.hpp"
#include "kvcache/observe/traced_cache.hpp"

using namespace kvcache;

namespace {

constexpr CacheShape shape{.layers = 2, .kv_heads = 1, .head_dim = 8};

template <class Cache>
void append(Cache& cache, int position) {
  const auto row = Matrix<typename Cache::Scalar>::Ones(1, cache.shape().row_size()).eval();
  for (int l = 0; l < cache.shape().layers; ++l) cache.append(l, position, in(row), in(row));
}
/// `says`: what moved-from caches of this kind say to all, for they have nothing within to ask.
template <class Cache>
void check_moved_from(Cache cache, const char* says = nullptr) {
  for (int p = 0; p < 5; ++p) append(cache, p);
  const std::size_t used = cache.memory().used_bytes;
  Cache moved(std::move(cache));
  CHECK(moved.length(1) == 5);
  CHECK(moved.memory().used_bytes == used);
  if (says == nullptr) {
    CHECK(cache.length(0) == 0);
    CHECK(cache.length(1) == 0);
    CHECK(cache.memory().used_bytes == 0);
    cache.clear();
    CHECK_THROWS_WITH_AS(append(cache, 0), doctest::Contains("moved from"), Error);
  } else {
    CHECK_THROWS_WITH_AS(cache.length(0), doctest::Contains(says), Error);
    CHECK_THROWS_WITH_AS(cache.clear(), doctest::Contains(says), Error);
  }
  if constexpr (SavableCache<Cache>) {
    ByteWriter to;
    try {
      cache.save(to);
      ByteReader saved(to.written());  // a pool of pages still knows what it is of: an empty text of that
      saved.text();
      CHECK(saved.number<std::int32_t>() == 0);
      saved.check_finished();
    } catch (const Error& error) {
      CHECK(std::string(error.what()).find("moved from") != std::string::npos);
    }
  }
  cache = std::move(moved);
  CHECK(cache.length(1) == 5);
  append(cache, 5);
  CHECK(cache.length(0) == 6);
}

}  // namespace

TEST_CASE("a cache that was moved from is empty, and says what it cannot do") {
  check_moved_from(GrowingCache<>(shape));
  check_moved_from(PreallocatedCache<>(shape, 9));
  check_moved_from(GrowingCache<KiviRows>(shape, 0, {.group = 2, .residual = 1}));
  check_moved_from(SlidingWindowCache<>(shape, {.sinks = 1, .recent = 3}));
  check_moved_from(HeavyHitterCache<>(shape, {.budget = 4, .recent = 2}));
  check_moved_from(OffloadedCache<>(shape, {.block = 2, .recent = 1}));
  check_moved_from(PagedCache<>(shape, PageOptions{2, 9}));
  check_moved_from(PagedKiviCache<>(shape, 9, {.group = 2, .residual = 1}));
  check_moved_from(make_cache("growing", shape, 9), "AnyCache: this cache was moved from");
  check_moved_from(TracedCache(GrowingCache<>(shape)));
  GrowingCache<> owner(shape);
  check_moved_from(LentCache(owner), "LentCache: this cache was moved from");
  std::vector<GrowingCache<>> parts;
  for (int l = 0; l < 2; ++l) parts.emplace_back(CacheShape{1, 1, 8});
  PerLayerCache layers(std::move(parts));
  append(layers, 0);
  const PerLayerCache moved(std::move(layers));
  CHECK(moved.length(1) == 1);
  CHECK(layers.length(0) == 0);
  CHECK(layers.memory().used_bytes == 0);
  layers.clear();
  CHECK_THROWS_WITH_AS(layers.shape(), doctest::Contains("moved from"), Error);
}

TEST_CASE("a layer that is not there is refused with a sentence") {
  const GrowingCache<> cache(shape);
  CHECK_THROWS_WITH_AS(cache.length(2), "layer 2 asked for, but the cache has 2", Error);
  CHECK_THROWS_WITH_AS(cache.slots(-1), "layer -1 asked for, but the cache has 2", Error);
}
