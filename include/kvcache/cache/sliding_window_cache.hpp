// Policy: keep the first few tokens (attention sinks) and the most recent ones.
// Beltagy et al., "Longformer", 2020 (the window); Xiao et al., "Efficient Streaming Language Models with Attention
// Sinks", 2023 (the sinks, and shifted positions).
#pragma once

#include <algorithm>
#include <vector>

#include "kvcache/cache/cache_plan.hpp"
#include "kvcache/cache/cache_spec.hpp"
#include "kvcache/cache/check_append.hpp"
#include "kvcache/cache/concept.hpp"
#include "kvcache/cache/observer.hpp"
#include "kvcache/cache/rows/float_rows.hpp"
#include "kvcache/cache/saved_cache.hpp"
#include "kvcache/cache/storage_piece.hpp"

namespace kvcache {

enum class SinkPositions {
  original,  // sinks stay where they were in the text
  shifted,   // sinks are read as if they stood right before the window, so no distance grows with the text
};

struct WindowOptions {
  int sinks = 4;
  int recent = 252;  // the newest token among them
  SinkPositions positions = SinkPositions::original;
};

/// As people write them: sinks=4,recent=252,positions=original.
inline WindowOptions window_of(CacheSpec& spec) {
  WindowOptions window;
  window.sinks = spec.number("sinks", window.sinks, 0), window.recent = spec.number("recent", window.recent, 1);
  if (spec.word("positions", "original", {"original", "shifted"}) == "shifted")
    window.positions = SinkPositions::shifted;
  return window;
}

/// Slots [sinks | a ring of `recent`]. Which token lies where follows from the length, so nothing else is stored.
template <RowStore Rows = FloatRows<>, Observer Watch = NoObserver>
class SlidingWindowCache {
  static_assert(SlotRows<Rows>,
                "SlidingWindowCache overwrites single slots, but these rows are packed in groups: use GrowingCache, or "
                "rows that stand alone (FloatRows, PackedRows)");

 public:
  using Block = typename Rows::Block;
  using Scalar = typename Rows::Scalar;

  /// Errors: sizes below 1; fewer than 0 sinks, fewer than 1 recent token; both together more than most_slots.
  explicit SlidingWindowCache(CacheShape shape, WindowOptions window = {}, typename Rows::Options options = {},
                              Watch watch = {})
      : shape_(shape), window_(window), watch_(watch) {
    const int slots = checked_slots_of(shape, window);
    rows_.assign(std::size_t(shape.layers), Rows(shape, options));
    length_.assign(std::size_t(shape.layers), 0);
    for (Rows& layer : rows_) layer.resize(slots, 0);
  }
  SlidingWindowCache(SlidingWindowCache&&) = default;
  SlidingWindowCache& operator=(SlidingWindowCache&&) = default;
  SlidingWindowCache clone() const {
    SlidingWindowCache copy(*this);
    tell(copy.watch_, Copied{std::max(0, length(0) - window_.recent), kept(0), memory().used_bytes});
    return copy;
  }

  /// Without making it. Errors: those of the constructor.
  static CachePlan plan(int length, CacheShape shape, WindowOptions window = {},
                        const typename Rows::Options& options = {}) {
    const int slots = checked_slots_of(shape, window);
    const RowSizes<Rows> sizes(shape, options);
    const auto layers = [&](std::size_t bytes) {
      return bytes_product("SlidingWindowCache", {std::size_t(shape.layers), bytes});
    };
    CachePlan plan{.first_bytes = layers(sizes.reserved_bytes(slots)),
                   .saved_kind = saved_kind(sizes.format(), shape, window)};
    plan.memory.used_bytes = layers(sizes.used_bytes(std::min(length, slots)));
    plan.memory.reserved_bytes = plan.first_bytes;
    return plan;
  }

  CacheShape shape() const { return shape_; }
  int length(int layer) const { return detail::length_at(length_, layer); }
  int slots(int /*layer*/) const { return window_.sinks + window_.recent; }
  int chunk_limit(int layer) const { return std::max(1, slots(layer) - length(layer)); }  // once full, one at a time
  bool shifts_positions() const { return window_.positions == SinkPositions::shifted; }
  int reach() const { return shifts_positions() || window_.sinks == 0 ? slots(0) : unlimited; }

