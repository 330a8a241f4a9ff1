// A cache that somebody else owns, where a cache of one's own is asked for: every call is passed on.
#pragma once

#include <memory>
#include <utility>

#include "kvcache/cache/concept.hpp"

namespace kvcache {

/// The owner must outlive it. A clone is a full copy, and owns what it copied.
template <KeyValueCache Cache>
class LentCache {
 public:
  using Block = typename Cache::Block;
  using Scalar = typename Cache::Scalar;

  explicit LentCache(Cache& cache) : cache_(&cache) {}
  LentCache(LentCache&&) = default;
  LentCache& operator=(LentCache&&) = default;
  LentCache clone() const { return LentCache(std::make_unique<Cache>(cache_->clone())); }

  CacheShape shape() const { return cache_->shape(); }
  int length(int layer) const { return cache_->length(layer); }
  int slots(int layer) const { return cache_->slots(layer); }
  int chunk_limit(int layer) const { return cache_->chunk_limit(layer); }
  void append(int layer, int first_position, MatrixIn<Scalar> keys, MatrixIn<Scalar> values) {
    cache_->append(layer, first_position, keys, values);
  }
  template <class Visitor>
  void for_each_block(int layer, int kv_head, Visitor&& visit) const {
    std::as_const(*cache_).for_each_block(layer, kv_head, visit);
  }
  MemoryUse memory() const { return cache_->memory(); }
  void clear() { cache_->clear(); }
  void rewind(int length) requires RewindableCache<Cache> { cache_->rewind(length); }
  bool learns() const requires LearningCache<Cache> { return cache_->learns(); }
  void learn(int layer, int kv_head, MatrixIn<Scalar> weights) requires LearningCache<Cache> {
    cache_->learn(layer, kv_head, weights);
  }
  int reach() const requires BoundedCache<Cache> { return cache_->reach(); }
  bool shifts_positions() const requires BoundedCache<Cache> { return cache_->shifts_positions(); }

 private:
  explicit LentCache(std::unique_ptr<Cache> own) : own_(std::move(own)), cache_(own_.get()) {}
  std::unique_ptr<Cache> own_;
  Cache* cache_;
};

}  // namespace kvcache
