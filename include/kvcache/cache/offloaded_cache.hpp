// Policy: keep every token, the newest blocks of them in memory, the older ones in a file.
// Sheng et al., "FlexGen: High-Throughput Generative Inference of Large Language Models with a Single GPU", 2023.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <vector>

#include "kvcache/cache/cache_plan.hpp"
#include "kvcache/cache/check_append.hpp"
#include "kvcache/cache/concept.hpp"
#include "kvcache/cache/observer.hpp"
#include "kvcache/cache/rows/float_rows.hpp"
#include "kvcache/cache/saved_cache.hpp"
#include "kvcache/cache/storage_piece.hpp"
#include "kvcache/core/slow_memory.hpp"

namespace kvcache {

struct OffloadOptions {
  int block = 64;     // tokens that go to the file together
  int recent = 4;     // blocks that stay in memory
  bool cold = false;  // before each step the system forgets what it has of the file: every read waits for the disk
};

/// Token p lies in slot p % (recent * block) of memory while its block is one of the newest; then its block is written
/// to the file as it is, and read there: the logits are, bit for bit, those of a cache with the same blocks in memory.
template <StorableRows Rows = FloatRows<>, Observer Watch = NoObserver>
class OffloadedCache {
 public:
  using Block = typename Rows::Block;
  using Scalar = typename Rows::Scalar;

  /// Errors: sizes below 1; fewer than 1 token a block or 1 block in memory, or more than most_slots in memory; no
  /// temporary file can be made.
  explicit OffloadedCache(CacheShape shape, OffloadOptions offload = {}, typename Rows::Options options = {},
                          Watch watch = {})
      : shape_(shape),
        offload_(checked(offload, shape)),
        rows_(std::size_t(shape.layers), Rows(shape, options)),
        layers_(std::size_t(shape.layers)),
        slow_(bytes_product("OffloadedCache", {std::size_t(shape.layers), layer_bytes()})),
        watch_(watch) {
    for (Rows& layer : rows_) layer.resize(ring(), 0);
  }
  OffloadedCache(OffloadedCache&&) = default;
  OffloadedCache& operator=(OffloadedCache&&) = default;
  OffloadedCache clone() const {
    OffloadedCache copy(*this, Copy{});
    for (int i = 0; i < slow_.regions(); ++i) {
      copy.slow_.grow();
      std::memcpy(copy.slow_.region(i), slow_.region(i), slow_.region_bytes());
    }
    tell(copy.watch_, Copied{0, length(0), memory().used_bytes});
    return copy;
  }

  /// Without making it, or a file. Errors: those of the constructor.
  static CachePlan plan(int length, CacheShape shape, OffloadOptions offload = {},
                        const typename Rows::Options& options = {}) {
    checked(offload, shape);
    const RowSizes<Rows> sizes(shape, options);
    const auto layers = [&](std::size_t bytes) {
      return bytes_product("OffloadedCache", {std::size_t(shape.layers), bytes});
    };
    const int blocks = length / offload.block + (length % offload.block > 0);
    const std::size_t in_file = std::size_t(std::max(0, blocks - offload.recent));
    const std::size_t block_bytes = layers(sizes.reserved_bytes(offload.block));
    CachePlan plan{.first_bytes = layers(sizes.reserved_bytes(offload.block * offload.recent)),
                   .saved_kind = saved_kind(sizes.format(), shape, offload)};
    plan.memory.used_bytes = layers(sizes.used_bytes(length));
    plan.memory.slow_bytes = bytes_product("OffloadedCache", {in_file, block_bytes});
    plan.memory.reserved_bytes =
        bytes_sum("OffloadedCache", plan.first_bytes,
                  bytes_product("OffloadedCache", {in_file, SlowMemory::whole_pages(block_bytes)}));
    return plan;
  }

  CacheShape shape() const { return shape_; }
  int length(int layer) const { return layers_.empty() ? 0 : at(layer).length; }
  int slots(int layer) const { return offload_.block * (first_in_memory(layer) + offload_.recent); }
  int chunk_limit(int /*layer*/) const { return unlimited; }

