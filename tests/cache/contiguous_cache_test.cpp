#include "kvcache/cache/contiguous_cache.hpp"

#include "cache_laws.hpp"
#include "common/instances.hpp"

using namespace kvcache;

namespace {

constexpr CacheShape shape{.layers = 2, .kv_heads = 3, .head_dim = 6};
using Rows = FloatRows<double>;

Matrix<double> ones(int tokens, int columns = shape.row_size()) { return Matrix<double>::Ones(tokens, columns); }
template <class Cache>
void append(Cache& cache, int layer, int first, int tokens) {
  const Matrix<double> rows = ones(tokens);
  cache.append(layer, first, in(rows), in(rows));
}

}  // namespace

TEST_CASE("caches that keep every token keep the laws") {
  check_cache_laws([] { return ConcatenatingCache<Rows>(shape); });
  check_cache_laws([] { return GrowingCache<Rows>(shape); });
  check_cache_laws([] { return GrowingCache<Rows>(shape, 7); });
  check_cache_laws([] { return PreallocatedCache<Rows>(shape, 41); });
  check_cache_laws([] { return PreallocatedCache<Rows>(shape, 100); });
}

TEST_CASE("the three ways to grow reserve what they say") {
  ConcatenatingCache<Rows> exact(shape);
  GrowingCache<Rows> doubling(shape), begun(shape, 5);
  PreallocatedCache<Rows> fixed(shape, 20);
  const std::size_t slot = 2 * 3 * 6 * 8;  // a key and a value in one layer
  const auto reserved = [&](const auto& cache) { return cache.memory().reserved_bytes / slot; };
  CHECK(reserved(exact) == 0);
  CHECK(reserved(doubling) == 0);
  CHECK(reserved(begun) == 2 * 5);
  CHECK(reserved(fixed) == 2 * 20);
  for (int p = 0; p < 9; ++p)
    append(exact, 0, p, 1), append(doubling, 0, p, 1), append(begun, 0, p, 1), append(fixed, 0, p, 1);
  CHECK(reserved(exact) == 9);
  CHECK(reserved(doubling) == 16);
  CHECK(reserved(begun) == 10 + 5);
  CHECK(reserved(fixed) == 2 * 20);
  append(doubling, 0, 9, 40);  // more than twice
  CHECK(reserved(doubling) == 49);
  CHECK(doubling.memory().used_bytes == 49 * slot);
}

TEST_CASE("a full preallocated cache says what to do, and stays as it was") {
  PreallocatedCache<Rows> cache(shape, 4);
  append(cache, 0, 0, 3);
  CHECK_THROWS_WITH_AS(append(cache, 0, 3, 2),
                       "PreallocatedCache: token 5 does not fit in 4 slots; build it with a larger capacity, or rewind "
                       "or clear it",
                       Error);
  CHECK(cache.length(0) == 3);
  append(cache, 0, 3, 1);
  CHECK(cache.length(0) == 4);
  CHECK_THROWS_WITH_AS(append(cache, 0, 4, 1), doctest::Contains("token 5 does not fit in 4 slots"), Error);
  PreallocatedCache<Rows> none(shape);
  CHECK_THROWS_WITH_AS(append(none, 0, 0, 1), doctest::Contains("token 1 does not fit in 0 slots"), Error);
}

TEST_CASE("wrong appends are refused with a sentence") {
  GrowingCache<Rows> cache(shape);
  append(cache, 0, 0, 2);
  const auto refused = [&](int layer, int first, const Matrix<double>& keys, const Matrix<double>& values,
                           const char* sentence) {
    CHECK_THROWS_WITH_AS(cache.append(layer, first, in(keys), in(values)), sentence, Error);
    CHECK(cache.length(0) == 2);
    CHECK(cache.length(1) == 0);
  };
  refused(2, 0, ones(1), ones(1), "GrowingCache: layer 2 given, but the cache has 2; build it with the model's shape");
  refused(-1, 0, ones(1), ones(1),
          "GrowingCache: layer -1 given, but the cache has 2; build it with the model's shape");
  const char* widths = "; split the projections into kv_heads * head_dim columns";
  refused(0, 2, ones(1, 17), ones(1),
          (std::string("GrowingCache: keys [1, 17] and values [1, 18] must both be [tokens, 18]") + widths).c_str());
  refused(0, 2, ones(1), ones(1, 19),
          (std::string("GrowingCache: keys [1, 18] and values [1, 19] must both be [tokens, 18]") + widths).c_str());
  refused(0, 2, ones(2), ones(1),
          (std::string("GrowingCache: keys [2, 18] and values [1, 18] must both be [tokens, 18]") + widths).c_str());
  const char* order = " tokens; append in order, or rewind or clear the cache first";
  refused(0, 3, ones(1), ones(1), (std::string("GrowingCache: position 3 given, but layer 0 holds 2") + order).c_str());
  refused(0, 0, ones(1), ones(1), (std::string("GrowingCache: position 0 given, but layer 0 holds 2") + order).c_str());
  refused(1, 2, ones(1), ones(1), (std::string("GrowingCache: position 2 given, but layer 1 holds 0") + order).c_str());
}

TEST_CASE("impossible sizes are refused with a sentence") {
  for (const CacheShape wrong : {CacheShape{0, 3, 6}, {2, 0, 6}, {2, 3, 0}, {-1, 3, 6}})
    CHECK_THROWS_WITH_AS(GrowingCache<Rows>{wrong}, doctest::Contains("asked for; each must be at least 1"), Error);
  CHECK_THROWS_WITH_AS((PreallocatedCache<Rows>{shape, -1}),
                       "PreallocatedCache: room for -1 tokens asked for; at least 0 are needed", Error);
}

TEST_CASE("rewind repairs layers that were left unequal, and never adds tokens") {
  GrowingCache<Rows> cache(shape);
  append(cache, 0, 0, 5), append(cache, 1, 0, 3);
  cache.rewind(9);
  CHECK(cache.length(0) == 5);
  cache.rewind(4);
  CHECK(cache.length(0) == 4);
  CHECK(cache.length(1) == 3);
  cache.rewind(3);
  CHECK(cache.length(0) == 3);
  CHECK_THROWS_WITH_AS(cache.rewind(-1), "GrowingCache: rewind to -1 tokens asked for; at least 0 must stay", Error);
  CHECK(cache.length(0) == 3);
}

TEST_CASE("clear keeps the storage") {
  GrowingCache<Rows> cache(shape);
  append(cache, 0, 0, 8);
  const auto before = cache.memory();
  cache.clear();
  CHECK(cache.memory().reserved_bytes == before.reserved_bytes);
  append(cache, 0, 0, 8);
  CHECK(cache.memory().copied_bytes == before.copied_bytes);
}

// What is no cache, and what may not be copied by accident.
static_assert(!KeyValueCache<std::vector<float>> && !KeyValueCache<Rows> && !RowStore<GrowingCache<Rows>>);
static_assert(!std::copyable<GrowingCache<Rows>> && !std::is_copy_constructible_v<GrowingCache<Rows>> &&
              !std::is_copy_assignable_v<GrowingCache<Rows>> && std::movable<GrowingCache<Rows>>);
