// A policy as a student might write it: keep the newest tokens, and of the older ones every `stride`-th.
#pragma once

#include <kvcache/cache/check_append.hpp>
#include <kvcache/cache/rows/float_rows.hpp>

/// Slots [ring of `recent` | every stride-th older token, room for which grows].
template <kvcache::SlotRows Rows = kvcache::FloatRows<>>
class StridedCache {
 public:
  using Block = typename Rows::Block;
  using Scalar = typename Rows::Scalar;

  StridedCache(kvcache::CacheShape shape, int recent, int stride)
      : shape_(shape), recent_(recent), stride_(stride), length_(std::size_t(shape.layers), 0) {
    kvcache::check(recent >= 1 && stride >= 1, "StridedCache: ", recent, " recent tokens and a stride of ", stride,
                   " asked for; each must be at least 1");
    rows_.assign(std::size_t(shape.layers), Rows(shape));
    for (Rows& layer : rows_) layer.resize(recent, 0);
  }
  StridedCache(StridedCache&&) = default;  // movable, but copied by name only
  StridedCache& operator=(StridedCache&&) = default;
  StridedCache clone() const { return *this; }

  kvcache::CacheShape shape() const { return shape_; }
  int length(int layer) const { return length_[std::size_t(layer)]; }
  int slots(int layer) const { return rows_[std::size_t(layer)].slots(); }
  int chunk_limit(int layer) const { return std::max(1, recent_ - length(layer)); }  // once full, one at a time

  void append(int layer, int first_position, kvcache::MatrixIn<Scalar> keys, kvcache::MatrixIn<Scalar> values) {
    kvcache::check_append("StridedCache", *this, layer, first_position, keys, values);
    Rows& rows = rows_[std::size_t(layer)];
    const int leaving = first_position - recent_;  // its place in the ring is needed now
    if (leaving >= 0 && leaving % stride_ == 0) {
      const int slot = recent_ + leaving / stride_;
      if (slot == rows.slots()) rows.resize(2 * slot, slot);
      rows.copy(leaving % recent_, slot, 1);
    }
    rows.write(first_position % recent_, keys, values);
    length_[std::size_t(layer)] += int(keys.rows());
  }
  template <class Visitor>
  void for_each_block(int layer, int kv_head, Visitor&& visit) const {
    const int length = this->length(layer), oldest = std::max(0, length - recent_);
    for (int p = 0; p < oldest; p += stride_) visit_rows(layer, kv_head, recent_ + p / stride_, p, 1, visit);
    const int wrap = (oldest + recent_ - 1) / recent_ * recent_;  // the first position after the ring's end
    visit_rows(layer, kv_head, oldest % recent_, oldest, std::min(wrap, length) - oldest, visit);
    visit_rows(layer, kv_head, 0, wrap, length - wrap, visit);
  }
  void clear() { std::fill(length_.begin(), length_.end(), 0); }

  kvcache::MemoryUse memory() const {
    kvcache::MemoryUse memory;
    for (int l = 0; l < shape_.layers; ++l) {
      const int old = std::max(0, length(l) - recent_),
                kept = std::min(length(l), recent_) + (old + stride_ - 1) / stride_;
      memory.used_bytes += kvcache::used_bytes(rows_[std::size_t(l)], kept);
      memory.reserved_bytes += kvcache::reserved_bytes(rows_[std::size_t(l)]);
    }
    return memory;
  }

 private:
  StridedCache(const StridedCache&) = default;
  void visit_rows(int layer, int kv_head, int slot, int position, int count, auto&& visit) const {
    if (count > 0) visit(rows_[std::size_t(layer)].block(kv_head, slot, count, position));
  }
  kvcache::CacheShape shape_;
  int recent_, stride_;
  std::vector<Rows> rows_;   // [layers]
  std::vector<int> length_;  // [layers] tokens ever appended
};

static_assert(kvcache::KeyValueCache<StridedCache<>>);
