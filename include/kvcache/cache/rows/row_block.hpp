// A block of rows in CPU memory: what attention sees of a cache. Shared by all number formats.
#pragma once

#include "kvcache/cache/concept.hpp"
#include "kvcache/cache/row_codes.hpp"
#include "kvcache/cache/rows/row_products.hpp"

namespace kvcache {

namespace detail {
template <class R>
concept RowsWithCodes = requires(const R& rows, int row, RowCodes& to) {
  rows.codes(row, to);
};
}  // namespace detail

/// Anything with rows, slice() and for_each_piece() can stand for the rows, such as detail::StoredRows<float>; keys and
/// values may be written differently. Row r lies in slot first_slot + r.
template <class ScalarType, class KeyRows, class ValueRows = KeyRows>
struct RowBlock {
  using Scalar = ScalarType;
  KeyRows keys;
  ValueRows values;
  int first_slot = 0;
  Positions positions = 0;
  int position_gap = 0;

  int rows() const { return keys.rows; }
  int position(int row) const { return positions[row]; }
  int slot(int row) const { return first_slot + row; }
  RowBlock slice(int first, int rows) const {
    return {keys.slice(first, rows), values.slice(first, rows), first_slot + first, positions.from(first),
            position_gap};
  }
  void score(MatrixIn<Scalar> queries, MatrixOut<Scalar> scores) const { detail::score_rows(queries, keys, scores); }
  void accumulate(MatrixIn<Scalar> weights, MatrixOut<Scalar> output) const {
    detail::accumulate_rows(weights, values, output);
  }
  /// How row r is stored; for observers.
  void key_codes(int r, RowCodes& to) const requires detail::RowsWithCodes<KeyRows> { keys.codes(r, to); }
  void value_codes(int r, RowCodes& to) const requires detail::RowsWithCodes<ValueRows> { values.codes(r, to); }
};

static_assert(HostBlock<RowBlock<float, detail::StoredRows<float>>>);

}  // namespace kvcache
