// A cache that tells what happens to it: it wraps another, passes every call on, and notes what changed.
#pragma once

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "kvcache/cache/concept.hpp"
#include "kvcache/cache/observer.hpp"
#include "kvcache/cache/passes_on.hpp"
#include "kvcache/cache/storage_piece.hpp"
#include "kvcache/core/check.hpp"
#include "kvcache/observe/cache_event.hpp"
#include "kvcache/observe/layout.hpp"

namespace kvcache {

/// Which token lies in which slot, as the blocks that attention reads tell it, and as kv head 0 sees it: the caches of
/// this library keep the same tokens in the same slots for every head of a layer.
template <KeyValueCache Cache>
LayerLayout layout_of(const Cache& cache, int layer) {
  const OnlyLooking here;
  LayerLayout layout{cache.slots(layer), {}};
  if constexpr (PiecedCache<Cache>) layout.pieces = cache.pieces(layer);
  cache.for_each_block(layer, /*kv head*/ 0, [&](const auto& block) {
    for (int r = 0; r < block.rows(); ++r) {
      const SlotRun row{block.slot(r), block.position(r), 1, block.position_gap};
      SlotRun* last = layout.runs.empty() ? nullptr : &layout.runs.back();
      if (last && row.first_slot == last->first_slot + last->rows &&
          row.first_position == last->first_position + last->rows && row.position_gap == last->position_gap)
        ++last->rows;
      else
        layout.runs.push_back(row);
    }
  });
  return layout;
}

/// Itself a cache like the one within. What is kept, it sees from outside, through the blocks that attention reads: so
/// any cache can be traced and none pays for it when nobody looks. Why something happened only the policy knows: a
/// cache that is made with the observer it is given tells that too.
template <KeyValueCache Cache>
class TracedCache : public PassesOn<TracedCache<Cache>, Cache> {
 public:
  using typename PassesOn<TracedCache, Cache>::Block, typename PassesOn<TracedCache, Cache>::Scalar;
  using PassesOn<TracedCache, Cache>::shape;

  explicit TracedCache(Cache cache) : TracedCache(std::move(cache), std::make_shared<Heard>()) {}
  /// `make(MaybeObserver)` makes the cache, such as [&](auto watch) { return make_cache("window", shape, 0, watch); }.
  template <std::invocable<MaybeObserver> Make>
  explicit TracedCache(Make&& make) : TracedCache(std::make_shared<Heard>(), make) {}
  TracedCache clone() const {
    const Listening here(heard());
    TracedCache copy(cache_.clone(), heard_);
    heard().events.clear();
    copy.events_ = events_, copy.first_kept_ = first_kept_, copy.written_ = written_;
    return copy;
  }
  /// A second text, traced too. It begins without events.
  TracedCache fork() const requires ForkableCache<Cache> {
    const Listening here(heard());
    TracedCache other(cache_.fork(), heard_);
    heard().events.clear();
    return other;
  }
  /// Of the cache within: another text, which is not traced, and may outlive this. That pages are shared now is an
  /// event of this one; what happens to the other is not.
  Cache fork_within() requires ForkableCache<Cache> {
    const Listening here(heard());
    Cache other = cache_.fork();
    note_heard(0);
    look_at_all();
    return other;
  }

  /// Which token lies in which slot now.
  const LayerLayout& layout(int layer) const { return layouts_[std::size_t(layer)]; }
  /// What happened since this was last asked, in order.
  std::vector<CacheEvent> take_events() { return std::exchange(events_, {}); }
  const Cache& inner() const { return cache_; }

  // What is not passed on as it is.
  void append(int layer, int first_position, MatrixIn<Scalar> keys, MatrixIn<Scalar> values) {
    const Listening here(heard());
    const std::size_t copied = cache_.memory().copied_bytes;
    cache_.append(layer, first_position, keys, values);
    const LayerLayout before = look(layer);
    const std::size_t told = note_heard(layer);
    if (const std::size_t bytes = cache_.memory().copied_bytes - copied; bytes > told)
      events_.push_back({CacheEvent::Kind::moved, layer, 0, before.rows(), bytes - told});
    note_forgotten(layer, before);
    keep_written(layer, first_position, keys, values);
  }
  void prepare(int tokens) requires PreparableCache<Cache> {
    const Listening here(heard());
    const std::size_t copied = cache_.memory().copied_bytes;
    cache_.prepare(tokens);
    std::vector<int> grown;  // layers that got another storage, and moved to it
    for (int l = 0; l < int(layouts_.size()); ++l)
      if (cache_.slots(l) != layout(l).slots && layout(l).rows() > 0) grown.push_back(l);
    const std::size_t told = note_heard(0), bytes = cache_.memory().copied_bytes - copied;
    if (bytes > told && grown.empty()) events_.push_back({CacheEvent::Kind::moved, 0, 0, layout(0).rows(), bytes - told});
    for (const int l : grown)  // alike: between steps all hold the same tokens
      events_.push_back({CacheEvent::Kind::moved, l, 0, layout(l).rows(), (bytes - told) / grown.size()});
    look_at_all();
  }
  /// From now on, rows of the tokens at `position` and on are kept as they are given to append(), before the cache
  /// writes them in its format. What was kept before is dropped.
  void keep_written_from(int position) {
    first_kept_ = position;
    written_.assign(std::size_t(shape().layers), {});
  }
  struct Written {
    std::vector<Scalar> keys, values;  // [tokens, kv_heads, head_dim], of the tokens kept so far
  };
  const Written& written(int layer) const { return written_[std::size_t(layer)]; }
  void rewind(int length) requires RewindableCache<Cache> {
    cache_.rewind(length);
    reasons_.clear();
    for (int l = 0; l < int(layouts_.size()); ++l) note_forgotten(l, look(l), name(Reason::rewound));
  }
  void load(ByteReader& from) requires SavableCache<Cache> {
    try {
      cache_.load(from);
    } catch (...) {
      look_at_all();  // it is empty now
      throw;
    }
    look_at_all();
  }
  void clear() {
    cache_.clear();
    for (int l = 0; l < int(layouts_.size()); ++l) {
      const int rows = look(l).rows();
      if (rows > 0) events_.push_back({CacheEvent::Kind::cleared, l, 0, rows, 0});
    }
  }

