// The smallest policy that forgets: it keeps the newest tokens, in a ring. docs/10_write_your_own_policy.md reads it.
#pragma once

#include <kvcache/cache/check_append.hpp>
#include <kvcache/cache/rows/float_rows.hpp>

/// The token at position p lies in slot p % recent, written over the one `recent` before it.
template <kvcache::SlotRows Rows = kvcache::FloatRows<>>
class NewestCache {
 public:
  using Block = typename Rows::Block;
  using Scalar = typename Rows::Scalar;

  NewestCache(kvcache::CacheShape shape, int recent)
      : shape_(shape), recent_(recent), length_(std::size_t(shape.layers), 0) {
    kvcache::check(recent >= 1, "NewestCache: ", recent, " recent tokens asked for; at least 1 is needed");
    rows_.assign(std::size_t(shape.layers), Rows(shape));
    for (Rows& layer : rows_) layer.resize(recent, /*keep*/ 0);
  }
  NewestCache(NewestCache&&) = default;  // movable, but copied by name only
  NewestCache& operator=(NewestCache&&) = default;
  NewestCache clone() const { return *this; }

  kvcache::CacheShape shape() const { return shape_; }
  int length(int layer) const { return length_[std::size_t(layer)]; }  // tokens ever appended
  int slots(int /*layer*/) const { return recent_; }
  int chunk_limit(int layer) const { return std::max(1, recent_ - length(layer)); }

  void append(int layer, int first_position, kvcache::MatrixIn<Scalar> keys, kvcache::MatrixIn<Scalar> values) {
    kvcache::check_append("NewestCache", *this, layer, first_position, keys, values);
    rows_[std::size_t(layer)].write(first_position % recent_, keys, values);
    length_[std::size_t(layer)] += int(keys.rows());
  }
  template <class Visitor>
  void for_each_block(int layer, int kv_head, Visitor&& visit) const {
    const int end = length(layer), oldest = end - kept(layer);
    for (int first = oldest; first < end;) {  // positions that follow each other in neighbouring slots are one block
      const int slot = first % recent_, count = std::min(end - first, recent_ - slot);
      visit(rows_[std::size_t(layer)].block(kv_head, slot, count, /*first position*/ first));
      first += count;
    }
  }
  void clear() { std::fill(length_.begin(), length_.end(), 0); }

  kvcache::MemoryUse memory() const {
    kvcache::MemoryUse memory;
    for (int l = 0; l < shape_.layers; ++l) {
      memory.used_bytes += kvcache::used_bytes(rows_[std::size_t(l)], kept(l));
      memory.reserved_bytes += kvcache::reserved_bytes(rows_[std::size_t(l)]);
    }
    return memory;
  }

 private:
  NewestCache(const NewestCache&) = default;  // for clone() alone
  int kept(int layer) const { return std::min(length(layer), recent_); }
  kvcache::CacheShape shape_;
  int recent_;
  std::vector<Rows> rows_;   // [layers]
  std::vector<int> length_;  // [layers]
};

static_assert(kvcache::KeyValueCache<NewestCache<>>);
