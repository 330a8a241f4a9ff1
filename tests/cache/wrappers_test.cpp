// A wrapper can do what the cache within can: each wrapper of the library around each kind of cache.
#include <doctest/doctest.h>

#include "kvcache/cache/lent_cache.hpp"
#include "kvcache/cache/make_cache.hpp"
#include "kvcache/cache/per_layer_cache.hpp"
#include "kvcache/observe/traced_cache.hpp"
#include "student_cache.hpp"

using namespace kvcache;

namespace {

constexpr CacheShape shape{.layers = 1, .kv_heads = 2, .head_dim = 8};

/// Models of the optional concepts, one character each.
template <class Cache>
std::string abilities() {
  std::string list;
  const auto add = [&](bool can, const char* what) { list += can ? what : "-"; };
  add(PreparableCache<Cache>, "P"), add(RewindableCache<Cache>, "R"), add(CompleteCache<Cache>, "C");
  add(ForkableCache<Cache>, "F"), add(SavableCache<Cache>, "S"), add(LearningCache<Cache>, "L");
  add(BoundedCache<Cache>, "B"), add(PiecedCache<Cache>, "p");
  return list;
}

template <class Cache>
void check_wrappers(const char* expected) {
  CAPTURE(expected);
  static_assert(KeyValueCache<LentCache<Cache>> && KeyValueCache<TracedCache<Cache>> &&
                KeyValueCache<PerLayerCache<Cache>> && KeyValueCache<AnyCache<typename Cache::Block>>);
  CHECK(abilities<Cache>() == expected);
  CHECK(abilities<LentCache<Cache>>() == expected);
  CHECK(abilities<TracedCache<Cache>>() == expected);
  CHECK(abilities<PerLayerCache<Cache>>() == expected);
  CHECK(abilities<LentCache<TracedCache<PerLayerCache<Cache>>>>() == expected);
  CHECK(abilities<AnyCache<typename Cache::Block>>() == "PRCFSLBp");  // what its cache cannot do, it says when asked
}

/// Two texts of five tokens, of which the second is the first's fork or clone: they must not disturb each other.
template <class Cache>
void check_second_text(Cache cache) {
  const Matrix<float> row = Matrix<float>::Constant(1, shape.row_size(), 0.5f);
  for (int p = 0; p < 5; ++p) cache.append(0, p, in(row), in(row));
  Cache second = cache.fork();
  second.append(0, 5, in(row), in(row));
  CHECK(cache.length(0) == 5);
  CHECK(second.length(0) == 6);
  CHECK(can_fork(cache));
}

}  // namespace

TEST_CASE("each wrapper models what its cache models, and no more") {
  check_wrappers<GrowingCache<>>("PRC-S---");
  check_wrappers<GrowingCache<KiviRows>>("PRC-S--p");
  check_wrappers<PreallocatedCache<AnyRows>>("PRC-S---");
  check_wrappers<SlidingWindowCache<>>("----S-Bp");
  check_wrappers<HeavyHitterCache<>>("----SL--");
  check_wrappers<RandomCache<>>("----S---");
  check_wrappers<OffloadedCache<>>("PRC-S--p");
  check_wrappers<PagedCache<>>("PRCFS--p");
  check_wrappers<PagedKiviCache<>>("PRCFS--p");
  check_wrappers<StudentCache>("--------");
}

TEST_CASE("wrappers pass on what was asked, not only the names") {
  PagedCache<> pages(shape, {.page = 4, .pages = 20});
  check_second_text(LentCache<PagedCache<>>(pages));
  check_second_text(TracedCache<PagedCache<>>(PagedCache<>(shape, {.page = 4, .pages = 20})));
  std::vector<PagedCache<>> parts;
  parts.emplace_back(shape, PageOptions{.page = 4, .pages = 20});
  check_second_text(PerLayerCache<PagedCache<>>(std::move(parts)));
  check_second_text(make_cache("paged:page=4", shape, 40));

  PreallocatedCache<> small(shape, 6);
  LentCache<PreallocatedCache<>> lent(small);
  CHECK(lent.keeps_every_token());
  CHECK_THROWS_WITH_AS(lent.prepare(7), doctest::Contains("token 7 does not fit in 6 slots"), Error);
  AnyCache<PreallocatedCache<>::Block> any{PreallocatedCache<>(shape, 6)};
  CHECK_THROWS_AS(any.prepare(7), Error);
  any.prepare(6);
  AnyCache<SlidingWindowCache<>::Block> window{SlidingWindowCache<>(shape)};
  window.prepare(1000);  // it forgets instead of running out
  CHECK(!can_fork(window));
  CHECK(!keeps_every_token(window));
  CHECK_THROWS_AS(window.fork(), Error);
}

TEST_CASE("a traced cache tells what prepare moved, layer by layer") {
  const CacheShape two{.layers = 2, .kv_heads = 2, .head_dim = 8};
  TracedCache<GrowingCache<>> cache{GrowingCache<>(two)};
  const Matrix<float> row = Matrix<float>::Ones(3, two.row_size());
  cache.prepare(3);
  for (int l = 0; l < 2; ++l) cache.append(l, 0, in(row), in(row));
  CHECK(cache.take_events().empty());
  cache.prepare(2);
  const std::vector<CacheEvent> events = cache.take_events();
  REQUIRE(events.size() == 2);
  for (int l = 0; l < 2; ++l) {
    CHECK(events[std::size_t(l)].kind == CacheEvent::Kind::moved);
    CHECK(events[std::size_t(l)].layer == l);
    CHECK(events[std::size_t(l)].rows == 3);
    CHECK(events[std::size_t(l)].bytes == 3 * 2 * std::size_t(two.row_size()) * sizeof(float));
  }
}