  void append(int layer, int first_position, MatrixIn<Scalar> keys, MatrixIn<Scalar> values) {
    check_append("SlidingWindowCache", *this, layer, first_position, keys, values);
    detail::at_layer(rows_, layer).write(slot(first_position), keys, values);  // within chunk_limit() slots never wrap
    length_[std::size_t(layer)] += int(keys.rows());
    if constexpr (Hears<Watch, Evicted>)  // in a full ring, a token was written over the one `recent` before it
      for (int p = std::max(first_position, slots(layer)); p < length(layer); ++p)
        tell(watch_, Evicted{layer, p - window_.recent, slot(p), Reason::left_the_window});
  }
  template <class Visitor>
  void for_each_block(int layer, int kv_head, Visitor&& visit) const {
    const int length = this->length(layer), oldest = oldest_recent(layer), forgotten = oldest - window_.sinks;
    const int wrap = oldest + window_.recent - forgotten % window_.recent;  // the first after the ring's end
    const auto visit_positions = [&](int first, int end, int gap) {
      if (first >= end) return;
      Block block = rows_[std::size_t(layer)].block(kv_head, slot(first), end - first, first);
      block.position_gap = gap;
      visit(block);
    };
    visit_positions(0, std::min(length, window_.sinks), shifts_positions() ? forgotten : 0);
    visit_positions(oldest, std::min(length, wrap), 0);
    visit_positions(wrap, length, 0);
  }
  std::vector<StoragePiece> pieces(int /*layer*/) const {
    if (window_.sinks == 0) return {};
    return {{.kind = StoragePiece::Kind::sinks, .first_slot = 0, .slots = window_.sinks}};
  }
  void clear() {
    if constexpr (Hears<Watch, Evicted>)
      for (int l = 0; l < int(length_.size()); ++l)
        for (int p = 0; p < length(l); ++p)
          if (p < window_.sinks || p >= oldest_recent(l)) tell(watch_, Evicted{l, p, slot(p), Reason::cleared});
    std::ranges::fill(length_, 0);
  }

  /// Slot by slot: the ring begins where it did.
  void save(ByteWriter& to) const requires SavableRows<Rows> {
    detail::begin_save(to, *this, saved_kind());
    for (const Rows& layer : rows_) detail::save_rows(layer, 0, kept(0), to);
  }
  void load(ByteReader& from) requires SavableRows<Rows> {
    detail::load_or_clear(*this, [&] {
      const int length = detail::begin_load(from, saved_kind());
      for (Rows& layer : rows_) detail::load_rows(layer, 0, std::min(length, slots(0)), from);
      std::ranges::fill(length_, length);
    });
  }

  MemoryUse memory() const {
    MemoryUse memory;
    for (int l = 0; l < int(rows_.size()); ++l) {
      memory.used_bytes += used_bytes(rows_[std::size_t(l)], kept(l));
      memory.reserved_bytes += reserved_bytes(rows_[std::size_t(l)]);
    }
    return memory;
  }

 private:
  SlidingWindowCache(const SlidingWindowCache&) = default;  // only for clone()
  static int checked_slots_of(CacheShape shape, WindowOptions window) {
    check_shape("SlidingWindowCache", shape);
    check(window.sinks >= 0 && window.recent >= 1, "SlidingWindowCache: ", window.sinks, " sinks and ", window.recent,
          " recent tokens asked for; at least 0 and 1 are needed, or a token could not see itself");
    return slots_sum("SlidingWindowCache, sinks and recent tokens", window.sinks, window.recent);
  }
  static std::string saved_kind(const std::string& format, CacheShape shape, WindowOptions window) {
    const bool shifts = window.positions == SinkPositions::shifted;
    return detail::saved_kind(format, shape, "a window of ", window.sinks, " sinks and ", window.recent,
                              shifts ? " recent tokens, positions shifted" : " recent tokens");
  }
  std::string saved_kind() const { return saved_kind(detail::at_layer(rows_, 0).format(), shape_, window_); }
  int kept(int layer) const { return std::min(length(layer), slots(layer)); }
  int oldest_recent(int layer) const { return std::max(window_.sinks, length(layer) - window_.recent); }
  int slot(int position) const {
    return position < window_.sinks ? position : window_.sinks + (position - window_.sinks) % window_.recent;
  }

  CacheShape shape_;
  WindowOptions window_;
  std::vector<Rows> rows_;   // [layers]
  std::vector<int> length_;  // [layers] tokens ever appended
  [[no_unique_address]] Watch watch_;
};

static_assert(BoundedCache<SlidingWindowCache<>> && SavableCache<SlidingWindowCache<>> &&
              !RewindableCache<SlidingWindowCache<>>);

}  // namespace kvcache
