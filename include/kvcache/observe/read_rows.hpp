// The numbers in a cache, read back by the two products that attention reads them with: whatever the row format, these
// are the numbers that the kernel sees. Products with unit vectors are exact.
#pragma once

#include <algorithm>

#include "kvcache/cache/concept.hpp"

namespace kvcache {

/// Keys and values [count, head_dim] of the tokens at first_position and on, as one head of one layer sees them,
/// written to two matrices. Rows that the cache does not keep stay as they are. The numbers must be finite.
template <KeyValueCache Cache>
requires HostBlock<typename Cache::Block>
void read_rows(const Cache& cache, int layer, int kv_head, int first_position, MatrixOut<typename Cache::Scalar> keys,
               MatrixOut<typename Cache::Scalar> values) {
  using Numbers = Matrix<typename Cache::Scalar>;
  constexpr int at_once = 64;
  const int dim = cache.shape().head_dim, end = first_position + int(keys.rows());
  const Numbers units = Numbers::Identity(dim, dim), picks = Numbers::Identity(at_once, at_once);
  Numbers columns(dim, at_once), read(at_once, dim);
  const auto wanted = [&](int position) { return position >= first_position && position < end; };
  cache.for_each_block(layer, kv_head, [&](const auto& block) {
    for (int first = 0, rows; first < block.rows(); first += rows) {
      rows = 1;
      if (!wanted(block.position(first))) continue;
      while (rows < at_once && first + rows < block.rows() && wanted(block.position(first + rows))) ++rows;
      const auto part = block.slice(first, rows);
      part.score(in(units), out(columns.leftCols(rows)));
      read.setZero();
      part.accumulate(in(picks.topLeftCorner(rows, rows)), out(read.topRows(rows)));
      for (int r = 0; r < rows; ++r) {
        keys.row(part.position(r) - first_position) = columns.col(r).transpose();
        values.row(part.position(r) - first_position) = read.row(r);
      }
    }
  });
}

}  // namespace kvcache
