// A block of rows in CPU memory: what attention sees of a cache. Shared by all number formats.
#pragma once

#include "kvcache/cache/concept.hpp"
#include "kvcache/cache/rows/row_products.hpp"

namespace kvcache {

/// Anything with rows, slice() and for_each_piece() can stand for the rows, such as detail::StoredRows<float>.
/// Row r stands at first_position + r in the text and lies in slot first_slot + r.
template <class ScalarType, class Rows>
struct RowBlock {
  using Scalar = ScalarType;
  Rows keys;
  Rows values;
  int first_slot = 0;
  int first_position = 0;
  int position_gap = 0;

  int rows() const { return keys.rows; }
  int position(int row) const { return first_position + row; }
  int slot(int row) const { return first_slot + row; }
  RowBlock slice(int first, int rows) const {
    return {keys.slice(first, rows), values.slice(first, rows), first_slot + first, first_position + first,
            position_gap};
  }
  void score(MatrixIn<Scalar> queries, MatrixOut<Scalar> scores) const { detail::score_rows(queries, keys, scores); }
  void accumulate(MatrixIn<Scalar> weights, MatrixOut<Scalar> output) const {
    detail::accumulate_rows(weights, values, output);
  }
};

static_assert(HostBlock<RowBlock<float, detail::StoredRows<float>>>);

}  // namespace kvcache
