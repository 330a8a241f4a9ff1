#include "kvcache/cache/lent_cache.hpp"

#include <doctest/doctest.h>

#include "kvcache/cache/any_cache.hpp"
#include "kvcache/cache/contiguous_cache.hpp"
#include "kvcache/cache/sliding_window_cache.hpp"

using namespace kvcache;

TEST_CASE("what is done to a lent cache is done to the owner's; a clone stands alone") {
  constexpr CacheShape shape{2, 1, 4};
  const Matrix<float> rows = Matrix<float>::Constant(3, 4, 0.5f);
  GrowingCache<> owner(shape);
  AnyCache<GrowingCache<>::Block> lent{LentCache(owner)};
  for (int l = 0; l < 2; ++l) lent.append(l, 0, in(rows), in(rows));
  CHECK(owner.length(1) == 3);
  CHECK(lent.memory().used_bytes == owner.memory().used_bytes);
  auto copy = lent.clone();
  lent.rewind(1);
  CHECK(owner.length(0) == 1);
  CHECK(copy.length(0) == 3);
  copy.clear();
  CHECK(owner.length(0) == 1);
  int seen = 0;
  lent.for_each_block(0, 0, [&](const auto& block) { seen += block.rows(); });
  CHECK(seen == 1);
  SlidingWindowCache<> window(shape, {.sinks = 1, .recent = 2});
  CHECK(LentCache(window).reach() == window.reach());
  CHECK(LentCache(window).shifts_positions() == window.shifts_positions());
  CHECK(!RewindableCache<LentCache<SlidingWindowCache<>>>);
}
