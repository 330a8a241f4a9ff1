// What a key/value cache is, said in C++20. Read this file first, then cache/contiguous_cache.hpp.
//
// Two ideas, kept apart. A *policy* (KeyValueCache) decides which tokens are kept and in which slots. A *row store*
// (RowStore) decides how a row of numbers is written down. Attention sees neither: it asks for blocks of rows.
// Three words for three things: a *slot* is a place in storage, a *position* is a place in the text, and a *row* is the
// key (or value) of one token for one head.
#pragma once

#include <climits>
#include <concepts>
#include <string>
#include <type_traits>

#include "kvcache/cache/shape.hpp"
#include "kvcache/core/byte_stream.hpp"
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

/// Where in the text the rows of a block stand: one after another, or as the policy noted them, one by one. Given to a
/// row store when it is asked for a block, so that a policy need not know what a block is made of.
struct Positions {
  int first = 0;                // of row 0, if none are noted
  const int* stored = nullptr;  // [rows]; for policies that forget tokens here and there. They must outlive the block.

  constexpr Positions(int first) : first(first) {}  // implicit: mostly a block begins somewhere and goes on
  constexpr Positions(const int* stored) : stored(stored) {}
  int operator[](int row) const { return stored ? stored[row] : first + row; }
  Positions from(int row) const { return stored ? Positions(stored + row) : Positions(first + row); }
};

/// A block the CPU can read. Its two functions are the two products of attention, for m queries at once:
/// a block may keep its numbers in any format and is never unpacked by its reader.
template <class B>
concept HostBlock = KeyValueBlock<B> &&
    requires(const B& block, MatrixIn<typename B::Scalar> in, MatrixOut<typename B::Scalar> out) {
  { block.score(/*queries [m, head_dim]*/ in, /*scores [m, rows]*/ out) } -> std::same_as<void>;
  { block.accumulate(/*weights [m, rows]*/ in, /*output [m, head_dim]*/ out) } -> std::same_as<void>;  // adds
};

/// Of row stores that leave nothing to choose when they are made.
struct NoOptions {};

namespace detail {
template <class R>
concept Rows = std::copyable<R> && std::constructible_from<R, CacheShape, typename R::Options> &&
    KeyValueBlock<typename R::Block> && requires(R& rows, const R& view, int n, Positions p, MatrixIn<typename R::Scalar> m) {
  // Slots that are not there are an Error, said once a call: they would be somebody else's memory.
  { rows.resize(/*slots*/ n, /*first slots to keep*/ n) } -> std::same_as<void>;
  { rows.write(/*first slot*/ n, /*keys*/ m, /*values [n, row_size]*/ m) } -> std::same_as<void>;
  { view.slots() } -> std::convertible_to<int>;
  { view.block(/*kv head*/ n, /*first slot*/ n, /*rows*/ n, p) } -> std::same_as<typename R::Block>;
};
}  // namespace detail

/// Rows that stand alone: every slot may be written, overwritten and copied at any time, and takes the same bytes.
template <class R>
concept SlotRows = detail::Rows<R> && requires(R& rows, const R& view, int n) {
  { rows.copy(/*from slot*/ n, /*to slot*/ n, /*slots, not overlapping*/ n) } -> std::same_as<void>;
  { view.bytes_per_slot() } -> std::convertible_to<std::size_t>;
};

/// Rows that can leave the store as bytes, to be kept elsewhere and read there: saved_block() is what block() would be.
template <class R>
concept StorableRows = SlotRows<R> && requires(R& rows, const R& view, int n, Positions p, std::byte* to,
                                               const std::byte* from, typename R::Block block) {
  { view.save(/*first slot*/ n, /*slots*/ n, to) } -> std::same_as<void>;  // slots * bytes_per_slot() bytes
  { rows.load(/*first slot*/ n, /*slots*/ n, from) } -> std::same_as<void>;
  {
    view.saved_block(from, /*slots saved*/ n, /*kv head*/ n, /*first of them*/ n, /*rows*/ n, p)
    } -> std::same_as<typename R::Block>;
  block.first_slot = n;  // who keeps rows in two places numbers the slots of both
  { view.format() } -> std::convertible_to<std::string>;  // in words; bytes of one format mean nothing in another
};

/// Rows that are packed several at a time, by the store itself, while they come in order.
template <class R>
concept GroupedRows = detail::Rows<R> && requires(const R& view, int n) {
  { view.packed() } -> std::convertible_to<int>;  // slots [0, packed) can no longer be written again
  /// How many rows may be written at once so that none is packed that one of them should still see whole.
  { view.chunk_limit(/*slots written*/ n) } -> std::convertible_to<int>;
  { view.used_bytes(/*slots*/ n) } -> std::convertible_to<std::size_t>;
  { view.reserved_bytes() } -> std::convertible_to<std::size_t>;
};

