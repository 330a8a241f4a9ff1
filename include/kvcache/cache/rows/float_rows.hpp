// Row format: plain numbers. They may be stored narrower (Eigen::half) than they are computed with (float).
#pragma once

#include <string>
#include <utility>

#include "kvcache/cache/check_slots.hpp"
#include "kvcache/cache/rows/row_block.hpp"
#include "kvcache/cache/rows/row_side.hpp"
#include "kvcache/core/check.hpp"

namespace kvcache {

/// Scalar is what attention computes in, Stored (double, float or Eigen::half) is what lies in memory. Bytes per token
/// and layer: 2 * kv_heads * head_dim * sizeof(Stored), exactly.
template <class ScalarType = float, class Stored = ScalarType>
class FloatRows {
  static_assert(std::same_as<Stored, double> || std::same_as<Stored, float> || std::same_as<Stored, Eigen::half>);

 public:
  using Scalar = ScalarType;
  using Block = RowBlock<Scalar, detail::StoredRows<Stored>>;
  using Options = NoOptions;

  /// Errors: a head_dim too large to be unpacked on the stack.
  explicit FloatRows(CacheShape shape, NoOptions = {})
      : shape_(shape),
        keys_(shape.kv_heads, std::size_t(shape.head_dim)),
        values_(shape.kv_heads, std::size_t(shape.head_dim)) {
    check(shape.head_dim <= detail::piece_numbers, "FloatRows: head_dim is ", shape.head_dim, "; at most ",
          detail::piece_numbers, " numbers can be read at once");
  }

  // Errors of all that follow: slots that are not there (cache/check_slots.hpp).
  /// New storage for `slots` rows a head; the first `keep` of each head move over.
  void resize(int slots, int keep) {
    check_resize("FloatRows", this->slots(), slots, keep);
    Side keys = keys_.resized(slots, keep), values = values_.resized(slots, keep);
    keys_ = std::move(keys), values_ = std::move(values);  // if memory ran out, nothing has changed
  }
  void write(int first_slot, MatrixIn<Scalar> keys, MatrixIn<Scalar> values) {
    check_write("FloatRows", shape_, this->slots(), first_slot, keys, values);
    for (int head = 0; head < shape_.kv_heads; ++head) {
      const auto part = [&](const auto& rows) {  // [tokens, head_dim]
        return rows.middleCols(head * shape_.head_dim, shape_.head_dim).template cast<Stored>();
      };
      const auto slots = [&](Side& side) {  // [tokens, head_dim]
        return Eigen::Map<Matrix<Stored>>(side.row(head, first_slot), keys.rows(), shape_.head_dim);
      };
      slots(keys_) = part(keys), slots(values_) = part(values);
    }
  }
  void copy(int from, int to, int slots) {  // the two runs must not overlap
    check_copy("FloatRows", this->slots(), from, to, slots);
    keys_.copy(from, to, slots), values_.copy(from, to, slots);
  }
  Block block(int kv_head, int first_slot, int rows, Positions positions) const {
    check_slots("FloatRows", slots(), first_slot, rows);
    return {{keys_.row(kv_head, first_slot), rows, shape_.head_dim},
            {values_.row(kv_head, first_slot), rows, shape_.head_dim},
            first_slot,
            positions};
  }
  int slots() const { return keys_.slots(); }
  std::size_t bytes_per_slot() const { return keys_.bytes_per_slot() + values_.bytes_per_slot(); }

  /// Slots [first, first + count) as bytes, count * bytes_per_slot() of them, and back.
  void save(int first, int count, std::byte* to) const {
    check_slots("FloatRows", slots(), first, count);
    values_.save(first, count, keys_.save(first, count, to));
  }
  void load(int first, int count, const std::byte* from) {
    check_slots("FloatRows", slots(), first, count);
    values_.load(first, count, keys_.load(first, count, from));
  }
  std::string format() const {
    return std::same_as<Stored, double> ? "f64" : std::same_as<Stored, float> ? "f32" : "f16";
  }
  /// Some of `count` saved slots, read where they lie. The bytes must be aligned as numbers are.
  Block saved_block(const std::byte* saved, int count, int kv_head, int first, int rows, Positions positions) const {
    const auto* numbers = reinterpret_cast<const Stored*>(saved);
    const auto part = [&](int heads_before) {
      return detail::StoredRows<Stored>{numbers + (std::ptrdiff_t(heads_before) * count + first) * shape_.head_dim,
                                        rows, shape_.head_dim};
    };
    return {part(kv_head), part(shape_.kv_heads + kv_head), first, positions};
  }

 private:
  using Side = detail::RowSide<Stored>;
  CacheShape shape_;
  Side keys_, values_;  // [kv_heads, slots, head_dim]
};

static_assert(StorableRows<FloatRows<>> && StorableRows<FloatRows<double>> &&
              StorableRows<FloatRows<float, Eigen::half>>);

}  // namespace kvcache
