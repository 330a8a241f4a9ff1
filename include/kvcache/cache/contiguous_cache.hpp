// Policies: keep every token in one piece of memory. The three differ in one line: how much room there is for the next.
#pragma once

#include <algorithm>
#include <vector>

#include "kvcache/cache/cache_plan.hpp"
#include "kvcache/cache/check_append.hpp"
#include "kvcache/cache/concept.hpp"
#include "kvcache/cache/observer.hpp"
#include "kvcache/cache/rows/float_rows.hpp"
#include "kvcache/cache/saved_cache.hpp"
#include "kvcache/cache/storage_piece.hpp"

namespace kvcache {

/// Room for exactly what is needed: every token copies everything before it, as torch.cat does. The idea as first
/// written down; n tokens copy n (n - 1) / 2 rows.
struct GrowByCopy {
  static constexpr const char* name = "ConcatenatingCache";
  static constexpr bool is_exact = true;  // the room does not depend on how the tokens came
  static int room(int /*slots*/, int needed) { return needed; }
};
/// As std::vector: fewer than two copies per row in the long run, for at most twice the memory.
struct GrowByDoubling {
  static constexpr const char* name = "GrowingCache";
  static constexpr bool is_exact = false;
  static int room(int slots, int needed) {
    return needed <= slots ? slots : std::max(needed, slots <= most_slots / 2 ? 2 * slots : most_slots);
  }
};
/// All memory at the start; rows never move, and a full cache is an error.
struct NeverGrow {
  static constexpr const char* name = "PreallocatedCache";
  static constexpr bool is_exact = true;
  static int room(int slots, int needed) {
    if (needed <= slots) return slots;
    fail("PreallocatedCache: token ", needed, " does not fit in ", slots,
         " slots; build it with a larger capacity, or rewind or clear it");
  }
};

/// Token p lies in slot p, so positions need no storage and used_bytes is the formula of cache/shape.hpp exactly.
template <RowStore Rows, class Growth, Observer Watch = NoObserver>
class ContiguousCache {
 public:
  using Block = typename Rows::Block;
  using Scalar = typename Rows::Scalar;

  /// Room for `capacity` tokens in every layer from the start. Errors: sizes below 1, a negative capacity, or one of
  /// more than most_slots.
  explicit ContiguousCache(CacheShape shape, int capacity = 0, typename Rows::Options options = {}, Watch watch = {})
      : shape_(shape), watch_(watch) {
    check_sizes(shape, capacity);
    rows_.assign(std::size_t(shape.layers), Rows(shape, options));
    length_.assign(std::size_t(shape.layers), 0);
    if (capacity > 0)
      for (Rows& layer : rows_) layer.resize(capacity, 0);
  }
  ContiguousCache(ContiguousCache&&) = default;
  ContiguousCache& operator=(ContiguousCache&&) = default;
  ContiguousCache clone() const {
    ContiguousCache copy(*this);
    tell(copy.watch_, Copied{0, length(0), memory().used_bytes});
    return copy;
  }

  /// Without making it. Errors: those of the constructor; a text that never fits.
  static CachePlan plan(int length, CacheShape shape, int capacity = 0, const typename Rows::Options& options = {}) {
    check_sizes(shape, capacity);
    checked_slots(Growth::name, length);
    const RowSizes<Rows> sizes(shape, options);
    const auto layers = [&](std::size_t bytes) {
      return bytes_product(Growth::name, {std::size_t(shape.layers), bytes});
    };
    int slots = capacity > 0 ? sizes.slots(capacity) : 0;
    CachePlan plan{.first_bytes = layers(sizes.reserved_bytes(slots)), .saved_kind = saved_kind(sizes.format(), shape)};
    while (slots < length) slots = sizes.slots(Growth::room(slots, Growth::is_exact ? length : slots + 1));
    plan.memory.used_bytes = layers(sizes.used_bytes(length));
    plan.memory.reserved_bytes = layers(sizes.reserved_bytes(slots));
    return plan;
  }

  CacheShape shape() const { return shape_; }
  int length(int layer) const { return detail::length_at(length_, layer); }
  int slots(int layer) const { return detail::at_layer(rows_, layer).slots(); }
  int chunk_limit([[maybe_unused]] int layer) const {
    if constexpr (GroupedRows<Rows>)
      return detail::at_layer(rows_, layer).chunk_limit(length(layer));
    else
      return unlimited;
  }

