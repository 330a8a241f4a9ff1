// Any policy behind one type, for programs that choose it when they run. Itself a KeyValueCache.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "kvcache/cache/any_block.hpp"
#include "kvcache/cache/concept.hpp"
#include "kvcache/cache/storage_piece.hpp"
#include "kvcache/core/check.hpp"

namespace kvcache {

namespace detail {

/// Calls whatever a reader brought, without being a template of it, so that for_each_block can be virtual.
template <class Block>
class BlockVisitor {
 public:
  template <class Visitor>
  explicit BlockVisitor(Visitor& visitor)
      : visitor_(&visitor),
        call_([](const void* one, const Block& block) { (*static_cast<Visitor*>(const_cast<void*>(one)))(block); }) {}
  void operator()(const Block& block) const { call_(visitor_, block); }

 private:
  const void* visitor_;
  void (*call_)(const void*, const Block&);
};

template <class... Blocks>
struct OneOf {
  using Block = AnyBlock<Blocks...>;
};
template <class Block_>
struct OneOf<Block_> {
  using Block = Block_;
};

}  // namespace detail

/// Holds a cache of any policy whose blocks are of one of these types. A call costs one indirect call, reading one more
/// for each block. Only the file that makes a cache compiles its policy.
template <KeyValueBlock FirstBlock, KeyValueBlock... MoreBlocks>
class AnyCache {
 public:
  using Block = typename detail::OneOf<FirstBlock, MoreBlocks...>::Block;
  using Scalar = typename Block::Scalar;

  template <class Cache>
  requires(!std::same_as<Cache, AnyCache>) && KeyValueCache<Cache> explicit AnyCache(Cache cache)
      : held_(std::make_unique<Holder<Cache>>(std::move(cache))) {}
  AnyCache clone() const { return AnyCache(held().clone()); }

  CacheShape shape() const { return held().shape(); }
  int length(int layer) const { return held().length(layer); }
  int slots(int layer) const { return held().slots(layer); }
  int chunk_limit(int layer) const { return held().chunk_limit(layer); }
  void append(int layer, int first_position, MatrixIn<Scalar> keys, MatrixIn<Scalar> values) {
    held().append(layer, first_position, keys, values);
  }
  template <class Visitor>
  void for_each_block(int layer, int kv_head, Visitor&& visitor) const {
    held().for_each_block(layer, kv_head, BlockVisitor(visitor));
  }
  MemoryUse memory() const { return held().memory(); }
  void clear() { held().clear(); }

  /// Nothing, for a policy that never runs out of room.
  void prepare(int tokens) { held().prepare(tokens); }
  /// Errors: those of the policy; of one that cannot rewind, all but 0 and what least_rewind() says: its whole length.
  void rewind(int length) { held().rewind(length); }
  int least_rewind() const { return held().least_rewind(); }
  /// Errors: the policy, or its rows, cannot be saved.
  void save(ByteWriter& to) const { held().save(to); }
  void load(ByteReader& from) { held().load(from); }
  bool learns() const { return held().learns(); }
  void learn(int layer, int kv_head, MatrixIn<Scalar> weights) { held().learn(layer, kv_head, weights); }
  int reach() const { return held().reach(); }
  bool shifts_positions() const { return held().shifts_positions(); }
  bool can_fork() const { return held().can_fork(); }
  /// Errors: the policy shares nothing.
  AnyCache fork() const { return AnyCache(held().fork()); }
  std::vector<StoragePiece> pieces(int layer) const { return held().pieces(layer); }
  bool keeps_every_token() const { return held().keeps_every_token(); }

 private:
  using BlockVisitor = detail::BlockVisitor<Block>;

