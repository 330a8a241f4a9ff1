// What a key/value cache is, said in C++20. Read this file first, then cache/contiguous_cache.hpp.
//
// Two ideas, kept apart. A *policy* (KeyValueCache) decides which tokens are kept and in which slots. A *row store*
// (RowStore) decides how a row of numbers is written down. Attention sees neither: it asks for blocks of rows.
// Three words for three things: a *slot* is a place in storage, a *position* is a place in the text, and a *row* is the
// key (or value) of one token for one head.
#pragma once

#include <climits>
#include <concepts>

#include "kvcache/cache/shape.hpp"
#include "kvcache/core/matrix.hpp"
#include "kvcache/core/memory_use.hpp"

namespace kvcache {

/// A run of cached tokens as one kv head sees them. A view: it owns nothing and is valid until the cache changes.
template <class B>
concept KeyValueBlock = std::copyable<B> && requires(B& block, const B& view, int n) {
  { view.rows() } -> std::convertible_to<int>;
  { view.slice(/*first*/ n, /*rows*/ n) } -> std::same_as<B>;
  { view.position(/*row*/ n) } -> std::convertible_to<int>;  // its place in the text
  { view.slot(/*row*/ n) } -> std::convertible_to<int>;      // its place in storage; attention never asks, observers do
  block.position_gap = 1;  // tokens forgotten between this block and the query; 0 unless positions are shifted
};

/// A block the CPU can read. Its two functions are the two products of attention, for m queries at once:
/// a block may keep its numbers in any format and is never unpacked by its reader.
template <class B>
concept HostBlock = KeyValueBlock<B> &&
    requires(const B& block, MatrixIn<typename B::Scalar> in, MatrixOut<typename B::Scalar> out) {
  { block.score(/*queries [m, head_dim]*/ in, /*scores [m, rows]*/ out) } -> std::same_as<void>;
  { block.accumulate(/*weights [m, rows]*/ in, /*output [m, head_dim]*/ out) } -> std::same_as<void>;  // adds
};

/// How the rows of one layer are written: float, bfloat16, int8... It knows formats and no policy.
/// Each kv head has its rows in one piece, [kv_heads, slots, head_dim], so that a head reads memory in order.
/// Every slot may be written, overwritten and copied at any time, and takes the same bytes.
template <class R>
concept RowStore = std::copyable<R> && std::constructible_from<R, CacheShape> && KeyValueBlock<typename R::Block> &&
    requires(R& rows, const R& view, int n, MatrixIn<typename R::Scalar> m) {
  { rows.resize(/*slots*/ n, /*first slots to keep*/ n) } -> std::same_as<void>;
  { rows.write(/*first slot*/ n, /*keys*/ m, /*values [n, row_size]*/ m) } -> std::same_as<void>;
  { rows.copy(/*from slot*/ n, /*to slot*/ n, /*slots, not overlapping*/ n) } -> std::same_as<void>;
  { view.slots() } -> std::convertible_to<int>;
  { view.bytes_per_slot() } -> std::convertible_to<std::size_t>;
  { view.block(/*kv head*/ n, /*first slot*/ n, /*rows*/ n, /*first position*/ n) } -> std::same_as<typename R::Block>;
};

/// The chunk limit of a cache that never forgets.
inline constexpr int unlimited = INT_MAX;

namespace detail {
template <class Block>
struct AnyVisitor {  // stands for "anything callable with a block" inside the concept below
  void operator()(const Block&) const;
};
}  // namespace detail

/// Which tokens are kept, and in which slots. It knows policy and no formats. Movable, but copied only by name.
/// What a concept cannot say, the laws of a cache, is in tests/cache_laws.hpp: put your own cache through them.
template <class C>
concept KeyValueCache = std::movable<C> && !std::copyable<C> && KeyValueBlock<typename C::Block> &&
                        requires(C & cache, const C& view, int n, MatrixIn<typename C::Scalar> m,
                                 detail::AnyVisitor<typename C::Block> visit) {
  { view.shape() } -> std::convertible_to<CacheShape>;
  { view.length(/*layer*/ n) } -> std::convertible_to<int>;  // tokens appended so far, kept or forgotten
  { view.slots(/*layer*/ n) } -> std::convertible_to<int>;   // rows there is room for
  /// How many tokens may be appended to the layer at once without forgetting a row that one of them may still see.
  { view.chunk_limit(/*layer*/ n) } -> std::convertible_to<int>;
  { cache.append(/*layer*/ n, /*first position*/ n, /*keys*/ m, /*values [n, row_size]*/ m) } -> std::same_as<void>;
  /// Calls visit(block) for blocks that together hold every kept row once, in any order. Allocates nothing; several
  /// threads may read at once while nobody appends.
  { view.for_each_block(/*layer*/ n, /*kv head*/ n, visit) } -> std::same_as<void>;
  { view.memory() } -> std::same_as<MemoryUse>;
  { cache.clear() } -> std::same_as<void>;  // keeps its storage
  { view.clone() } -> std::same_as<C>;      // a full copy
};

/// A cache that can forget its last tokens: to take back a guess, or to ask another question about one text.
template <class C>
concept RewindableCache = KeyValueCache<C> && requires(C& cache, int length) {
  cache.rewind(/*tokens to keep*/ length);
};

}  // namespace kvcache
