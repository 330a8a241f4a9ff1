#include "kvcache/cache/paged_cache.hpp"

#include "cache/listener.hpp"
#include "cache_laws.hpp"
#include "common/instances.hpp"
#include "kvcache/cache/rows/packed_rows.hpp"

using namespace kvcache;

namespace {

constexpr CacheShape shape{.layers = 2, .kv_heads = 2, .head_dim = 6};
using Rows = FloatRows<double>;
using Pool = PagePool<Rows>;
constexpr std::size_t token_bytes = 2 * 2 * 2 * 6 * 8;  // in both layers

std::shared_ptr<Pool> pool_of(int pages, int page_size) { return std::make_shared<Pool>(shape, pages, page_size); }
/// A pool whose pages come in no order.
std::shared_ptr<Pool> scrambled(int pages, int page_size) {
  auto pool = pool_of(pages, page_size);
  std::vector<int> taken;
  for (int i = 0; i < pages; ++i) taken.push_back(pool->take());
  for (int i = 0; i < pages; ++i) pool->give_back(taken[std::size_t(i * 7919 % pages)]);
  return pool;
}
void append(auto& cache, int first, int tokens, double number = 1) {
  const Matrix<double> rows = Matrix<double>::Constant(tokens, shape.row_size(), number);
  for (int l = 0; l < shape.layers; ++l) cache.append(l, first, in(rows), in(rows));
}
std::vector<double> first_numbers(const auto& cache) {  // of each token's value, layer 1, head 0
  std::vector<double> numbers;
  cache.for_each_block(1, 0, [&](const auto& block) {
    for (int r = 0; r < block.rows(); ++r) {
      Matrix<double> one = Matrix<double>::Ones(1, 1), value = Matrix<double>::Zero(1, shape.head_dim);
      block.slice(r, 1).accumulate(in(one), out(value));
      numbers.push_back(value(0, 0));
    }
  });
  return numbers;
}

}  // namespace

TEST_CASE("pages of any size keep the laws, in order and scrambled, with two texts in one pool") {
  for (const int size : {1, 4, 16, 64}) {
    CAPTURE(size);
    const auto pool = scrambled(4 * (41 + size) / size + 4, size);
    check_cache_laws([&] { return PagedCache<Rows>(pool); });
    CHECK(pool->free_pages() == pool->pages());
  }
  const auto packed = std::make_shared<PagePool<Int8Rows>>(CacheShape{2, 2, 32}, 200, 4);
  check_cache_laws([&] { return PagedCache<Int8Rows>(packed); }, {.row_tolerance = 0.0041, .row_bytes = 2 * 36});
}

TEST_CASE("a text takes the pages it needs, and gives back those it does not need any more") {
  const auto pool = pool_of(10, 4);
  PagedCache<Rows> cache(pool);
  CHECK(pool->free_pages() == 10);
  append(cache, 0, 5);
  CHECK(cache.table().size() == 2);
  CHECK(pool->free_pages() == 8);
  CHECK(cache.memory().used_bytes == 5 * token_bytes);
  CHECK(cache.memory().reserved_bytes == 8 * token_bytes);  // 3 slots of slack
  CHECK(cache.memory().bookkeeping_bytes == 2 * sizeof(int));
  cache.rewind(4);
  CHECK(pool->free_pages() == 9);
  cache.clear();
  CHECK(pool->free_pages() == 10);
  {
    PagedCache<Rows> other(pool);
    append(other, 0, 40);
    CHECK(pool->free_pages() == 0);
    PagedCache<Rows> moved(std::move(other));
    CHECK(moved.length(0) == 40);
    CHECK(other.length(0) == 0);
    other = std::move(moved);
    CHECK(other.length(1) == 40);
  }
  CHECK(pool->free_pages() == 10);
}