  struct Held {
    virtual ~Held() = default;
    virtual std::unique_ptr<Held> clone() const = 0;
    virtual CacheShape shape() const = 0;
    virtual int length(int layer) const = 0;
    virtual int slots(int layer) const = 0;
    virtual int chunk_limit(int layer) const = 0;
    virtual void append(int layer, int first_position, MatrixIn<Scalar> keys, MatrixIn<Scalar> values) = 0;
    virtual void for_each_block(int layer, int kv_head, const BlockVisitor& visitor) const = 0;
    virtual MemoryUse memory() const = 0;
    virtual void clear() = 0;
    virtual void prepare(int tokens) = 0;
    virtual void rewind(int length) = 0;
    virtual int least_rewind() const = 0;
    virtual void save(ByteWriter& to) const = 0;
    virtual void load(ByteReader& from) = 0;
    virtual bool learns() const = 0;
    virtual void learn(int layer, int kv_head, MatrixIn<Scalar> weights) = 0;
    virtual int reach() const = 0;
    virtual bool shifts_positions() const = 0;
    virtual bool can_fork() const = 0;
    virtual std::unique_ptr<Held> fork() const = 0;
    virtual std::vector<StoragePiece> pieces(int layer) const = 0;
    virtual bool keeps_every_token() const = 0;
  };

  template <class Cache>
  struct Holder final : Held {
    explicit Holder(Cache held) : cache(std::move(held)) {}
    std::unique_ptr<Held> clone() const override { return std::make_unique<Holder>(cache.clone()); }
    CacheShape shape() const override { return cache.shape(); }
    int length(int layer) const override { return cache.length(layer); }
    int slots(int layer) const override { return cache.slots(layer); }
    int chunk_limit(int layer) const override { return cache.chunk_limit(layer); }
    void append(int layer, int first_position, MatrixIn<Scalar> keys, MatrixIn<Scalar> values) override {
      cache.append(layer, first_position, keys, values);
    }
    void for_each_block(int layer, int kv_head, const BlockVisitor& visitor) const override {
      cache.for_each_block(layer, kv_head, visitor);
    }
    MemoryUse memory() const override { return cache.memory(); }
    void clear() override { cache.clear(); }

    // What not every policy can do.
    void prepare(int tokens) override {
      if constexpr (PreparableCache<Cache>) cache.prepare(tokens);
    }
    void rewind(int length) override {
      if constexpr (RewindableCache<Cache>) return cache.rewind(length);
      check_rewind("this cache", *this, length);
      if (length == 0) cache.clear();
    }
    int least_rewind() const override {
      if constexpr (RewindableCache<Cache>) return cache.least_rewind();
      int longest = 0;  // in mid-step the layers differ
      for (int l = 0; l < cache.shape().layers; ++l) longest = std::max(longest, cache.length(l));
      return longest;
    }
    void save(ByteWriter& to) const override {
      if constexpr (SavableCache<Cache>)
        cache.save(to);
      else
        fail("save: this cache cannot be saved; see SavableCache in cache/concept.hpp for what it lacks");
    }
    void load(ByteReader& from) override {
      if constexpr (SavableCache<Cache>)
        cache.load(from);
      else
        fail("load: this cache cannot be saved; see SavableCache in cache/concept.hpp for what it lacks");
    }
    bool learns() const override {
      if constexpr (LearningCache<Cache>) return cache.learns();
      return false;
    }
    void learn(int layer, int kv_head, MatrixIn<Scalar> weights) override {
      if constexpr (LearningCache<Cache>) cache.learn(layer, kv_head, weights);
    }
    int reach() const override {
      if constexpr (BoundedCache<Cache>) return cache.reach();
      return unlimited;
    }
    bool shifts_positions() const override {
      if constexpr (BoundedCache<Cache>) return cache.shifts_positions();
      return false;
    }
    bool can_fork() const override { return kvcache::can_fork(cache); }
    std::unique_ptr<Held> fork() const override {
      if constexpr (ForkableCache<Cache>)
        return std::make_unique<Holder>(cache.fork());
      else
        fail("fork: this cache shares nothing between texts; take one with pages, or clone()");
    }
    std::vector<StoragePiece> pieces(int layer) const override {
      if constexpr (PiecedCache<Cache>) return cache.pieces(layer);
      return {};
    }
    bool keeps_every_token() const override { return kvcache::keeps_every_token(cache); }

    Cache cache;
  };

  explicit AnyCache(std::unique_ptr<Held> held) : held_(std::move(held)) {}
  /// Errors: it was moved from.
  Held& held() const {
    if (!held_) fail("AnyCache: this cache was moved from; use the one that it was moved to");
    return *held_;
  }
  std::unique_ptr<Held> held_;
};

}  // namespace kvcache
