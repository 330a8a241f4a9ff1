// The storage of one side, the keys or the values, of one layer.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "kvcache/core/checked_size.hpp"
#include "kvcache/core/matrix.hpp"

namespace kvcache::detail {

/// [kv_heads, slots, row]: each head has its rows in one piece. A row is `row_size` of whatever a format writes.
template <class Number>
class RowSide {
 public:
  RowSide(int kv_heads, std::size_t row_size) : kv_heads_(kv_heads), row_size_(row_size) {}

  int slots() const { return slots_; }
  std::size_t bytes_per_slot() const { return std::size_t(kv_heads_) * row_size_ * sizeof(Number); }
  Number* row(int head, int slot) { return numbers_.data() + offset(head, slot); }
  const Number* row(int head, int slot) const { return numbers_.data() + offset(head, slot); }

  /// Another one with room for `slots` rows a head, and a copy of the first `keep` of each head.
  RowSide resized(int slots, int keep) const {
    RowSide other(kv_heads_, row_size_);
    other.slots_ = slots;
    const std::size_t bytes = bytes_product("rows of a layer", {std::size_t(checked_slots("rows of a layer", slots)),
                                                                std::size_t(kv_heads_), row_size_, sizeof(Number)});
    other.numbers_.resize(bytes / sizeof(Number));
    for (int head = 0; keep > 0 && head < kv_heads_; ++head)
      std::copy_n(row(head, 0), std::size_t(keep) * row_size_, other.row(head, 0));
    return other;
  }
  void copy(int from, int to, int slots) {  // the two runs must not overlap
    for (int head = 0; head < kv_heads_; ++head)
      std::copy_n(row(head, from), std::size_t(slots) * row_size_, row(head, to));
  }

  /// Writes rows [first, first + count) of each head to `to`, [kv_heads, count, row], and returns where they end.
  std::byte* save(int first, int count, std::byte* to) const {
    const std::size_t bytes = std::size_t(count) * row_size_ * sizeof(Number);
    for (int head = 0; count > 0 && head < kv_heads_; ++head, to += bytes) std::memcpy(to, row(head, first), bytes);
    return to;
  }
  /// The way back.
  const std::byte* load(int first, int count, const std::byte* from) {
    const std::size_t bytes = std::size_t(count) * row_size_ * sizeof(Number);
    for (int head = 0; count > 0 && head < kv_heads_; ++head, from += bytes) std::memcpy(row(head, first), from, bytes);
    return from;
  }

 private:
  std::size_t offset(int head, int slot) const {
    return (std::size_t(head) * std::size_t(slots_) + std::size_t(slot)) * row_size_;
  }
  int kv_heads_, slots_ = 0;
  std::size_t row_size_;
  Numbers<Number> numbers_;
};

}  // namespace kvcache::detail
