#include "kvcache/cache/sliding_window_cache.hpp"

#include "cache/listener.hpp"
#include "cache_laws.hpp"
#include "common/instances.hpp"
#include "kvcache/cache/rows/packed_rows.hpp"

using namespace kvcache;

namespace {

constexpr CacheShape shape{.layers = 2, .kv_heads = 2, .head_dim = 6};
using Rows = FloatRows<double>;

void append(auto& cache, int first, int tokens) {
  using Scalar = typename std::decay_t<decltype(cache)>::Scalar;
  const Matrix<Scalar> rows = Matrix<Scalar>::Ones(tokens, shape.row_size());
  for (int l = 0; l < shape.layers; ++l) cache.append(l, first, in(rows), in(rows));
}

}  // namespace

TEST_CASE("windows keep the laws, with sinks and without, however often the ring wraps") {
  for (const WindowOptions window : {WindowOptions{4, 8}, {0, 8}, {1, 1}, {0, 1}, {3, 60}, {60, 3}, {5, 36}}) {
    CAPTURE(window.sinks);
    CAPTURE(window.recent);
    const auto keeps = [=](int p, int length) { return p < window.sinks || p >= length - window.recent; };
    check_cache_laws([&] { return SlidingWindowCache<Rows>(shape, window); }, {.keeps = keeps});
    check_cache_laws([&] { return SlidingWindowCache<Rows>(shape, window); }, {.keeps = keeps, .tokens = 150});
  }
}

TEST_CASE("shifted sinks are read as if they stood right before the window") {
  for (const WindowOptions window : {WindowOptions{4, 8, SinkPositions::shifted}, {1, 1, SinkPositions::shifted}})
    check_cache_laws(
        [&] { return SlidingWindowCache<Rows>(shape, window); },
        {.keeps = [=](int p, int length) { return p < window.sinks || p >= length - window.recent; },
         .gap = [=](int p,
                    int length) { return p < window.sinks ? std::max(0, length - window.recent - window.sinks) : 0; }});
}

TEST_CASE("memory stays what it was at the start, and reach says how far a query looks back") {
  SlidingWindowCache<Rows> cache(shape, {2, 5});
  const std::size_t slot = 2 * 2 * 6 * 8;
  CHECK(cache.memory().reserved_bytes == 2 * 7 * slot);
  for (int p = 0; p < 1000; ++p) append(cache, p, 1);
  CHECK(cache.memory().reserved_bytes == 2 * 7 * slot);
  CHECK(cache.memory().used_bytes == 2 * 7 * slot);
  CHECK(cache.length(0) == 1000);
  CHECK(cache.reach() == unlimited);
  CHECK(SlidingWindowCache<Rows>(shape, {0, 5}).reach() == 5);
  CHECK(SlidingWindowCache<Rows>(shape, {2, 5, SinkPositions::shifted}).reach() == 7);
}

TEST_CASE("a full window takes one token at a time, and says so") {
  SlidingWindowCache<Rows> cache(shape, {2, 5});
  CHECK(cache.chunk_limit(0) == 7);
  append(cache, 0, 4);
  CHECK(cache.chunk_limit(0) == 3);
  const Matrix<double> rows = Matrix<double>::Ones(4, shape.row_size());
  CHECK_THROWS_WITH_AS(cache.append(0, 4, in(rows), in(rows)), doctest::Contains("can take only 3 before it forgets"),
                       Error);
  append(cache, 4, 3);
  CHECK(cache.chunk_limit(0) == 1);
}

TEST_CASE("an observer hears which token left, from which slot, and why") {
  std::vector<Evicted> heard;
  const Listener<Evicted> listen{&heard};
  SlidingWindowCache<Rows, Listener<Evicted>> cache(shape, {1, 3}, {}, listen);
  append(cache, 0, 4);
  CHECK(heard.empty());
  append(cache, 4, 1);
  CHECK(heard == std::vector<Evicted>{{0, 1, 1, Reason::left_the_window}, {1, 1, 1, Reason::left_the_window}});
  append(cache, 5, 1);
  CHECK(heard.back() == Evicted{1, 2, 2, Reason::left_the_window});
  heard.clear();
  cache.clear();
  REQUIRE(heard.size() == 8);
  CHECK(heard[0] == Evicted{0, 0, 0, Reason::cleared});
  CHECK(heard[1] == Evicted{0, 3, 3, Reason::cleared});
  CHECK(heard[2] == Evicted{0, 4, 1, Reason::cleared});
  static_assert(sizeof(SlidingWindowCache<Rows>) < sizeof(cache), "nobody listening takes no room");
}

TEST_CASE("impossible windows are refused with a sentence") {
  for (const WindowOptions wrong : {WindowOptions{-1, 4}, {0, 0}, {4, -1}})
    CHECK_THROWS_WITH_AS((SlidingWindowCache<Rows>{shape, wrong}), doctest::Contains("a token could not see itself"),
                         Error);
}
