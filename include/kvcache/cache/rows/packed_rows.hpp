// Row store: keys and values as bytes, in any two formats of row_format.hpp, read without being unpacked to memory.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <string>
#include <utility>

#include "kvcache/cache/check_slots.hpp"
#include "kvcache/cache/rows/row_block.hpp"
#include "kvcache/cache/rows/row_format.hpp"
#include "kvcache/cache/rows/row_side.hpp"

namespace kvcache {

/// Formats known when the program is compiled: PackedRows<FixedFormats<row_formats::int8, row_formats::int4>>.
template <const RowFormat& key_format, const RowFormat& value_format = key_format>
struct FixedFormats {
  static constexpr const RowFormat& keys() { return key_format; }
  static constexpr const RowFormat& values() { return value_format; }
};
/// Formats chosen when it runs. Programs compile each policy once, over AnyRows.
struct ChosenFormats {
  const RowFormat* key_format = &row_formats::f32;
  const RowFormat* value_format = &row_formats::f32;
  const RowFormat& keys() const { return *key_format; }
  const RowFormat& values() const { return *value_format; }
};

namespace detail {

/// Rows of one format. Decides what they are once per piece, not once per number.
struct PackedRun {
  const std::byte* bytes;  // [rows, row_bytes]
  const RowFormat* format;
  int rows, head_dim;

  PackedRun slice(int first, int count) const {
    return {bytes + std::size_t(first) * format->row_bytes(head_dim), format, count, head_dim};
  }
  void codes(int row, RowCodes& to) const {
    to.clear();
    if (!format->codes) return;
    to.format.name = format->name;
    format->codes(slice(row, 1).bytes, head_dim, to);
  }
  /// Calls product(rows as floats, first) for pieces of the rows, unpacked on the stack.
  template <class Scalar>
  void for_each_piece(auto&& product) const {
    static_assert(std::same_as<Scalar, float>, "packed rows are computed with in float");
    alignas(64) float unpacked[piece_numbers];
    const int at_once = std::max(1, piece_numbers / head_dim);
    for (int first = 0; first < rows; first += at_once) {
      const PackedRun piece = slice(first, std::min(at_once, rows - first));
      // Saved rows lie behind those of another format, so that an address need not suit a float.
      const bool in_place = format->is_f32 && reinterpret_cast<std::uintptr_t>(piece.bytes) % alignof(float) == 0;
      if (!in_place) format->unpack(piece.bytes, piece.rows, head_dim, unpacked);
      const float* numbers = in_place ? reinterpret_cast<const float*>(piece.bytes) : unpacked;
      product(MatrixIn<float>(numbers, piece.rows, head_dim, Eigen::OuterStride<>(head_dim)), first);
    }
  }
};

}  // namespace detail

/// Bytes per token and layer: kv_heads * (row_bytes of the key format + row_bytes of the value format), exactly.
template <class Formats>
class PackedRows {
 public:
  using Scalar = float;
  using Block = RowBlock<float, detail::PackedRun>;
  using Options = Formats;

  /// Errors: a head_dim that a format cannot hold, or too large to be unpacked on the stack.
  explicit PackedRows(CacheShape shape, Formats formats = {})
      : shape_(shape),
        formats_(formats),
        keys_(shape.kv_heads, formats.keys().row_bytes(shape.head_dim)),
        values_(shape.kv_heads, formats.values().row_bytes(shape.head_dim)) {
    check(shape.head_dim <= detail::piece_numbers, "PackedRows: head_dim is ", shape.head_dim, "; at most ",
          detail::piece_numbers, " numbers can be read at once");
    for (const RowFormat* format : {&formats_.keys(), &formats_.values()})
      check(shape.head_dim % format->multiple_of == 0, "PackedRows: head_dim is ", shape.head_dim, ", but ",
            format->name, " packs ", format->multiple_of, " numbers together; take f32, f16, bf16 or int8");
  }

