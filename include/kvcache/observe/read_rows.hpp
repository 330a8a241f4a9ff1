// The numbers in a cache, read back by the two products that attention reads them with: whatever the row format, these
// are the numbers that the kernel sees. Products with unit vectors are exact.
#pragma once

#include <algorithm>

#include "kvcache/cache/concept.hpp"
#include "kvcache/cache/observer.hpp"

namespace kvcache {

/// Keeps the unit vectors and the room that reading needs: reading one row a step should cost little more than the row.
template <class Scalar>
class RowReader {
 public:
  explicit RowReader(int head_dim)
      : units_(Matrix<Scalar>::Identity(head_dim, head_dim)),
        picks_(Matrix<Scalar>::Identity(at_once, at_once)),
        columns_(head_dim, at_once),
        read_(at_once, head_dim) {}

  /// Keys and values [count, head_dim] of the tokens at first_position and on, as one head of one layer sees them,
  /// written to two matrices. Rows that the cache does not keep stay as they are. The numbers must be finite.
  template <class Cache>
  requires HostBlock<typename Cache::Block>
  void read(const Cache& cache, int layer, int kv_head, int first_position, MatrixOut<Scalar> keys,
            MatrixOut<Scalar> values) {
    const OnlyLooking here;
    const int count = int(keys.rows());
    int found = 0;
    const auto wanted = [&](int position) { return position >= first_position && position < first_position + count; };
    cache.for_each_block(layer, kv_head, [&](const auto& block) {
      for (int end = block.rows(); end > 0 && found < count;) {  // from the end: what is asked for is mostly new
        int first = end;
        while (first > 0 && end - first < at_once && wanted(block.position(first - 1))) --first;
        const int rows = end - first;
        end = rows > 0 ? first : end - 1;
        if (rows == 0) continue;
        found += rows;
        const auto part = block.slice(first, rows);
        part.score(in(units_), out(columns_.leftCols(rows)));
        read_.topRows(rows).setZero();
        part.accumulate(in(picks_.topLeftCorner(rows, rows)), out(read_.topRows(rows)));
        for (int r = 0; r < rows; ++r) {
          keys.row(part.position(r) - first_position) = columns_.col(r).transpose();
          values.row(part.position(r) - first_position) = read_.row(r);
        }
      }
    });
  }

 private:
  static constexpr int at_once = 64;
  Matrix<Scalar> units_, picks_, columns_, read_;
};

/// The same for a single time.
template <KeyValueCache Cache>
requires HostBlock<typename Cache::Block>
void read_rows(const Cache& cache, int layer, int kv_head, int first_position, MatrixOut<typename Cache::Scalar> keys,
               MatrixOut<typename Cache::Scalar> values) {
  RowReader<typename Cache::Scalar>(cache.shape().head_dim).read(cache, layer, kv_head, first_position, keys, values);
}

}  // namespace kvcache
