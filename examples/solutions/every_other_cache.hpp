// A policy: every other token (the even ones), and the newest.
#pragma once

#include <kvcache/cache/check_append.hpp>
#include <kvcache/cache/rows/float_rows.hpp>

/// Token p lies in slot (p + 1) / 2. So an even token overwrites the odd one before it, which nobody sees any more.
template <kvcache::SlotRows Rows = kvcache::FloatRows<>>
class EveryOtherCache {
 public:
  using Block = typename Rows::Block;
  using Scalar = typename Rows::Scalar;

  explicit EveryOtherCache(kvcache::CacheShape shape)
      : shape_(shape), layers_(std::size_t(shape.layers), {Rows(shape), {}, 0}) {}
  EveryOtherCache(EveryOtherCache&&) = default;  // movable, but copied by name only
  EveryOtherCache& operator=(EveryOtherCache&&) = default;
  EveryOtherCache clone() const { return *this; }

  kvcache::CacheShape shape() const { return shape_; }
  int length(int layer) const { return at(layer).length; }
  int slots(int layer) const { return at(layer).rows.slots(); }
  /// After an even number of tokens an even one comes, and may bring the odd one after it: nothing is overwritten that
  /// these two must see. An odd one comes alone: the next would overwrite it before it has seen itself.
  int chunk_limit(int layer) const { return 2 - length(layer) % 2; }

  void append(int l, int first_position, kvcache::MatrixIn<Scalar> keys, kvcache::MatrixIn<Scalar> values) {
    kvcache::check_append("EveryOtherCache", *this, l, first_position, keys, values);
    Layer& layer = layers_[std::size_t(l)];
    const int first = (first_position + 1) / 2, tokens = int(keys.rows()), needed = first + tokens;
    if (needed > layer.rows.slots()) {
      layer.rows.resize(2 * needed, kept(layer));
      layer.positions.resize(std::size_t(2 * needed));
    }
    layer.rows.write(first, keys, values);
    for (int t = 0; t < tokens; ++t) layer.positions[std::size_t(first + t)] = first_position + t;
    layer.length += tokens;
  }
  template <class Visitor>
  void for_each_block(int layer, int kv_head, Visitor&& visit) const {
    if (length(layer) == 0) return;
    visit(at(layer).rows.block(kv_head, /*first slot*/ 0, kept(at(layer)), at(layer).positions.data()));
  }
  void clear() {
    for (Layer& layer : layers_) layer.length = 0;
  }
  kvcache::MemoryUse memory() const {
    kvcache::MemoryUse memory;
    for (const Layer& layer : layers_) {
      memory.used_bytes += kvcache::used_bytes(layer.rows, kept(layer));
      memory.reserved_bytes += kvcache::reserved_bytes(layer.rows);
      memory.bookkeeping_bytes += layer.positions.size() * sizeof(int);
    }
    return memory;
  }

 private:
  struct Layer {
    Rows rows;
    std::vector<int> positions;  // [slots] of the token in each
    int length;                  // tokens ever appended
  };
  EveryOtherCache(const EveryOtherCache&) = default;
  const Layer& at(int layer) const { return layers_[std::size_t(layer)]; }
  static int kept(const Layer& layer) { return layer.length == 0 ? 0 : layer.length / 2 + 1; }

  kvcache::CacheShape shape_;
  std::vector<Layer> layers_;
};

static_assert(kvcache::KeyValueCache<EveryOtherCache<>>);