  void append(int layer, int first_position, MatrixIn<Scalar> keys, MatrixIn<Scalar> values) {
    check_append("OffloadedCache", *this, layer, first_position, keys, values);
    detail::at_layer(layers_, layer);
    tell_traffic(layer);
    if (offload_.cold && layer == 0)
      for (int b = 0; b < slow_.regions(); ++b) slow_.drop(b);
    const int size = offload_.block, end = first_position + int(keys.rows());
    for (int position = first_position, next; position < end; position = next) {
      next = std::min(end, (position / size + 1) * size);    // one block at a time
      const int oldest = position / size - offload_.recent;  // its place in memory is needed now
      if (oldest >= first_in_memory(layer)) write_out(layer, oldest);
      const auto part = [&](const MatrixIn<Scalar>& side) {
        return in(side.middleRows(position - first_position, next - position));
      };
      rows_[std::size_t(layer)].write(position % ring(), part(keys), part(values));
      layers_[std::size_t(layer)].length = next;
    }
  }
  template <class Visitor>
  void for_each_block(int layer, int kv_head, Visitor&& visit) const {
    const bool is_counted = !OnlyLooking::here();
    const Layer& l = at(layer);
    const int size = offload_.block, in_file = first_in_memory(layer), blocks = (l.length + size - 1) / size;
    for (int b = 0; b < blocks; ++b) {
      const int rows = std::min(size, l.length - b * size);
      const bool is_hit = b >= in_file;
      if (is_counted) (is_hit ? l.traffic->hits : l.traffic->misses).fetch_add(1, std::memory_order_relaxed);
      if (b + 1 < in_file) slow_.read_ahead(b + 1, std::size_t(layer) * layer_bytes(), layer_bytes());
      Block block = is_hit ? rows_[std::size_t(layer)].block(kv_head, b * size % ring(), rows, b * size)
                           : rows_[std::size_t(layer)].saved_block(saved(layer, b), size, kv_head, 0, rows, b * size);
      block.first_slot = b * size;
      visit(block);
    }
  }
  std::vector<StoragePiece> pieces(int layer) const {
    if (first_in_memory(layer) == 0) return {};
    return {{.kind = StoragePiece::Kind::in_file, .first_slot = 0, .slots = first_in_memory(layer) * offload_.block}};
  }
  /// Errors: no room in the file, as on a full disk.
  void prepare(int tokens) {
    const int end = slots_sum("OffloadedCache", length(0), tokens), size = offload_.block;
    const int in_file = end / size + (end % size > 0) - offload_.recent;
    while (slow_.regions() < in_file) slow_.grow();
  }
  bool keeps_every_token() const { return true; }
  /// Errors: those of check_rewind.
  void rewind(int length) {
    check_rewind("OffloadedCache", *this, length);
    forget_from(length, Reason::rewound);
  }
  int least_rewind() const { return 0; }
  void clear() { forget_from(0, Reason::cleared); }

  /// In the order of the text, wherever a block lies.
  void save(ByteWriter& to) const {
    detail::begin_save(to, *this, saved_kind());
    for (int l = 0; l < shape_.layers; ++l)
      for (int b = 0, size = offload_.block; b * size < length(l); ++b)
        if (b < first_in_memory(l))
          to.bytes({saved(l, b), layer_bytes()});
        else
          detail::save_rows(rows_[std::size_t(l)], b * size % ring(), std::min(size, length(l) - b * size), to);
  }
  /// The newest blocks go to memory, the older ones to the file, as if the text had just been read.
  void load(ByteReader& from) {
    detail::load_or_clear(*this, [&] {
      const int length = detail::begin_load(from, saved_kind()), size = offload_.block;
      from.check_left(std::size_t(length), std::size_t(shape_.layers) * rows_[0].bytes_per_slot());
      const int in_file = std::max(0, (length + size - 1) / size - offload_.recent);
      while (slow_.regions() < in_file) slow_.grow();
      for (int l = 0; l < shape_.layers; ++l) {
        for (int b = 0; b < in_file; ++b) std::ranges::copy(from.bytes(layer_bytes()), saved(l, b));
        for (int first = in_file * size; first < length; first += size)
          detail::load_rows(rows_[std::size_t(l)], first % ring(), std::min(size, length - first), from);
        layers_[std::size_t(l)].length = length, layers_[std::size_t(l)].in_file = in_file;
      }
    });
  }

  /// Blocks that attention read since the beginning, and bytes of them that came from the file. [counted]
  struct Traffic {
    std::int64_t hits, misses;
    std::size_t bytes;
  };
  Traffic traffic() const {
    Traffic sum{0, 0, 0};
    for (const Layer& layer : layers_) sum.hits += layer.traffic->hits, sum.misses += layer.traffic->misses;
    if (!rows_.empty()) sum.bytes = std::size_t(sum.misses) * layer_bytes() / std::size_t(shape_.kv_heads);
    return sum;
  }
  MemoryUse memory() const {
    MemoryUse memory;
    for (int l = 0; l < int(layers_.size()); ++l) {
      memory.used_bytes += used_bytes(rows_[0], length(l));
      memory.slow_bytes += std::size_t(first_in_memory(l)) * layer_bytes();
      memory.reserved_bytes += reserved_bytes(rows_[std::size_t(l)]);
    }
    memory.reserved_bytes += std::size_t(slow_.regions()) * slow_.region_bytes();
    return memory;
  }

