// Policies with a budget: keep the most recent tokens and, of the older ones, those that a rule chooses.
// Zhang et al., "H2O: Heavy-Hitter Oracle for Efficient Generative Inference of Large Language Models", 2023.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "kvcache/cache/cache_plan.hpp"
#include "kvcache/cache/check_append.hpp"
#include "kvcache/cache/concept.hpp"
#include "kvcache/cache/observer.hpp"
#include "kvcache/cache/rows/float_rows.hpp"
#include "kvcache/cache/saved_cache.hpp"
#include "kvcache/core/random.hpp"

namespace kvcache {

/// The token that got the least attention from all later ones goes. All query heads of a layer vote, and the heads
/// agree on one table of slots a layer: so a layer is one picture. (The paper lets each head decide for itself.)
struct LeastAttended {
  static constexpr const char* name = "HeavyHitterCache";
  static constexpr bool learns = true;
  static constexpr Reason reason = Reason::least_attended;
  explicit LeastAttended(int /*layer*/) {}
  double score(double attention) { return attention; }
  std::uint64_t state() const { return 0; }
  void restore(std::uint64_t) {}
};
/// Chance decides: what the rule above must be better than.
struct ByLot {
  static constexpr const char* name = "RandomCache";
  static constexpr bool learns = false;
  static constexpr Reason reason = Reason::drawn_by_lot;
  explicit ByLot(int layer) : random(std::uint64_t(layer)) {}
  Random random;
  double score(double) { return random.uniform(); }
  std::uint64_t state() const { return random.state(); }
  void restore(std::uint64_t state) { random = Random(state); }
};

struct EvictionOptions {
  int budget = 256;  // tokens kept
  int recent = 128;  // of these, the newest always; the newest token among them
};

/// Slots [budget]. When all are taken, the slot of lowest score among tokens that are not recent is written over.
template <RowStore Rows, class Choice, Observer Watch = NoObserver>
class EvictingCache {
  static_assert(SlotRows<Rows>,
                "EvictingCache overwrites single slots, but these rows are packed in groups: use GrowingCache, or rows "
                "that stand alone (FloatRows, PackedRows)");

 public:
  using Block = typename Rows::Block;
  using Scalar = typename Rows::Scalar;

  /// Errors: sizes below 1; fewer than 1 recent token, or no room for others; a budget of more than most_slots.
  explicit EvictingCache(CacheShape shape, EvictionOptions eviction = {}, typename Rows::Options options = {},
                         Watch watch = {})
      : shape_(shape), eviction_(eviction), watch_(watch) {
    check_sizes(shape, eviction);
    const std::size_t budget = std::size_t(eviction.budget);
    for (int l = 0; l < shape.layers; ++l) {
      layers_.push_back({Rows(shape, options), std::vector<int>(budget), std::vector<double>(budget), Choice(l), 0});
      layers_.back().rows.resize(eviction.budget, 0);
    }
  }
  EvictingCache(EvictingCache&&) = default;
  EvictingCache& operator=(EvictingCache&&) = default;
  EvictingCache clone() const {
    EvictingCache copy(*this);
    tell(copy.watch_, Copied{0, std::min(length(0), eviction_.budget), memory().used_bytes});
    return copy;
  }

  /// Without making it. Errors: those of the constructor.
  static CachePlan plan(int length, CacheShape shape, EvictionOptions eviction = {},
                        const typename Rows::Options& options = {}) {
    check_sizes(shape, eviction);
    const RowSizes<Rows> sizes(shape, options);
    const auto layers = [&](std::size_t bytes) {
      return bytes_product(Choice::name, {std::size_t(shape.layers), bytes});
    };
    CachePlan plan{.saved_kind = saved_kind(sizes.format(), shape, eviction)};
    plan.memory.used_bytes = layers(sizes.used_bytes(std::min(length, eviction.budget)));
    plan.memory.reserved_bytes = layers(sizes.reserved_bytes(eviction.budget));
    plan.memory.bookkeeping_bytes = layers(std::size_t(eviction.budget) * (sizeof(int) + sizeof(double)));
    plan.first_bytes = plan.memory.reserved_bytes + plan.memory.bookkeeping_bytes;
    return plan;
  }

  CacheShape shape() const { return shape_; }
  int length(int layer) const { return layers_.empty() ? 0 : at(layer).length; }
  int slots(int /*layer*/) const { return eviction_.budget; }
  int chunk_limit(int layer) const { return std::max(1, eviction_.budget - length(layer)); }
  bool learns() const { return Choice::learns; }

  void append(int l, int first_position, MatrixIn<Scalar> keys, MatrixIn<Scalar> values) {
    check_append(Choice::name, *this, l, first_position, keys, values);
    Layer& layer = detail::at_layer(layers_, l);
    const int tokens = int(keys.rows()), slot = layer.length < eviction_.budget ? layer.length : least(layer);
    const int evicted = layer.length < eviction_.budget ? -1 : layer.positions[std::size_t(slot)];
    layer.rows.write(slot, keys, values);
    for (int t = 0; t < tokens; ++t) {
      layer.positions[std::size_t(slot + t)] = first_position + t;
      layer.attention[std::size_t(slot + t)] = 0;
    }
    layer.length += tokens;
    if (evicted >= 0) tell(watch_, Evicted{l, evicted, slot, Choice::reason});
  }
  template <class Visitor>
  void for_each_block(int layer, int kv_head, Visitor&& visit) const {
    if (length(layer) == 0) return;
    const Layer& l = at(layer);
    visit(l.rows.block(kv_head, /*first slot*/ 0, kept(l), l.positions.data()));
  }
  /// Adds up what each row got, over queries and heads.
  void learn(int layer, int /*kv_head*/, MatrixIn<Scalar> weights) requires(Choice::learns) {
    std::vector<double>& attention = detail::at_layer(layers_, layer).attention;
    for (Eigen::Index slot = 0; slot < weights.cols(); ++slot)
      attention[std::size_t(slot)] += double(weights.col(slot).sum());
  }
  void clear() {
    for (int l = 0; l < int(layers_.size()); ++l) {
      Layer& layer = layers_[std::size_t(l)];
      if constexpr (Hears<Watch, Evicted>)
        for (int slot = 0; slot < kept(layer); ++slot)
          tell(watch_, Evicted{l, layer.positions[std::size_t(slot)], slot, Reason::cleared});
      layer.length = 0, layer.choice = Choice(l);
    }
  }