  void append(int layer, int first_position, MatrixIn<Scalar> keys, MatrixIn<Scalar> values) {
    check_append(Growth::name, *this, layer, first_position, keys, values);
    Rows& rows = detail::at_layer(rows_, layer);
    const int needed = first_position + int(keys.rows());
    make_room(layer, needed);
    if constexpr (GroupedRows<Rows>) {
      const int packed = rows.packed();
      rows.write(first_position, keys, values);
      if (rows.packed() > packed) tell(watch_, Packed{layer, packed, rows.packed() - packed});
    } else {
      rows.write(first_position, keys, values);
    }
    length_[std::size_t(layer)] = needed;
  }
  template <class Visitor>
  void for_each_block(int layer, int kv_head, Visitor&& visit) const {
    const int rows = length(layer);
    if (rows > 0) visit(rows_[std::size_t(layer)].block(kv_head, /*first slot*/ 0, rows, /*first position*/ 0));
  }
  std::vector<StoragePiece> pieces(int layer) const requires GroupedRows<Rows> {
    const int packed = std::min(length(layer), detail::at_layer(rows_, layer).packed());
    if (packed == 0) return {};
    return {{.kind = StoragePiece::Kind::packed, .first_slot = 0, .slots = packed}};
  }
  /// Errors: no room for so many more, where the cache does not grow.
  void prepare(int tokens) {
    for (int l = 0; l < int(rows_.size()); ++l)  // all are asked before one changes
      Growth::room(rows_[std::size_t(l)].slots(), slots_sum(Growth::name, length(l), tokens));
    for (int l = 0; l < int(rows_.size()); ++l) make_room(l, length(l) + tokens);
  }
  bool keeps_every_token() const { return true; }
  /// Errors: those of check_rewind.
  void rewind(int length) {
    check_rewind(Growth::name, *this, length);
    forget_from(length, Reason::rewound);
  }
  int least_rewind() const {
    int least = 0;
    if constexpr (GroupedRows<Rows>)
      for (std::size_t l = 0; l < rows_.size(); ++l) least = std::max(least, std::min(rows_[l].packed(), length_[l]));
    return least;
  }
  void clear() { forget_from(0, Reason::cleared); }

  /// How much room there is for more tokens is not part of it: each of the three loads what another has saved.
  void save(ByteWriter& to) const requires SavableRows<Rows> {
    const int length = detail::begin_save(to, *this, saved_kind());
    for (const Rows& layer : rows_)
      if constexpr (GroupedRows<Rows>)
        layer.save(length, to);
      else
        detail::save_rows(layer, 0, length, to);
  }
  void load(ByteReader& from) requires SavableRows<Rows> {
    detail::load_or_clear(*this, [&] {
      const int length = detail::begin_load(from, saved_kind());
      for (std::size_t l = 0; l < rows_.size(); ++l) {
        Rows& layer = rows_[l];
        if constexpr (GroupedRows<Rows>) {
          layer.load(length, Growth::room(layer.slots(), length), from);
        } else {
          from.check_left(std::size_t(length), layer.bytes_per_slot());
          if (const int room = Growth::room(layer.slots(), length); room != layer.slots()) layer.resize(room, 0);
          detail::load_rows(layer, 0, length, from);
        }
        length_[l] = length;
      }
    });
  }

  MemoryUse memory() const {
    MemoryUse memory;
    for (std::size_t l = 0; l < rows_.size(); ++l) {
      memory.used_bytes += used_bytes(rows_[l], length_[l]);
      memory.reserved_bytes += reserved_bytes(rows_[l]);
    }
    memory.copied_bytes = copied_bytes_;
    return memory;
  }

 private:
  ContiguousCache(const ContiguousCache&) = default;  // only for clone(): a copy must be asked for by name
  static void check_sizes(CacheShape shape, int capacity) {
    check_shape(Growth::name, shape);
    check(capacity >= 0, Growth::name, ": room for ", capacity, " tokens asked for; at least 0 are needed");
    checked_slots(Growth::name, capacity);
  }
  static std::string saved_kind(const std::string& format, CacheShape shape) {
    return detail::saved_kind(format, shape, "every token in one piece");
  }
  std::string saved_kind() const { return saved_kind(detail::at_layer(rows_, 0).format(), shape_); }
  /// Of layer `l`, for `needed` tokens.
  void make_room(int l, int needed) {
    Rows& rows = rows_[std::size_t(l)];
    const int room = Growth::room(rows.slots(), needed), kept = length_[std::size_t(l)];
    if (room == rows.slots()) return;
    rows.resize(room, kept);
    const std::size_t moved = used_bytes(rows, kept);
    copied_bytes_ += moved;
    if (moved > 0) tell(watch_, Moved{l, kept, moved});
  }
  void forget_from(int first, Reason reason) {
    for (int l = 0; l < int(length_.size()); ++l) {
      int& tokens = length_[std::size_t(l)];
      if constexpr (Hears<Watch, Evicted>)
        for (int p = first; p < tokens; ++p) tell(watch_, Evicted{l, p, /*slot*/ p, reason});
      tokens = std::min(tokens, first);
    }
  }

  CacheShape shape_;
  std::vector<Rows> rows_;   // [layers]
  std::vector<int> length_;  // [layers]; in mid-step the layers differ
  std::size_t copied_bytes_ = 0;
  [[no_unique_address]] Watch watch_;
};

template <RowStore Rows = FloatRows<>, Observer Watch = NoObserver>
using ConcatenatingCache = ContiguousCache<Rows, GrowByCopy, Watch>;
template <RowStore Rows = FloatRows<>, Observer Watch = NoObserver>
using GrowingCache = ContiguousCache<Rows, GrowByDoubling, Watch>;
template <RowStore Rows = FloatRows<>, Observer Watch = NoObserver>
using PreallocatedCache = ContiguousCache<Rows, NeverGrow, Watch>;

static_assert(RewindableCache<ConcatenatingCache<>> && RewindableCache<GrowingCache<>> &&
              RewindableCache<PreallocatedCache<>> && SavableCache<GrowingCache<>>);

}  // namespace kvcache
