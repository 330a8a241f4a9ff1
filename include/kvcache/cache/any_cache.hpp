// A cache chosen by name at run time, for programs: "growing", "preallocated"... Itself a KeyValueCache.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "kvcache/cache/cache_names.hpp"
#include "kvcache/cache/contiguous_cache.hpp"

namespace kvcache {

/// Decides once per call which policy it holds; the blocks that attention reads are the policy's own.
template <RowStore Rows>
class AnyCache {
 public:
  using Block = typename Rows::Block;
  using Scalar = typename Rows::Scalar;
  using Policies = std::variant<GrowingCache<Rows>, PreallocatedCache<Rows>, ConcatenatingCache<Rows>>;

  explicit AnyCache(Policies policy) : policy_(std::move(policy)) {}
  AnyCache clone() const {
    return std::visit([](const auto& cache) { return AnyCache(Policies(cache.clone())); }, policy_);
  }
  CacheShape shape() const {
    return std::visit([](const auto& cache) { return cache.shape(); }, policy_);
  }
  int length(int layer) const {
    return std::visit([&](const auto& cache) { return cache.length(layer); }, policy_);
  }
  int slots(int layer) const {
    return std::visit([&](const auto& cache) { return cache.slots(layer); }, policy_);
  }
  int chunk_limit(int layer) const {
    return std::visit([&](const auto& cache) { return cache.chunk_limit(layer); }, policy_);
  }
  void append(int layer, int first_position, MatrixIn<Scalar> keys, MatrixIn<Scalar> values) {
    std::visit([&](auto& cache) { cache.append(layer, first_position, keys, values); }, policy_);
  }
  template <class Visitor>
  void for_each_block(int layer, int kv_head, Visitor&& visit) const {
    std::visit([&](const auto& cache) { cache.for_each_block(layer, kv_head, visit); }, policy_);
  }
  void rewind(int length) {
    std::visit([&](auto& cache) { cache.rewind(length); }, policy_);
  }
  void clear() {
    std::visit([](auto& cache) { cache.clear(); }, policy_);
  }
  MemoryUse memory() const {
    return std::visit([](const auto& cache) { return cache.memory(); }, policy_);
  }

 private:
  Policies policy_;
};

/// `capacity`: tokens that a cache which never grows has room for; the others start empty.
/// Errors: a name that is not in cache_names.
template <RowStore Rows = FloatRows<>>
AnyCache<Rows> make_cache(std::string_view name, CacheShape shape, int capacity) {
  using Any = AnyCache<Rows>;
  if (name == "growing") return Any(GrowingCache<Rows>(shape));
  if (name == "preallocated") return Any(PreallocatedCache<Rows>(shape, capacity));
  if (name == "concatenating") return Any(ConcatenatingCache<Rows>(shape));
  std::string known;
  for (const CacheName& cache : cache_names) known += std::string(known.empty() ? "" : ", ") + cache.name;
  fail("cache \"", name, "\" is unknown; known are ", known);
}

static_assert(RewindableCache<AnyCache<FloatRows<>>>);

}  // namespace kvcache
