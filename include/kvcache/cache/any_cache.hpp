// A cache chosen when the program runs: "growing", "window:sinks=4,recent=252"... Itself a KeyValueCache.
#pragma once

#include <type_traits>
#include <utility>
#include <variant>

#include "kvcache/cache/contiguous_cache.hpp"
#include "kvcache/cache/evicting_cache.hpp"
#include "kvcache/cache/offloaded_cache.hpp"
#include "kvcache/cache/paged_cache.hpp"
#include "kvcache/cache/per_layer_cache.hpp"
#include "kvcache/cache/rows/kivi_rows.hpp"
#include "kvcache/cache/rows/packed_rows.hpp"
#include "kvcache/cache/sliding_window_cache.hpp"

namespace kvcache {

namespace detail {

/// Calls whatever a reader brought, without being a template of it: so each policy is compiled once, and not once for
/// each reader. It costs one indirect call a block.
template <class Block>
struct BlockCall {
  const void* visitor;
  void (*call)(const void*, const Block&);
  void operator()(const Block& block) const { call(visitor, block); }
};
template <class... Blocks>
struct VisitorOf : BlockCall<Blocks>... {
  template <class Visitor>
  explicit VisitorOf(Visitor& visitor)
      : BlockCall<Blocks>{&visitor, [](const void* one, const Blocks& block) {
                            (*static_cast<Visitor*>(const_cast<void*>(one)))(block);
                          }}... {}
  using BlockCall<Blocks>::operator()...;
};

}  // namespace detail

/// Decides once per call which policy it holds; the blocks that attention reads are the policy's own. Programs use
/// AnyCache<AnyRows>, which chooses formats too, and so compile each policy once.
template <RowStore Rows>
class AnyCache {
 public:
  using Block = typename Rows::Block;
  using Scalar = typename Rows::Scalar;
  using Watch = MaybeObserver;
  template <class... More>
  using PoliciesAnd = std::variant<GrowingCache<Rows, Watch>, PreallocatedCache<Rows, Watch>,
                                   ConcatenatingCache<Rows, Watch>, SlidingWindowCache<Rows, Watch>,
                                   PagedCache<Rows, Watch>, HeavyHitterCache<Rows, Watch>, RandomCache<Rows, Watch>,
                                   OffloadedCache<Rows, Watch>, PerLayerCache<AnyCache, Block, Scalar>, More...>;
  /// KIVI's rows are packed in groups, so they are no choice within AnyRows but a policy more.
  static constexpr bool has_kivi = std::is_same_v<Rows, AnyRows>;
  using Policies = std::conditional_t<has_kivi, PoliciesAnd<GrowingCache<KiviRows, Watch>>, PoliciesAnd<>>;

  explicit AnyCache(Policies policy) : policy_(std::move(policy)) {}
  AnyCache clone() const {
    return visit([](const auto& cache) { return AnyCache(Policies(cache.clone())); });
  }
  CacheShape shape() const {
    return visit([](const auto& cache) { return cache.shape(); });
  }
  int length(int layer) const {
    return visit([&](const auto& cache) { return cache.length(layer); });
  }
  int slots(int layer) const {
    return visit([&](const auto& cache) { return cache.slots(layer); });
  }
  int chunk_limit(int layer) const {
    return visit([&](const auto& cache) { return cache.chunk_limit(layer); });
  }
  void append(int layer, int first_position, MatrixIn<Scalar> keys, MatrixIn<Scalar> values) {
    visit([&](auto& cache) { cache.append(layer, first_position, keys, values); });
  }
  template <class Visitor>
  void for_each_block(int layer, int kv_head, Visitor&& visitor) const {
    visit_blocks(layer, kv_head, BlockVisitor(visitor));
  }
  /// Errors: the policy cannot rewind.
  void rewind(int length) {
    visit([&]<class Cache>(Cache& cache) {
      if constexpr (RewindableCache<Cache>)
        cache.rewind(length);
      else
        fail("rewind: this cache has forgotten what it would go back to; clear it, or take one that keeps every token");
    });
  }
  void clear() {
    visit([](auto& cache) { cache.clear(); });
  }
  void save(ByteWriter& to) const requires SavableRows<Rows> {
    visit([&](const auto& cache) { cache.save(to); });
  }
  void load(ByteReader& from) requires SavableRows<Rows> {
    visit([&](auto& cache) { cache.load(from); });
  }
  MemoryUse memory() const {
    return visit([](const auto& cache) { return cache.memory(); });
  }
  bool learns() const {
    return visit([]<class Cache>(const Cache& cache) {
      if constexpr (LearningCache<Cache>) return cache.learns();
      return false;
    });
  }
  void learn(int layer, int kv_head, MatrixIn<Scalar> weights) {
    visit([&]<class Cache>(Cache& cache) {
      if constexpr (LearningCache<Cache>) cache.learn(layer, kv_head, weights);
    });
  }
  int reach() const {
    return visit([]<class Cache>(const Cache& cache) {
      if constexpr (BoundedCache<Cache>) return cache.reach();
      return unlimited;
    });
  }
  bool shifts_positions() const {
    return visit([]<class Cache>(const Cache& cache) {
      if constexpr (BoundedCache<Cache>) return cache.shifts_positions();
      return false;
    });
  }

  /// True if every token stays until it is taken back; then the cache can rewind.
  bool keeps_every_token() const {
    return visit([]<class Cache>(const Cache& cache) {
      if constexpr (requires { cache.part(0).keeps_every_token(); }) {
        bool all = true;
        for (int l = 0; l < cache.shape().layers; ++l) all = all && cache.part(l).keeps_every_token();
        return all;
      }
      return RewindableCache<Cache>;
    });
  }
  /// For whoever knows which policy it is.
  const Policies& policy() const { return policy_; }

 private:
  using BlockVisitor =
      std::conditional_t<has_kivi, detail::VisitorOf<Block, KiviRows::Block>, detail::VisitorOf<Block>>;
  void visit_blocks(int layer, int kv_head, const BlockVisitor& visitor) const {
    visit([&](const auto& cache) { cache.for_each_block(layer, kv_head, visitor); });
  }
  auto visit(auto&& what) { return std::visit(what, policy_); }
  auto visit(auto&& what) const { return std::visit(what, policy_); }
  Policies policy_;
};

}  // namespace kvcache