TEST_CASE("a fork takes no memory until one of the two writes into the last page, which is then copied") {
  const auto pool = pool_of(10, 4);
  std::vector<Copied> copies;
  const Listener<Copied> listen{&copies};
  PagedCache<Rows, Listener<Copied>> origin(pool, listen);
  append(origin, 0, 6, 1);
  auto fork = origin.fork();
  CHECK(pool->free_pages() == 8);
  CHECK(pool->references(origin.table()[0]) == 2);
  append(fork, 6, 1, 2);
  CHECK(pool->free_pages() == 7);
  CHECK(copies == std::vector<Copied>{{4, 2, 4 * token_bytes}});
  CHECK(fork.memory().copied_bytes == 4 * token_bytes);
  CHECK(fork.table()[0] == origin.table()[0]);
  CHECK(fork.table()[1] != origin.table()[1]);
  append(origin, 6, 2, 3);  // its last page is its own again
  CHECK(copies.size() == 1);
  CHECK(first_numbers(origin) == std::vector<double>{1, 1, 1, 1, 1, 1, 3, 3});
  CHECK(first_numbers(fork) == std::vector<double>{1, 1, 1, 1, 1, 1, 2});
  append(fork, 7, 2, 4);
  auto third = origin.fork();  // at a full page nothing need be copied
  append(third, 8, 1, 5);
  CHECK(copies.size() == 1);
  third.rewind(2);
  append(third, 2, 1, 6);  // into a page that two share
  CHECK(copies.back() == Copied{0, 2, 4 * token_bytes});
  CHECK(first_numbers(third) == std::vector<double>{1, 1, 6});
  CHECK(first_numbers(origin) == std::vector<double>{1, 1, 1, 1, 1, 1, 3, 3});
  origin.clear(), third.clear(), fork.clear();
  CHECK(pool->free_pages() == 10);
}

TEST_CASE("an empty pool is an error that says what to do, and changes nothing") {
  const auto pool = pool_of(3, 4);
  PagedCache<Rows> cache(pool);
  append(cache, 0, 8);
  auto fork = cache.fork();
  const Matrix<double> rows = Matrix<double>::Ones(5, shape.row_size());
  CHECK_THROWS_WITH_AS(cache.append(0, 8, in(rows), in(rows)),
                       "PagePool: 2 more pages of 4 tokens are needed, but of 3 only 1 are free; clear a cache, or "
                       "build the pool with more pages",
                       Error);
  CHECK(cache.length(0) == 8);
  CHECK(cache.table().size() == 2);
  fork.rewind(7);
  append(cache, 8, 1);
  CHECK_THROWS_WITH_AS(append(fork, 7, 1), doctest::Contains("1 more pages"), Error);  // the copy needs one
  CHECK_THROWS_WITH_AS(cache.clone(), doctest::Contains("3 more pages"), Error);
  CHECK(pool->free_pages() == 0);
  cache.clear();
  append(fork, 7, 1);
}

TEST_CASE("impossible pools are refused with a sentence") {
  for (const auto& [pages, size] : {std::pair{0, 4}, {4, 0}, {-1, 4}, {4, -2}})
    CHECK_THROWS_WITH_AS(pool_of(pages, size), doctest::Contains("each must be at least 1"), Error);
}

TEST_CASE("a move takes the count of copied bytes along") {
  const auto pool = pool_of(10, 4);
  PagedCache<Rows> origin(pool);
  append(origin, 0, 6);
  PagedCache<Rows> fork = origin.fork();
  append(fork, 6, 1);  // a copy of the last page
  PagedCache<Rows> moved(std::move(fork));
  CHECK(moved.memory().copied_bytes == 4 * token_bytes);
  CHECK(fork.memory().copied_bytes == 0);
  PagedCache<Rows> assigned(pool);
  assigned = std::move(moved);
  CHECK(assigned.memory().copied_bytes == 4 * token_bytes);
}

TEST_CASE("a cache can have a pool of its own") {
  PagedCache<Rows> cache(shape, PageOptions{4, 2});
  append(cache, 0, 8);
  CHECK(cache.pool().free_pages() == 0);
  CHECK_THROWS_WITH_AS(append(cache, 8, 1), doctest::Contains("1 more pages of 4 tokens are needed"), Error);
}
