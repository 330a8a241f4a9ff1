// A cache that tells what happens to it: it wraps another, passes every call on, and notes what changed.
#pragma once

#include <utility>
#include <vector>

#include "kvcache/cache/concept.hpp"
#include "kvcache/observe/cache_event.hpp"
#include "kvcache/observe/layout.hpp"

namespace kvcache {

/// Which token lies in which slot, as the blocks that attention reads tell it, and as kv head 0 sees it: the caches of
/// this library keep the same tokens in the same slots for every head of a layer.
template <KeyValueCache Cache>
LayerLayout layout_of(const Cache& cache, int layer) {
  LayerLayout layout{cache.slots(layer), {}};
  cache.for_each_block(layer, /*kv head*/ 0, [&](const auto& block) {
    for (int r = 0; r < block.rows(); ++r) {
      const SlotRun row{block.slot(r), block.position(r), 1};
      SlotRun* last = layout.runs.empty() ? nullptr : &layout.runs.back();
      if (last && row.first_slot == last->first_slot + last->rows &&
          row.first_position == last->first_position + last->rows)
        ++last->rows;
      else
        layout.runs.push_back(row);
    }
  });
  return layout;
}

/// Itself a cache like the one within. It watches from outside, through the blocks that attention reads, so any cache
/// can be traced and none pays for it when nobody looks.
template <KeyValueCache Cache>
class TracedCache {
 public:
  using Block = typename Cache::Block;
  using Scalar = typename Cache::Scalar;

  explicit TracedCache(Cache cache) : cache_(std::move(cache)) {
    for (int l = 0; l < cache_.shape().layers; ++l) layouts_.push_back(layout_of(cache_, l));
  }
  TracedCache clone() const {
    TracedCache copy(cache_.clone());
    copy.events_ = events_;
    return copy;
  }

  /// Which token lies in which slot now.
  const LayerLayout& layout(int layer) const { return layouts_[std::size_t(layer)]; }
  /// What happened since this was last asked, in order.
  std::vector<CacheEvent> take_events() { return std::exchange(events_, {}); }
  const Cache& inner() const { return cache_; }

  CacheShape shape() const { return cache_.shape(); }
  int length(int layer) const { return cache_.length(layer); }
  int slots(int layer) const { return cache_.slots(layer); }
  int chunk_limit(int layer) const { return cache_.chunk_limit(layer); }
  void append(int layer, int first_position, MatrixIn<Scalar> keys, MatrixIn<Scalar> values) {
    const std::size_t copied = cache_.memory().copied_bytes;
    cache_.append(layer, first_position, keys, values);
    const LayerLayout before = look(layer);
    if (const std::size_t bytes = cache_.memory().copied_bytes - copied; bytes > 0)
      events_.push_back({CacheEvent::Kind::moved, layer, 0, before.rows(), bytes});
    note_forgotten(layer, before);
  }
  template <class Visitor>
  void for_each_block(int layer, int kv_head, Visitor&& visit) const {
    cache_.for_each_block(layer, kv_head, visit);
  }
  MemoryUse memory() const { return cache_.memory(); }
  bool learns() const requires LearningCache<Cache> { return cache_.learns(); }
  void learn(int layer, int kv_head, MatrixIn<Scalar> weights) requires LearningCache<Cache> {
    cache_.learn(layer, kv_head, weights);
  }
  int reach() const requires BoundedCache<Cache> { return cache_.reach(); }
  bool shifts_positions() const requires BoundedCache<Cache> { return cache_.shifts_positions(); }
  void rewind(int length) requires RewindableCache<Cache> {
    cache_.rewind(length);
    for (int l = 0; l < shape().layers; ++l) note_forgotten(l, look(l));
  }
  void clear() {
    cache_.clear();
    for (int l = 0; l < shape().layers; ++l) {
      const int rows = look(l).rows();
      if (rows > 0) events_.push_back({CacheEvent::Kind::cleared, l, 0, rows, 0});
    }
  }

 private:
  /// Returns the layout from before.
  LayerLayout look(int layer) { return std::exchange(layouts_[std::size_t(layer)], layout_of(cache_, layer)); }
  /// One event for each run of neighbours that `before` held and the cache does not hold any more.
  void note_forgotten(int layer, const LayerLayout& before) {
    const LayerLayout& now = layout(layer);
    if (now.runs.size() == 1 && before.runs.size() == 1 && now.runs[0].rows >= before.runs[0].rows &&
        now.runs[0].first_position == before.runs[0].first_position)
      return;  // the usual case
    bool is_open = false;
    for (const SlotRun& run : before.runs)
      for (int p = run.first_position; p < run.first_position + run.rows; ++p) {
        const bool is_gone = now.slot_of(p) < 0;
        if (is_gone && is_open && events_.back().first_position + events_.back().rows == p)
          ++events_.back().rows;
        else if (is_gone)
          events_.push_back({CacheEvent::Kind::forgotten, layer, p, 1, 0});
        is_open = is_gone;
      }
  }

  Cache cache_;
  std::vector<LayerLayout> layouts_;  // [layers]
  std::vector<CacheEvent> events_;
};

}  // namespace kvcache
