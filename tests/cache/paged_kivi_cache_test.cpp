#include "kvcache/cache/paged_kivi_cache.hpp"

#include "cache/listener.hpp"
#include "cache_laws.hpp"
#include "common/instances.hpp"
#include "kvcache/cache/contiguous_cache.hpp"
#include "kvcache/cache/rows/kivi_rows.hpp"
#include "random_matrix.hpp"

using namespace kvcache;

namespace {

constexpr CacheShape shape{.layers = 2, .kv_heads = 2, .head_dim = 8};
const KiviOptions options{{4, true}, {4, false}, /*group*/ 4, /*residual*/ 3};

auto pool_of(int pages) { return std::make_shared<PagePool<KiviGroups>>(shape, pages, 1, options); }
Matrix<float> text() {
  Random random(7);
  return random_matrix(60, shape.row_size(), random).cast<float>();
}
/// Rows [first, first + count) of the text, to every layer.
void feed(auto& cache, int first, int count) {
  const Matrix<float> rows = text();
  for (int l = 0; l < shape.layers; ++l)
    for (int p = first; p < first + count; ++p)
      cache.append(l, p, in(rows.middleRows(p, 1)), in(rows.middleRows(p, 1)));
}
/// [tokens, head_dim], by position.
Matrix<float> keys_of(const auto& cache, int layer, int head) {
  Matrix<float> keys(cache.length(layer), shape.head_dim);
  const Matrix<float> units = Matrix<float>::Identity(shape.head_dim, shape.head_dim);
  cache.for_each_block(layer, head, [&](const auto& block) {
    Matrix<float> columns(shape.head_dim, block.rows());
    block.score(in(units), out(columns));
    for (int r = 0; r < block.rows(); ++r) keys.row(block.position(r)) = columns.col(r).transpose();
  });
  return keys;
}

}  // namespace

TEST_CASE("KIVI over pages keeps the laws, from one pool each or a shared one") {
  for (const int residual : {0, 3, 8}) {
    KiviOptions o = options;
    o.residual = residual;
    const auto pool = std::make_shared<PagePool<KiviGroups>>(shape, 60, 1, o);
    check_cache_laws([&] { return PagedKiviCache<>(pool); },
                     {.row_tolerance = 0.07, .rows_stand_alone = false});
    CHECK(pool->free_pages() == 60);  // every page came back
  }
}

TEST_CASE("its rows are those of KIVI in one piece, bit for bit, wherever the pages lie") {
  const auto pool = pool_of(30);
  PagedKiviCache<> before(pool), paged(pool);
  feed(before, 0, 20);
  feed(paged, 0, 30);
  before.clear();
  feed(paged, 30, 25);  // into pages that came back
  GrowingCache<KiviRows> whole(shape, 0, options);
  feed(whole, 0, 55);
  for (int l = 0; l < shape.layers; ++l)
    for (int h = 0; h < shape.kv_heads; ++h) CHECK(keys_of(paged, l, h) == keys_of(whole, l, h));
  CHECK(paged.memory().used_bytes == whole.memory().used_bytes);
}

TEST_CASE("a fork shares every page for good: what both write next is whole, and their own") {
  const auto pool = pool_of(30);
  std::vector<Shared> shared;
  const Listener<Shared> listen{&shared};
  PagedKiviCache<Listener<Shared>> origin(pool, listen);
  feed(origin, 0, 18);  // 3 groups packed, 6 rows whole
  CHECK(origin.table().size() == 3);
  CHECK(pool->free_pages() == 27);
  auto fork = origin.fork();
  CHECK(pool->free_pages() == 27);
  CHECK(shared.size() == 3);
  CHECK(shared[2] == Shared{8, 4, origin.table()[2], 2});
  const Matrix<float> other = -text();
  for (int p = 18; p < 24; ++p)
    for (int l = 0; l < shape.layers; ++l) fork.append(l, p, in(other.middleRows(p, 1)), in(other.middleRows(p, 1)));
  feed(origin, 18, 6);
  CHECK(pool->free_pages() == 23);  // two new groups each
  CHECK(origin.table()[2] == fork.table()[2]);
  CHECK(keys_of(origin, 1, 1).topRows(12) == keys_of(fork, 1, 1).topRows(12));
  CHECK(keys_of(origin, 1, 1).bottomRows(2) == -keys_of(fork, 1, 1).bottomRows(2));
}

TEST_CASE("too few pages are an error before anything changes; rewinding stops where rows are packed") {
  PagedKiviCache<> cache(pool_of(2));
  feed(cache, 0, 15);  // 2 groups, 7 whole
  const Matrix<float> row = Matrix<float>::Ones(1, shape.row_size());
  CHECK_THROWS_WITH_AS(cache.append(0, 15, in(row), in(row)), doctest::Contains("1 more pages"), Error);
  CHECK(cache.length(0) == 15);
  CHECK_THROWS_WITH_AS(cache.rewind(7), doctest::Contains("the first 8 are forgotten or packed for good"), Error);
  cache.rewind(9);
  feed(cache, 9, 3);
  CHECK(cache.length(1) == 12);
  cache.clear();
  CHECK(cache.pool().free_pages() == 2);
  CHECK_THROWS_WITH_AS(PagedKiviCache<>(std::make_shared<PagePool<KiviGroups>>(shape, 2, 4, options)),
                       doctest::Contains("a page must be one group of 4 tokens"), Error);
}