  // Errors of all that follow: slots that are not there (cache/check_slots.hpp).
  /// New storage for `slots` rows a head; the first `keep` of each head move over.
  void resize(int slots, int keep) {
    check_resize("PackedRows", this->slots(), slots, keep);
    Side keys = keys_.resized(slots, keep), values = values_.resized(slots, keep);
    keys_ = std::move(keys), values_ = std::move(values);  // if memory ran out, nothing has changed
  }
  /// Errors: also NaN and infinities, for which packed formats have no code. Nothing has changed then.
  void write(int first_slot, MatrixIn<float> keys, MatrixIn<float> values) {
    check_write("PackedRows", shape_, slots(), first_slot, keys, values);
    check_packable("key", formats_.keys(), first_slot, keys);
    check_packable("value", formats_.values(), first_slot, values);
    const auto write_side = [&](Side& side, const RowFormat& format, const MatrixIn<float>& rows) {
      for (int head = 0; head < shape_.kv_heads; ++head)
        for (int r = 0; r < rows.rows(); ++r)
          format.pack(at(rows, r, head * shape_.head_dim), shape_.head_dim, side.row(head, first_slot + r));
    };
    write_side(keys_, formats_.keys(), keys), write_side(values_, formats_.values(), values);
  }
  void copy(int from, int to, int slots) {  // the two runs must not overlap
    check_copy("PackedRows", this->slots(), from, to, slots);
    keys_.copy(from, to, slots), values_.copy(from, to, slots);
  }
  Block block(int kv_head, int first_slot, int rows, Positions positions) const {
    check_slots("PackedRows", slots(), first_slot, rows);
    return {{keys_.row(kv_head, first_slot), &formats_.keys(), rows, shape_.head_dim},
            {values_.row(kv_head, first_slot), &formats_.values(), rows, shape_.head_dim},
            first_slot,
            positions};
  }
  int slots() const { return keys_.slots(); }
  std::size_t bytes_per_slot() const { return keys_.bytes_per_slot() + values_.bytes_per_slot(); }

  /// Slots [first, first + count) as bytes, count * bytes_per_slot() of them, and back.
  void save(int first, int count, std::byte* to) const {
    check_slots("PackedRows", slots(), first, count);
    values_.save(first, count, keys_.save(first, count, to));
  }
  void load(int first, int count, const std::byte* from) {
    check_slots("PackedRows", slots(), first, count);
    values_.load(first, count, keys_.load(first, count, from));
  }
  std::string format() const {
    const std::string keys = formats_.keys().name, values = formats_.values().name;
    return keys == values ? keys : keys + " and " + values;
  }
  /// Some of `count` saved slots, read where they lie.
  Block saved_block(const std::byte* saved, int count, int kv_head, int first, int rows, Positions positions) const {
    const auto part = [&](const std::byte* side, const RowFormat& format) {
      const std::size_t row = format.row_bytes(shape_.head_dim);
      return detail::PackedRun{side + (std::size_t(kv_head) * std::size_t(count) + std::size_t(first)) * row, &format,
                               rows, shape_.head_dim};
    };
    return {part(saved, formats_.keys()),
            part(saved + std::size_t(count) * keys_.bytes_per_slot(), formats_.values()), first, positions};
  }

 private:
  using Side = detail::RowSide<std::byte>;
  static void check_packable(const char* side, const RowFormat& format, int first_slot, const MatrixIn<float>& rows) {
    if (format.holds_all) return;
    for (Eigen::Index r = 0; r < rows.rows(); ++r)
      if (const auto d = find_not_finite(at(rows, r, 0), rows.cols()))
        fail("PackedRows: number ", *d, " of the ", side, " for slot ", first_slot + r, " is ", rows(r, *d), ", which ",
             format.name, " has no code for; the model's weights are broken, or its numbers grow too large: rows in ",
             "f32 show what comes of it");
  }
  CacheShape shape_;
  [[no_unique_address]] Formats formats_;
  Side keys_, values_;  // [kv_heads, slots, row_bytes]
};

using AnyRows = PackedRows<ChosenFormats>;
using Int8Rows = PackedRows<FixedFormats<row_formats::int8>>;
using Int4Rows = PackedRows<FixedFormats<row_formats::int4>>;

static_assert(StorableRows<AnyRows> && StorableRows<Int8Rows> && StorableRows<Int4Rows> && CodedBlock<AnyRows::Block>);

}  // namespace kvcache
