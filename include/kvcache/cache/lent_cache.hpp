// A cache that somebody else owns, where a cache of one's own is asked for: every call is passed on.
#pragma once

#include <memory>
#include <utility>

#include "kvcache/cache/concept.hpp"
#include "kvcache/cache/passes_on.hpp"
#include "kvcache/core/check.hpp"

namespace kvcache {

/// The owner must outlive it. A clone, or a fork, owns the cache within it.
template <KeyValueCache Cache>
class LentCache : public PassesOn<LentCache<Cache>, Cache> {
 public:
  explicit LentCache(Cache& cache) : cache_(&cache) {}
  LentCache(LentCache&& other) noexcept : own_(std::move(other.own_)), cache_(std::exchange(other.cache_, nullptr)) {}
  LentCache& operator=(LentCache&& other) noexcept {
    own_ = std::move(other.own_), cache_ = std::exchange(other.cache_, nullptr);
    return *this;
  }
  LentCache clone() const { return LentCache(std::make_unique<Cache>(within().clone())); }
  LentCache fork() const requires ForkableCache<Cache> { return LentCache(std::make_unique<Cache>(within().fork())); }

 private:
  friend PassesOn<LentCache, Cache>;
  /// Errors: it was moved from.
  Cache& within() const {
    if (cache_ == nullptr) fail("LentCache: this cache was moved from; use the one that it was moved to");
    return *cache_;
  }
  explicit LentCache(std::unique_ptr<Cache> own) : own_(std::move(own)), cache_(own_.get()) {}
  std::unique_ptr<Cache> own_;
  Cache* cache_;
};

}  // namespace kvcache
