#include "kvcache/cache/prefix_tree.hpp"

#include <doctest/doctest.h>

#include <numeric>

#include "kvcache/core/random.hpp"

using namespace kvcache;

namespace {

constexpr CacheShape shape{.layers = 2, .kv_heads = 1, .head_dim = 2};
using Rows = FloatRows<double>;
using Pool = PagePool<Rows>;
using Cache = PagedCache<Rows>;

/// Rows that hold the ids themselves, so that a page of another text would show.
void read_text(Cache& cache, const std::vector<int>& text) {
  const int first = cache.length(0);
  Matrix<double> rows(std::ssize(text) - first, 2);
  for (int t = first; t < std::ssize(text); ++t) rows.row(t - first).setConstant(text[std::size_t(t)]);
  for (int l = 0; l < shape.layers; ++l) cache.append(l, first, in(rows), in(rows));
}
std::vector<int> held(const Cache& cache) {
  std::vector<int> ids;
  cache.for_each_block(1, 0, [&](const auto& block) {
    Matrix<double> unit(1, 2), scores(1, block.rows());
    unit << 1, 0;
    block.score(in(unit), out(scores));
    for (int r = 0; r < block.rows(); ++r) ids.push_back(int(scores(0, r)));
  });
  return ids;
}
std::vector<int> counting(int from, int count) {
  std::vector<int> ids(static_cast<std::size_t>(count));
  std::iota(ids.begin(), ids.end(), from);
  return ids;
}
/// As a server would: find what is known, compute the rest, remember.
int serve(PrefixTree<Rows>& tree, const std::shared_ptr<Pool>& pool, const std::vector<int>& text) {
  Cache cache(pool);
  const int found = tree.find(text, cache);
  read_text(cache, text);
  CHECK(held(cache) == text);
  tree.insert(text, cache);
  return found;
}

}  // namespace

TEST_CASE("texts that begin alike share the full pages of their beginning") {
  const auto pool = std::make_shared<Pool>(shape, 20, 4);
  PrefixTree<Rows> tree(pool);
  const std::vector<int> text = counting(1, 11);
  CHECK(serve(tree, pool, text) == 0);
  CHECK(tree.pages() == 2);  // 8 of 11 tokens: the third page is not full
  CHECK(pool->free_pages() == 18);
  CHECK(serve(tree, pool, text) == 8);
  std::vector<int> other = text;
  other[6] = 99;  // in the second page
  CHECK(serve(tree, pool, other) == 4);
  CHECK(tree.pages() == 3);
  other[0] = 99;  // the same second page, but after another first one: nothing to share
  CHECK(serve(tree, pool, other) == 0);
  CHECK(tree.use().tokens_asked == 44);
  CHECK(tree.use().tokens_found == 12);
}

TEST_CASE("a prompt that is known whole still leaves its last token to compute") {
  const auto pool = std::make_shared<Pool>(shape, 20, 4);
  PrefixTree<Rows> tree(pool);
  serve(tree, pool, counting(1, 8));
  CHECK(serve(tree, pool, counting(1, 8)) == 4);
  CHECK(serve(tree, pool, counting(1, 9)) == 8);
  CHECK(serve(tree, pool, counting(1, 1)) == 0);
}

TEST_CASE("when pages run out, leaves that nobody reads go, the longest unused first") {
  const auto pool = std::make_shared<Pool>(shape, 6, 2);
  PrefixTree<Rows> tree(pool);
  serve(tree, pool, counting(1, 5));   // pages for (1 2) (3 4)
  serve(tree, pool, counting(11, 3));  // (11 12)
  serve(tree, pool, counting(1, 5));   // used again
  CHECK(tree.pages() == 3);
  Cache reader(pool);
  CHECK(tree.find(counting(11, 3), reader) == 2);  // being read: must stay
  Cache large(pool);
  read_text(large, counting(21, 8));  // 4 pages: 3 are free
  CHECK(tree.pages() == 2);
  CHECK(tree.use().pages_dropped == 1);
  CHECK(held(reader) == std::vector<int>{11, 12});
  Cache again(pool);
  CHECK(tree.find(counting(1, 5), again) == 2);  // its leaf (3 4) went, its root stayed
  CHECK_THROWS_WITH_AS(read_text(large, counting(21, 9)), doctest::Contains("1 more pages"), Error);
}

TEST_CASE("of leaves that nobody reads the longest unused goes, though another that is read was unused for longer") {
  const auto pool = std::make_shared<Pool>(shape, 6, 2);
  PrefixTree<Rows> tree(pool);
  serve(tree, pool, counting(1, 3));
  Cache reader(pool);
  CHECK(tree.find(counting(1, 3), reader) == 2);
  serve(tree, pool, counting(11, 3));
  serve(tree, pool, counting(21, 3));
  Cache large(pool);
  read_text(large, counting(31, 8));  // 4 pages: 3 are free
  const auto known = [&](int first) {
    Cache cache(pool);
    return tree.find(counting(first, 3), cache) == 2;
  };
  CHECK(known(1));
  CHECK(!known(11));
  CHECK(known(21));
}

TEST_CASE("random texts are always read as they are, and all pages come back") {
  const auto pool = std::make_shared<Pool>(shape, 40, 3);
  {
    PrefixTree<Rows> tree(pool);
    Random random(1);
    std::vector<Cache> live;
    for (int i = 0; i < 400; ++i) {
      std::vector<int> text;
      for (int t = 0, length = 1 + random.below(15); t < length; ++t) text.push_back(random.below(2));
      if (random.below(3) == 0 || live.size() > 3) live.clear();
      live.emplace_back(pool);
      tree.find(text, live.back());
      read_text(live.back(), text);
      REQUIRE(held(live.back()) == text);
      tree.insert(text, live.back());
    }
    CHECK(tree.use().pages_dropped > 0);
    CHECK(tree.use().tokens_found > 400);
  }
  CHECK(pool->free_pages() == 40);
}

TEST_CASE("caches that do not belong are refused with a sentence") {
  const auto pool = std::make_shared<Pool>(shape, 6, 2), other = std::make_shared<Pool>(shape, 6, 2);
  PrefixTree<Rows> tree(pool);
  Cache foreign(other), used(pool);
  CHECK_THROWS_WITH_AS(tree.find(counting(1, 3), foreign), doctest::Contains("belongs to another pool"), Error);
  read_text(used, counting(1, 3));
  CHECK_THROWS_WITH_AS(tree.find(counting(1, 3), used), doctest::Contains("holds 3 tokens already"), Error);
  CHECK_THROWS_WITH_AS(tree.insert(counting(1, 4), used),
                       doctest::Contains("a text of 4 tokens given with a cache of 3"), Error);
}

TEST_CASE("a second tree on a pool is refused, and the first still gives its pages back") {
  const auto pool = std::make_shared<Pool>(shape, 4, 2);
  PrefixTree<Rows> tree(pool);
  CHECK_THROWS_WITH_AS(PrefixTree<Rows>{pool}, doctest::Contains("this pool of pages has a prefix tree already"),
                       Error);
  serve(tree, pool, counting(1, 8));
  CHECK(pool->free_pages() == 0);
  Cache cache(pool);
  read_text(cache, counting(11, 3));  // of pages that only the tree holds
  CHECK(cache.length(0) == 3);
}
