// A cache that somebody else owns, where a cache of one's own is asked for: every call is passed on.
#pragma once

#include <memory>
#include <utility>

#include "kvcache/cache/concept.hpp"
#include "kvcache/core/check.hpp"

namespace kvcache {

/// The owner must outlive it. A clone is a full copy, and owns what it copied.
template <KeyValueCache Cache>
class LentCache {
 public:
  using Block = typename Cache::Block;
  using Scalar = typename Cache::Scalar;

  explicit LentCache(Cache& cache) : cache_(&cache) {}
  LentCache(LentCache&& other) noexcept : own_(std::move(other.own_)), cache_(std::exchange(other.cache_, nullptr)) {}
  LentCache& operator=(LentCache&& other) noexcept {
    own_ = std::move(other.own_), cache_ = std::exchange(other.cache_, nullptr);
    return *this;
  }
  LentCache clone() const { return LentCache(std::make_unique<Cache>(lent().clone())); }

  CacheShape shape() const { return lent().shape(); }
  int length(int layer) const { return lent().length(layer); }
  int slots(int layer) const { return lent().slots(layer); }
  int chunk_limit(int layer) const { return lent().chunk_limit(layer); }
  void append(int layer, int first_position, MatrixIn<Scalar> keys, MatrixIn<Scalar> values) {
    lent().append(layer, first_position, keys, values);
  }
  template <class Visitor>
  void for_each_block(int layer, int kv_head, Visitor&& visit) const {
    std::as_const(lent()).for_each_block(layer, kv_head, visit);
  }
  MemoryUse memory() const { return lent().memory(); }
  void clear() { lent().clear(); }
  void rewind(int length) requires RewindableCache<Cache> { lent().rewind(length); }
  bool learns() const requires LearningCache<Cache> { return lent().learns(); }
  void learn(int layer, int kv_head, MatrixIn<Scalar> weights) requires LearningCache<Cache> {
    lent().learn(layer, kv_head, weights);
  }
  int reach() const requires BoundedCache<Cache> { return lent().reach(); }
  bool shifts_positions() const requires BoundedCache<Cache> { return lent().shifts_positions(); }

 private:
  explicit LentCache(std::unique_ptr<Cache> own) : own_(std::move(own)), cache_(own_.get()) {}
  /// Errors: it was moved from.
  Cache& lent() const {
    if (cache_ == nullptr) fail("LentCache: this cache was moved from; use the one that it was moved to");
    return *cache_;
  }
  std::unique_ptr<Cache> own_;
  Cache* cache_;
};

}  // namespace kvcache
