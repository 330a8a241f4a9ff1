// More rows than a cache can take at once: in pieces, it keeps what it keeps token by token.
#include "kvcache/cache/append_in_pieces.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "kvcache/cache/contiguous_cache.hpp"
#include "kvcache/cache/sliding_window_cache.hpp"

using namespace kvcache;

namespace {

std::vector<int> positions_in(const auto& cache) {
  std::vector<int> positions;
  cache.for_each_block(0, 0, [&](const auto& block) {
    for (int row = 0; row < block.rows(); ++row) positions.push_back(block.position(row));
  });
  std::ranges::sort(positions);
  return positions;
}

}  // namespace

TEST_CASE("rows beyond a chunk limit are appended in pieces, and each piece goes on where the last one ended") {
  const Matrix<float> rows = Matrix<float>::Random(100, 3);
  SlidingWindowCache<FloatRows<>> window({1, 1, 3}, WindowOptions{2, 4});
  append_in_pieces(window, 0, in(rows), in(rows));
  CHECK(window.length(0) == 100);
  CHECK(positions_in(window) == std::vector<int>{0, 1, 96, 97, 98, 99});
  append_in_pieces(window, 0, in(rows.topRows(1)), in(rows.topRows(1)));
  CHECK(positions_in(window) == std::vector<int>{0, 1, 97, 98, 99, 100});

  GrowingCache<> growing({1, 1, 3});
  append_in_pieces(growing, 0, in(rows), in(rows));
  append_in_pieces(growing, 0, in(rows.topRows(0)), in(rows.topRows(0)));
  CHECK(growing.length(0) == 100);
  CHECK_THROWS_WITH(append_in_pieces(growing, 0, in(rows), in(rows.topRows(9))),
                    "append_in_pieces: 100 keys and 9 values given; each token has one of each");
}
