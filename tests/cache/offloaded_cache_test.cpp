#include "kvcache/cache/offloaded_cache.hpp"

#include "cache/listener.hpp"
#include "cache_laws.hpp"
#include "common/instances.hpp"
#include "kvcache/cache/contiguous_cache.hpp"
#include "kvcache/cache/rows/packed_rows.hpp"
#include "kvcache/core/random.hpp"

using namespace kvcache;

namespace {

constexpr CacheShape shape{.layers = 2, .kv_heads = 2, .head_dim = 6};
using Rows = FloatRows<double>;

void append(auto& cache, int first, int tokens) {
  const Matrix<double> rows = Matrix<double>::Ones(tokens, shape.row_size());
  for (int l = 0; l < shape.layers; ++l) cache.append(l, first, in(rows), in(rows));
}

}  // namespace

TEST_CASE("blocks in a file keep the laws, whatever stays in memory") {
  for (const OffloadOptions offload : {OffloadOptions{4, 2}, {1, 1}, {3, 1}, {16, 3}, {64, 4}, {4, 2, /*cold*/ true}}) {
    CAPTURE(offload.block);
    check_cache_laws([&] { return OffloadedCache<Rows>(shape, offload); });
  }
  check_cache_laws(
      [] {
        return OffloadedCache<Int8Rows>({2, 2, 32}, {5, 2});
      },
      {.row_tolerance = 0.0041, .row_bytes = 2 * 36});
}

TEST_CASE("attention is, bit for bit, that over a cache which keeps all in memory in the same blocks") {
  Random random(1);
  const CacheShape one{.layers = 1, .kv_heads = 2, .head_dim = 8};
  OffloadedCache<FloatRows<float>> offloaded(one, {4, 1}), resident(one, {4, 100});
  Attention<float> attention(4);
  Work work;
  for (int p = 0; p < 60; ++p) {
    Matrix<float> rows(1, 16), queries(1, 32), output(1, 32), expected(1, 32);
    for (float& x : rows.reshaped()) x = float(random.uniform(-1, 1));
    for (float& x : queries.reshaped()) x = float(random.uniform(-1, 1));
    attention.append_and_attend(offloaded, 0, in(rows), in(rows), in(queries), p, out(output), work);
    attention.append_and_attend(resident, 0, in(rows), in(rows), in(queries), p, out(expected), work);
    CHECK(output == expected);
  }
}

TEST_CASE("bytes in memory stay few, the others are in the file, and what comes back is counted") {
  OffloadedCache<Rows> cache(shape, {4, 2});
  const std::size_t slot = 2 * 2 * 6 * 8;  // of one layer
  append(cache, 0, 8);
  CHECK(cache.memory().slow_bytes == 0);
  CHECK(cache.memory().reserved_bytes == 2 * 8 * slot);
  append(cache, 8, 10);  // blocks 0 to 4: the newest two in memory
  CHECK(cache.memory().used_bytes == 2 * 18 * slot);
  CHECK(cache.memory().slow_bytes == 2 * 12 * slot);
  CHECK(cache.memory().reserved_bytes >= 2 * (8 + 12) * slot);
  const auto before = cache.traffic();
  for (int head = 0; head < 2; ++head) cache.for_each_block(1, head, [](const auto&) {});
  CHECK(cache.traffic().hits - before.hits == 2 * 2);
  CHECK(cache.traffic().misses - before.misses == 2 * 3);
  CHECK(cache.traffic().bytes - before.bytes == 12 * slot);
}

TEST_CASE("an observer hears of the traffic, layer by layer") {
  std::vector<Fetched> heard;
  const Listener<Fetched> listen{&heard};
  OffloadedCache<Rows, Listener<Fetched>> cache(shape, {4, 1}, {}, listen);
  append(cache, 0, 9);
  CHECK(heard.empty());
  cache.for_each_block(1, 0, [](const auto&) {});
  append(cache, 9, 1);
  CHECK(heard == std::vector<Fetched>{{1, 1, 2, 8 * 2 * 6 * 8}});
  append(cache, 10, 1);
  CHECK(heard.size() == 1);
}

TEST_CASE("impossible blocks are refused with a sentence") {
  for (const OffloadOptions wrong : {OffloadOptions{0, 1}, {4, 0}, {-1, 2}})
    CHECK_THROWS_WITH_AS((OffloadedCache<Rows>{shape, wrong}), doctest::Contains("each must be at least 1"), Error);
}

TEST_CASE("floats that lie behind rows of another format are read wherever that is") {
  // Keys of 34 bytes: 63 of them end where no float may begin. The sanitizer watches.
  const CacheShape odd{1, 1, 32};
  const ChosenFormats formats{&row_formats::q8_0, &row_formats::f32};
  OffloadedCache<AnyRows> cache(odd, {.block = 63, .recent = 1}, formats);
  GrowingCache<AnyRows> whole(odd, 0, formats);
  Random random(1);
  Matrix<float> rows(200, 32);
  for (float& number : rows.reshaped()) number = float(random.uniform(-1, 1));
  cache.append(0, 0, in(rows), in(rows)), whole.append(0, 0, in(rows), in(rows));
  const auto sum_of_values = [](const auto& from) {
    Matrix<float> sum = Matrix<float>::Zero(1, 32);
    from.for_each_block(0, 0, [&](const auto& block) {
      const Matrix<float> weights = Matrix<float>::Ones(1, block.rows());
      block.accumulate(in(weights), out(sum));
    });
    return sum;
  };
  CHECK((sum_of_values(cache) - sum_of_values(whole)).cwiseAbs().maxCoeff() < 1e-4f);
}