/// Grouped rows that can be saved whole, to go on from later.
template <class R>
concept SavableGroups = GroupedRows<R> && requires(R& rows, const R& view, int n, ByteWriter& to, ByteReader& from) {
  { view.save(/*slots written*/ n, to) } -> std::same_as<void>;
  { rows.load(/*slots written*/ n, /*slots to have*/ n, from) } -> std::same_as<void>;
  { view.format() } -> std::convertible_to<std::string>;
};
template <class R>
concept SavableRows = StorableRows<R> || SavableGroups<R>;

/// How the rows of one layer are written: f32, int8... It knows formats and no policy. Each kv head has its rows in one
/// piece, [kv_heads, slots, head_dim], so that a head reads memory in order.
template <class R>
concept RowStore = SlotRows<R> || GroupedRows<R>;

/// Bytes of the first `slots` slots.
template <RowStore R>
std::size_t used_bytes(const R& rows, int slots) {
  if constexpr (GroupedRows<R>)
    return rows.used_bytes(slots);
  else
    return std::size_t(slots) * rows.bytes_per_slot();
}
template <RowStore R>
std::size_t reserved_bytes(const R& rows) {
  if constexpr (GroupedRows<R>)
    return rows.reserved_bytes();
  else
    return std::size_t(rows.slots()) * rows.bytes_per_slot();
}

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
concept KeyValueCache = std::movable<C> && !std::is_copy_constructible_v<C> && !std::is_copy_assignable_v<C> &&
                        KeyValueBlock<typename C::Block> &&
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

/// A cache that may run out of room, and can say so before a step begins: prepare(n) takes all room that the next n
/// tokens need, in every layer, or is an Error, and what the cache holds has not changed. Appending them needs no more.
template <class C>
concept PreparableCache = KeyValueCache<C> && requires(C& cache, int tokens) {
  { cache.prepare(tokens) } -> std::same_as<void>;
};

/// A cache that can forget its last tokens: to take back a guess, or to ask another question about one text.
template <class C>
concept RewindableCache = KeyValueCache<C> && requires(C& cache, const C& view, int length) {
  /// To 0, which is to clear, or to any length from least_rewind() on. Less is an Error, and no layer has changed.
  { cache.rewind(/*tokens to keep*/ length) } -> std::same_as<void>;
  { view.least_rewind() } -> std::convertible_to<int>;  // what stands before is forgotten, or packed, for good
};

/// A cache that says whether each token stays until it is taken back. Who does not say it may forget.
template <class C>
concept CompleteCache = KeyValueCache<C> && requires(const C& view) {
  { view.keeps_every_token() } -> std::convertible_to<bool>;
};
template <KeyValueCache C>
bool keeps_every_token(const C& cache) {
  if constexpr (CompleteCache<C>) return cache.keeps_every_token();
  return false;
}

/// A cache from which a second text can go on, sharing what both have in common instead of copying it.
template <class C>
concept ForkableCache = KeyValueCache<C> && requires(const C& view) {
  { view.fork() } -> std::same_as<C>;
};
/// A cache that was chosen when the program runs has fork() and says by can_fork() whether it is more than an Error.
template <KeyValueCache C>
bool can_fork(const C& cache) {
  if constexpr (requires { { cache.can_fork() } -> std::convertible_to<bool>; }) return cache.can_fork();
  return ForkableCache<C>;
}

/// A cache that can be written down and read back, by one that was made alike: attention over what it loaded, and over
/// all that follows, is the same bit for bit. So is what it forgets next.
template <class C>
concept SavableCache = KeyValueCache<C> && requires(C& cache, const C& view, ByteWriter& to, ByteReader& from) {
  { view.save(to) } -> std::same_as<void>;  // between steps: all layers hold the same tokens
  /// Replaces what the cache holds. Bytes that do not fit are an Error, and leave it empty.
  { cache.load(from) } -> std::same_as<void>;
};

/// A cache that wants to know how much attention each row got, to decide what to keep. It is told after each piece of
/// tokens, head after head, by one thread.
template <class C>
concept LearningCache = KeyValueCache<C> && requires(C& cache, const C& view, int n, MatrixIn<typename C::Scalar> m) {
  { view.learns() } -> std::convertible_to<bool>;  // false: need not be told (a cache chosen when the program runs)
  { cache.learn(/*layer*/ n, /*kv head*/ n, /*weights [queries, rows in visiting order]*/ m) } -> std::same_as<void>;
};

/// A cache that can bound how far back a query looks, however long the text: `reach` positions, the query's own
/// included (unlimited: as long as the text). If it does so by shifting positions, the model must have rope.
template <class C>
concept BoundedCache = KeyValueCache<C> && requires(const C& view) {
  { view.reach() } -> std::convertible_to<int>;
  { view.shifts_positions() } -> std::convertible_to<bool>;
};

}  // namespace kvcache