  /// Slot by slot, with what decides who goes next: positions, attention, the state of chance.
  void save(ByteWriter& to) const requires SavableRows<Rows> {
    detail::begin_save(to, *this, saved_kind());
    for (const Layer& layer : layers_) {
      const std::size_t kept = std::size_t(this->kept(layer));
      to.number(layer.choice.state());
      to.bytes(std::as_bytes(std::span(layer.positions).first(kept)));
      to.bytes(std::as_bytes(std::span(layer.attention).first(kept)));
      detail::save_rows(layer.rows, 0, int(kept), to);
    }
  }
  void load(ByteReader& from) requires SavableRows<Rows> {
    detail::load_or_clear(*this, [&] {
      const int length = detail::begin_load(from, saved_kind()), kept = std::min(length, eviction_.budget);
      for (Layer& layer : layers_) {
        layer.choice.restore(from.number<std::uint64_t>());
        for (int slot = 0; slot < kept; ++slot) layer.positions[std::size_t(slot)] = from.number<int>();
        for (int slot = 0; slot < kept; ++slot) layer.attention[std::size_t(slot)] = from.number<double>();
        check_positions(std::span(layer.positions).first(std::size_t(kept)), length, from.name());
        detail::load_rows(layer.rows, 0, kept, from);
        layer.length = length;
      }
    });
  }

  MemoryUse memory() const {
    MemoryUse memory;
    for (const Layer& layer : layers_) {
      memory.used_bytes += used_bytes(layer.rows, kept(layer));
      memory.reserved_bytes += reserved_bytes(layer.rows);
      memory.bookkeeping_bytes += layer.positions.size() * sizeof(int) + layer.attention.size() * sizeof(double);
    }
    return memory;
  }

 private:
  struct Layer {
    Rows rows;
    std::vector<int> positions;     // [budget], of the token in each slot
    std::vector<double> attention;  // [budget] that it got so far
    Choice choice;
    int length;  // tokens ever appended
  };
  EvictingCache(const EvictingCache&) = default;  // only for clone()
  static void check_sizes(CacheShape shape, EvictionOptions eviction) {
    check_shape(Choice::name, shape);
    check(eviction.recent >= 1 && eviction.budget > eviction.recent, Choice::name, ": a budget of ", eviction.budget,
          " tokens with ", eviction.recent, " recent ones asked for; the budget must exceed the recent tokens, of ",
          "which there is at least 1");
    checked_slots(Choice::name, eviction.budget);
  }
  static std::string saved_kind(const std::string& format, CacheShape shape, EvictionOptions eviction) {
    return detail::saved_kind(format, shape, Choice::name, " of ", eviction.budget, " tokens, ", eviction.recent,
                              " of them recent");
  }
  std::string saved_kind() const { return saved_kind(at(0).rows.format(), shape_, eviction_); }
  static void check_positions(std::span<const int> positions, int length, const std::string& where) {
    std::vector<int> sorted(positions.begin(), positions.end());
    std::ranges::sort(sorted);
    check(std::ranges::adjacent_find(sorted) == sorted.end() &&
              (sorted.empty() || (sorted.front() >= 0 && sorted.back() < length)),
          where, ": the saved slots do not hold ", positions.size(), " different tokens of a text of ", length,
          "; the bytes are broken");
  }
  const Layer& at(int layer) const { return detail::at_layer(layers_, layer); }
  int kept(const Layer& layer) const { return std::min(layer.length, eviction_.budget); }
  /// The slot to write over: of the token with the lowest score among those that will not be recent with the next.
  int least(Layer& layer) const {
    int least = -1;
    double lowest = 0;
    for (int slot = 0; slot < eviction_.budget; ++slot) {
      if (layer.length - layer.positions[std::size_t(slot)] < eviction_.recent) continue;
      const double score = layer.choice.score(layer.attention[std::size_t(slot)]);
      if (least < 0 || score < lowest) least = slot, lowest = score;
    }
    return least;
  }

  CacheShape shape_;
  EvictionOptions eviction_;
  std::vector<Layer> layers_;
  [[no_unique_address]] Watch watch_;
};

template <RowStore Rows = FloatRows<>, Observer Watch = NoObserver>
using HeavyHitterCache = EvictingCache<Rows, LeastAttended, Watch>;
template <RowStore Rows = FloatRows<>, Observer Watch = NoObserver>
using RandomCache = EvictingCache<Rows, ByLot, Watch>;

static_assert(LearningCache<HeavyHitterCache<>> && SavableCache<HeavyHitterCache<>> && SavableCache<RandomCache<>> &&
              !LearningCache<RandomCache<>>);

}  // namespace kvcache