 private:
  struct Counts {
    std::atomic<std::int64_t> hits = 0, misses = 0, told_hits = 0, told_misses = 0;
  };
  struct Layer {
    int length = 0, in_file = 0;  // tokens; blocks
    std::unique_ptr<Counts> traffic = std::make_unique<Counts>();
  };
  struct Copy {};
  OffloadedCache(const OffloadedCache& other, Copy)
      : shape_(other.shape_),
        offload_(other.offload_),
        rows_(other.rows_),
        layers_(other.layers_.size()),
        slow_(other.slow_.region_bytes()),
        watch_(other.watch_) {
    for (std::size_t l = 0; l < layers_.size(); ++l)
      layers_[l].length = other.layers_[l].length, layers_[l].in_file = other.layers_[l].in_file;
  }

  static OffloadOptions checked(OffloadOptions offload, CacheShape shape) {
    check_shape("OffloadedCache", shape);
    check(offload.block >= 1 && offload.recent >= 1, "OffloadedCache: blocks of ", offload.block, " tokens, ",
          offload.recent, " of them in memory, asked for; each must be at least 1");
    slots_product("OffloadedCache, tokens of a block and blocks in memory", offload.block, offload.recent);
    return offload;
  }
  static std::string saved_kind(const std::string& format, CacheShape shape, OffloadOptions offload) {
    return detail::saved_kind(format, shape, "blocks of ", offload.block, " tokens, ", offload.recent,
                              " in memory and the others in a file");
  }
  std::string saved_kind() const { return saved_kind(detail::at_layer(rows_, 0).format(), shape_, offload_); }
  const Layer& at(int layer) const { return detail::at_layer(layers_, layer); }
  int ring() const { return offload_.block * offload_.recent; }
  int first_in_memory(int layer) const { return at(layer).in_file; }
  std::size_t layer_bytes() const { return std::size_t(offload_.block) * rows_[0].bytes_per_slot(); }
  std::byte* saved(int layer, int block) const { return slow_.region(block) + std::size_t(layer) * layer_bytes(); }

  /// The oldest block in memory goes to the file.
  void write_out(int layer, int block) {
    if (slow_.regions() <= block) slow_.grow();
    rows_[std::size_t(layer)].save(block * offload_.block % ring(), offload_.block, saved(layer, block));
    layers_[std::size_t(layer)].in_file = block + 1;
  }
  void forget_from(int first, Reason reason) {
    for (int l = 0; l < int(layers_.size()); ++l) {
      Layer& layer = layers_[std::size_t(l)];
      if constexpr (Hears<Watch, Evicted>)
        for (int p = first; p < layer.length; ++p) tell(watch_, Evicted{l, p, /*slot*/ p, reason});
      layer.length = std::min(layer.length, first);
      // The next token goes to memory: so must what stands before it in its block.
      const int block = layer.length / offload_.block;
      if (block >= layer.in_file) continue;
      rows_[std::size_t(l)].load(block * offload_.block % ring(), offload_.block, saved(l, block));
      layer.in_file = block;
    }
  }
  void tell_traffic(int layer) {
    if constexpr (Hears<Watch, Fetched>) {
      Counts& c = *layers_[std::size_t(layer)].traffic;
      const int hits = int(c.hits - c.told_hits), misses = int(c.misses - c.told_misses);
      if (hits + misses == 0) return;
      c.told_hits = c.hits.load(), c.told_misses = c.misses.load();
      tell(watch_, Fetched{layer, hits, misses, std::size_t(misses) * layer_bytes() / std::size_t(shape_.kv_heads)});
    }
  }

  CacheShape shape_;
  OffloadOptions offload_;
  std::vector<Rows> rows_;  // [layers], a ring of recent * block slots
  std::vector<Layer> layers_;
  SlowMemory slow_;  // region b: block b of every layer, as saved
  [[no_unique_address]] Watch watch_;
};

static_assert(RewindableCache<OffloadedCache<>> && SavableCache<OffloadedCache<>>);

}  // namespace kvcache
