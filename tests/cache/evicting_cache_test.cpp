#include "kvcache/cache/evicting_cache.hpp"

#include "cache/listener.hpp"
#include "cache_laws.hpp"
#include "common/instances.hpp"

using namespace kvcache;

namespace {

constexpr CacheShape shape{.layers = 2, .kv_heads = 2, .head_dim = 6};
using Rows = FloatRows<double>;

template <class Cache>
void append(Cache& cache, int layer, int position) {
  const Matrix<double> row = Matrix<double>::Ones(1, shape.row_size());
  cache.append(layer, position, in(row), in(row));
}
std::vector<int> kept(const auto& cache, int layer) {
  std::vector<int> positions;
  cache.for_each_block(layer, 0, [&](const auto& block) {
    for (int r = 0; r < block.rows(); ++r) positions.push_back(block.position(r));
  });
  std::sort(positions.begin(), positions.end());
  return positions;
}

}  // namespace

TEST_CASE("caches with a budget keep the laws") {
  for (const EvictionOptions eviction : {EvictionOptions{12, 5}, {2, 1}, {41, 40}, {60, 8}}) {
    cache_laws::Policy policy;
    policy.keeps = [=](int p, int length) { return p >= length - eviction.recent; };
    policy.how_many = [=](int length) { return std::min(length, eviction.budget); };
    check_cache_laws([&] { return HeavyHitterCache<Rows>(shape, eviction); }, policy);
    check_cache_laws([&] { return RandomCache<Rows>(shape, eviction); }, policy);
  }
}

TEST_CASE("the token that got the least attention goes, never a recent one") {
  HeavyHitterCache<Rows> cache(shape, {.budget = 5, .recent = 2});
  for (int p = 0; p < 5; ++p) append(cache, 0, p);
  // Of slots 0 to 4; two heads vote. Slot 4 got nothing, but is recent.
  const Matrix<double> one = (Matrix<double>(2, 5) << 3, 1, 2, 9, 0, 1, 2, 0, 9, 0).finished();
  const Matrix<double> two = (Matrix<double>(1, 5) << 0, 0, 5, 0, 0).finished();
  cache.learn(0, 0, in(one)), cache.learn(0, 1, in(two));  // 4, 3, 7, 18, 0
  append(cache, 0, 5);
  CHECK(kept(cache, 0) == std::vector<int>{0, 2, 3, 4, 5});
  append(cache, 0, 6);  // slots 1 (token 5) and 4 (token 4) got nothing; token 5 is recent beside 6
  CHECK(kept(cache, 0) == std::vector<int>{0, 2, 3, 5, 6});
  CHECK(kept(cache, 1).empty());
  CHECK(cache.memory().used_bytes == 5 * 2 * 2 * 6 * 8);
  CHECK(cache.memory().bookkeeping_bytes == 2 * 5 * (4 + 8));
}

TEST_CASE("attention decides which tokens stay, through append_and_attend alone") {
  const CacheShape one{.layers = 1, .kv_heads = 1, .head_dim = 2};
  HeavyHitterCache<Rows> cache(one, {.budget = 4, .recent = 1});
  Attention<double> attention(2);
  Work work;
  for (int p = 0; p < 10; ++p) {
    Matrix<double> key(1, 2), query(1, 4), output(1, 4);
    key << (p == 1 || p == 2 ? 5 : -5), 0;  // what queries look for
    query << 3, 0, 3, 0;
    attention.append_and_attend(cache, 0, in(key), in(key), in(query), p, out(output), work);
  }
  CHECK(kept(cache, 0) == std::vector<int>{0, 1, 2, 9});  // token 0 too: alone, it got all attention once
}

TEST_CASE("chance is the same in every run, and other in every layer") {
  const auto after = [](int layer) {
    RandomCache<Rows> cache(shape, {.budget = 6, .recent = 2});
    for (int p = 0; p < 200; ++p) append(cache, layer, p);
    return kept(cache, layer);
  };
  CHECK(after(0) == after(0));
  CHECK(after(0) != after(1));
  static_assert(!LearningCache<RandomCache<Rows>>, "it need not be told");
}

TEST_CASE("an observer hears which token went and why") {
  std::vector<Evicted> heard;
  const Listener<Evicted> listen{&heard};
  HeavyHitterCache<Rows, Listener<Evicted>> cache(shape, {.budget = 3, .recent = 1}, {}, listen);
  for (int p = 0; p < 4; ++p) append(cache, 1, p);
  CHECK(heard == std::vector<Evicted>{{1, 0, 0, Reason::least_attended}});
  cache.clear();
  CHECK(heard.size() == 4);
  CHECK(heard.back().reason == Reason::cleared);
}

TEST_CASE("impossible budgets are refused with a sentence") {
  for (const EvictionOptions wrong : {EvictionOptions{4, 4}, {4, 0}, {1, 1}, {0, 0}, {3, 9}})
    CHECK_THROWS_WITH_AS((HeavyHitterCache<Rows>{shape, wrong}),
                         doctest::Contains("the budget must exceed the recent tokens"), Error);
}
