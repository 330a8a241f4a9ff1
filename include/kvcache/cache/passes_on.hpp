// What a wrapper hands to the cache within it: all that a cache can be asked, written once. A wrapper derives from this
// and writes again only what it changes, so that none loses what the cache within can do.
#pragma once

#include <vector>

#include "kvcache/cache/concept.hpp"
#include "kvcache/cache/storage_piece.hpp"

namespace kvcache {

/// Self derives from it and has within(): the cache within, const and not; it may be private, and this a friend. What Self says itself
/// hides what is said here. Left to Self: clone() and fork(), which make another of its kind.
template <class Self, KeyValueCache Inner>
class PassesOn {
 public:
  using Block = typename Inner::Block;
  using Scalar = typename Inner::Scalar;

  CacheShape shape() const { return it().shape(); }
  int length(int layer) const { return it().length(layer); }
  int slots(int layer) const { return it().slots(layer); }
  int chunk_limit(int layer) const { return it().chunk_limit(layer); }
  void append(int layer, int first_position, MatrixIn<Scalar> keys, MatrixIn<Scalar> values) {
    it().append(layer, first_position, keys, values);
  }
  template <class Visitor>
  void for_each_block(int layer, int kv_head, Visitor&& visit) const {
    it().for_each_block(layer, kv_head, visit);
  }
  MemoryUse memory() const { return it().memory(); }
  void clear() { it().clear(); }

  void prepare(int tokens) requires PreparableCache<Inner> { it().prepare(tokens); }
  void rewind(int length) requires RewindableCache<Inner> { it().rewind(length); }
  int least_rewind() const requires RewindableCache<Inner> { return it().least_rewind(); }
  bool can_fork() const requires ForkableCache<Inner> { return kvcache::can_fork(it()); }
  void save(ByteWriter& to) const requires SavableCache<Inner> { it().save(to); }
  void load(ByteReader& from) requires SavableCache<Inner> { it().load(from); }
  bool learns() const requires LearningCache<Inner> { return it().learns(); }
  void learn(int layer, int kv_head, MatrixIn<Scalar> weights) requires LearningCache<Inner> {
    it().learn(layer, kv_head, weights);
  }
  int reach() const requires BoundedCache<Inner> { return it().reach(); }
  bool shifts_positions() const requires BoundedCache<Inner> { return it().shifts_positions(); }
  bool keeps_every_token() const requires CompleteCache<Inner> { return it().keeps_every_token(); }
  std::vector<StoragePiece> pieces(int layer) const requires PiecedCache<Inner> { return it().pieces(layer); }

 private:
  Inner& it() { return static_cast<Self&>(*this).within(); }
  const Inner& it() const { return static_cast<const Self&>(*this).within(); }
};

}  // namespace kvcache
