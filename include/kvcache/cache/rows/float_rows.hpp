// Row format: plain numbers. They may be stored narrower (Eigen::half) than they are computed with (float).
#pragma once

#include <algorithm>
#include <utility>

#include "kvcache/cache/rows/row_block.hpp"
#include "kvcache/core/check.hpp"

namespace kvcache {

/// Scalar is what attention computes in, Stored is what lies in memory. Bytes per token and layer:
/// 2 * kv_heads * head_dim * sizeof(Stored), exactly.
template <class ScalarType = float, class Stored = ScalarType>
class FloatRows {
 public:
  using Scalar = ScalarType;
  using Block = RowBlock<Scalar, detail::StoredRows<Stored>>;

  /// Errors: a head_dim too large to be unpacked on the stack.
  explicit FloatRows(CacheShape shape) : shape_(shape) {
    check(shape.head_dim <= detail::piece_numbers, "FloatRows: head_dim is ", shape.head_dim, "; at most ",
          detail::piece_numbers, " numbers can be read at once");
  }

  /// New storage for `slots` rows a head; the first `keep` of each head move over.
  void resize(int slots, int keep) {
    const auto moved = [&](const Numbers<Stored>& side) {
      Numbers<Stored> larger(std::size_t(slots) * std::size_t(shape_.row_size()));
      for (int head = 0; head < shape_.kv_heads; ++head)
        std::copy_n(side.data() + offset(head, 0), std::size_t(keep) * std::size_t(shape_.head_dim),
                    larger.data() + std::size_t(head) * std::size_t(slots) * std::size_t(shape_.head_dim));
      return larger;
    };
    Numbers<Stored> keys = moved(keys_), values = moved(values_);  // if memory runs out, nothing has changed yet
    keys_ = std::move(keys), values_ = std::move(values), slots_ = slots;
  }
  void write(int first_slot, MatrixIn<Scalar> keys, MatrixIn<Scalar> values) {
    for (int head = 0; head < shape_.kv_heads; ++head) {
      const auto part = [&](const auto& side) {  // [tokens, head_dim]
        return side.middleCols(head * shape_.head_dim, shape_.head_dim).template cast<Stored>();
      };
      const auto slots = [&](Numbers<Stored>& side) {  // [tokens, head_dim]
        return Eigen::Map<Matrix<Stored>>(side.data() + offset(head, first_slot), keys.rows(), shape_.head_dim);
      };
      slots(keys_) = part(keys), slots(values_) = part(values);
    }
  }
  void copy(int from, int to, int slots) {  // the two runs must not overlap
    for (auto* side : {&keys_, &values_})
      for (int head = 0; head < shape_.kv_heads; ++head)
        std::copy_n(side->data() + offset(head, from), std::size_t(slots) * std::size_t(shape_.head_dim),
                    side->data() + offset(head, to));
  }
  Block block(int kv_head, int first_slot, int rows, int first_position) const {
    const auto part = [&](const Numbers<Stored>& side) {
      return detail::StoredRows<Stored>{side.data() + offset(kv_head, first_slot), rows, shape_.head_dim};
    };
    return {part(keys_), part(values_), first_slot, first_position};
  }
  int slots() const { return slots_; }
  std::size_t bytes_per_slot() const { return 2 * sizeof(Stored) * std::size_t(shape_.row_size()); }

 private:
  std::size_t offset(int head, int slot) const {
    return (std::size_t(head) * std::size_t(slots_) + std::size_t(slot)) * std::size_t(shape_.head_dim);
  }
  CacheShape shape_;
  int slots_ = 0;
  Numbers<Stored> keys_, values_;  // [kv_heads, slots, head_dim]
};

static_assert(RowStore<FloatRows<>> && RowStore<FloatRows<double>> && RowStore<FloatRows<float, Eigen::half>>);

}  // namespace kvcache