 private:
  friend PassesOn<TracedCache, Cache>;
  Cache& within() { return cache_; }
  const Cache& within() const { return cache_; }

  struct Heard {
    bool is_listening = false;
    std::vector<PolicyEvent> events;
    std::function<void(const PolicyEvent&)> listener = [this](const PolicyEvent& event) {
      if (is_listening) events.push_back(event);
    };
  };
  /// While one lives, what the policy tells is noted: a fork of the cache within tells the same listener about a text
  /// that is not traced.
  class Listening {
   public:
    explicit Listening(Heard& heard) : heard_(heard) { heard_.is_listening = true; }
    ~Listening() { heard_.is_listening = false; }
    Listening(const Listening&) = delete;
    Listening& operator=(const Listening&) = delete;

   private:
    Heard& heard_;
  };
  TracedCache(Cache cache, std::shared_ptr<Heard> heard) : heard_(std::move(heard)), cache_(std::move(cache)) {
    for (int l = 0; l < cache_.shape().layers; ++l) layouts_.push_back(layout_of(cache_, l));
    keep_written_from(std::numeric_limits<int>::max());
  }
  template <class Make>
  TracedCache(std::shared_ptr<Heard> heard, Make& make)
      : TracedCache(make(MaybeObserver{&heard->listener, heard}), heard) {}
  /// Errors: this cache was moved from.
  Heard& heard() const {
    check(heard_ != nullptr, "TracedCache: this cache was moved from; use the one that it was moved to");
    return *heard_;
  }

  void look_at_all() {
    for (int l = 0; l < shape().layers; ++l) look(l);
  }
  /// What the policy told since it was last asked, but evictions and moves, which are seen from outside. Returns the
  /// bytes that these events copied. (A policy for one layer of many calls it layer 0.)
  std::size_t note_heard(int layer) {
    using Kind = CacheEvent::Kind;
    std::size_t copied = 0;
    reasons_.clear();
    for (const PolicyEvent& event : std::exchange(heard().events, {})) {
      if (const auto* e = std::get_if<Evicted>(&event)) reasons_[e->position] = e->reason;
      if (const auto* e = std::get_if<Shared>(&event))
        events_.push_back({.kind = Kind::shared,
                           .layer = layer,
                           .first_position = e->first_position,
                           .rows = e->rows,
                           .references = e->references});
      if (const auto* e = std::get_if<Copied>(&event)) {
        events_.push_back({Kind::copied, layer, e->first_position, e->rows, e->bytes});
        copied += e->bytes;
      }
      if (const auto* e = std::get_if<Packed>(&event))
        events_.push_back({Kind::packed, layer, e->first_position, e->rows});
      if (const auto* e = std::get_if<Fetched>(&event))
        events_.push_back(
            {.kind = Kind::fetched, .layer = layer, .bytes = e->bytes, .hits = e->hits, .misses = e->misses});
    }
    return copied;
  }
  void keep_written(int layer, int first_position, MatrixIn<Scalar> keys, MatrixIn<Scalar> values) {
    Written& written = written_[std::size_t(layer)];
    for (Eigen::Index r = std::max(0, first_kept_ - first_position); r < keys.rows(); ++r) {
      written.keys.insert(written.keys.end(), at(keys, r, 0), at(keys, r, 0) + keys.cols());
      written.values.insert(written.values.end(), at(values, r, 0), at(values, r, 0) + values.cols());
    }
  }
  /// Returns the layout from before.
  LayerLayout look(int layer) { return std::exchange(layouts_[std::size_t(layer)], layout_of(cache_, layer)); }
  /// One event for each run of neighbours that `before` held and the cache does not hold any more, for one reason.
  void note_forgotten(int layer, const LayerLayout& before, const char* reason = "") {
    const LayerLayout& now = layout(layer);
    if (now.runs.size() == 1 && before.runs.size() == 1 && now.runs[0].rows >= before.runs[0].rows &&
        now.runs[0].first_position == before.runs[0].first_position)
      return;  // the usual case
    bool is_open = false;
    for (const SlotRun& run : before.runs)
      for (int p = run.first_position; p < run.first_position + run.rows; ++p) {
        const bool is_gone = now.slot_of(p) < 0;
        const auto told = reasons_.find(p);
        const std::string why = told == reasons_.end() ? reason : name(told->second);
        if (is_gone && is_open && events_.back().first_position + events_.back().rows == p &&
            events_.back().reason == why)
          ++events_.back().rows;
        else if (is_gone)
          events_.push_back({CacheEvent::Kind::forgotten, layer, p, 1, 0, why});
        is_open = is_gone;
      }
  }

  std::shared_ptr<Heard> heard_;  // filled within a call and emptied at its end, so a clone can share it; forks keep it
  Cache cache_;
  std::vector<LayerLayout> layouts_;  // [layers]
  std::map<int, Reason> reasons_;     // by position: why the last append evicted it
  std::vector<Written> written_;      // [layers]
  int first_kept_ = 0;                // position
  std::vector<CacheEvent> events_;
};

template <std::invocable<MaybeObserver> Make>
TracedCache(Make&&) -> TracedCache<std::invoke_result_t<Make, MaybeObserver>>;

}  // namespace kvcache
