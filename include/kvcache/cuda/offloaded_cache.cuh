// Policy: keep every token, the newest blocks of every layer in device memory, the older ones in the host's. While one
// layer is computed, a second stream brings back the older blocks of the next.
// Sheng et al., "FlexGen: High-Throughput Generative Inference of Large Language Models with a Single GPU", 2023.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "kvcache/cache/check_append.hpp"
#include "kvcache/cache/observer.hpp"
#include "kvcache/cache/storage_piece.hpp"
#include "kvcache/cuda/device_rows.cuh"

namespace kvcache::cuda {

struct DeviceOffload {
  int block = 64;  // tokens that leave together
  int recent = 4;  // blocks of each layer that stay
};

/// One row store for all layers, so that one kernel reads it all: for each layer a ring of `recent` blocks, then two
/// rooms, each for the older blocks of one layer. Attention of layer l reads one room while the copying stream fills
/// the other for layer l + 1. Device memory: layers * recent * block + 2 * (older tokens of a layer) slots.
template <Observer Watch = NoObserver>
class DeviceOffloadedCache {
 public:
  using Block = DeviceBlock;
  using Scalar = float;

  /// Errors: sizes below 1; fewer than 1 token a block or 1 block that stays, or more than most_slots that stay; those
  /// of DeviceRows.
  explicit DeviceOffloadedCache(CacheShape shape, DeviceOffload offload, DeviceOptions options, Watch watch = {})
      : shape_(shape),
        offload_(checked(offload, shape)),
        stream_(options.stream),
        rows_(shape, options),
        layers_(std::size_t(shape.layers)),
        watch_(watch) {
    rows_.resize(first_room(), 0);
  }
  DeviceOffloadedCache(DeviceOffloadedCache&&) = default;
  DeviceOffloadedCache& operator=(DeviceOffloadedCache&&) = default;
  ~DeviceOffloadedCache() {
    if (copies_) cudaStreamSynchronize(copies_->handle());  // before the memory goes that it copies from and to
  }
  DeviceOffloadedCache clone() const {
    finish();
    return DeviceOffloadedCache(*this, Copy{});
  }

  CacheShape shape() const { return shape_; }
  int length(int layer) const { return layers_.empty() ? 0 : at(layer).length; }
  int slots(int layer) const { return offload_.block * (at(layer).in_host + offload_.recent); }
  int chunk_limit(int /*layer*/) const { return unlimited; }

  void append(int layer, int first_position, MatrixIn<float> keys, MatrixIn<float> values) {
    check_append("DeviceOffloadedCache", *this, layer, first_position, keys, values);
    const int size = offload_.block, end = first_position + int(keys.rows());
    for (int position = first_position, next; position < end; position = next) {
      next = std::min(end, (position / size + 1) * size);    // one block at a time
      const int oldest = position / size - offload_.recent;  // its place is needed now
      if (oldest >= at(layer).in_host) move_out(layer, oldest);
      const auto part = [&](const MatrixIn<float>& side) {
        return in(side.middleRows(position - first_position, next - position));
      };
      rows_.write(in_ring(layer, position), part(keys), part(values));
      layers_[std::size_t(layer)].length = next;
    }
  }
  /// Brings the older blocks of the layer to the device, if they are not on their way already. Blocks are valid for
  /// what the computing stream is asked to do before another layer is asked for; one thread may ask at a time.
  template <class Visitor>
  void for_each_block(int layer, int kv_head, Visitor&& visit) const {
    bring_back(layer);
    const int size = offload_.block, older = at(layer).in_host * size, length = at(layer).length;
    const auto visit_rows = [&](int row, int first, int count) {  // token p is in slot p, wherever that is now
      Block block = rows_.block(kv_head, first, count, first);
      block.base = row - first;
      visit(block);
    };
    if (older > 0) visit_rows(in_room(now_.room, 0), 0, older);
    for (int first = older; first < length; first += size)
      visit_rows(in_ring(layer, first), first, std::min(size, length - first));
  }
  std::vector<StoragePiece> pieces(int layer) const {
    if (at(layer).in_host == 0) return {};
    return {{.kind = StoragePiece::Kind::in_host, .first_slot = 0, .slots = at(layer).in_host * offload_.block}};
  }
  bool keeps_every_token() const { return true; }
  /// Errors: those of check_rewind.
  void rewind(int length) {
    check_rewind("DeviceOffloadedCache", *this, length);
    forget_from(length, Reason::rewound);
  }
  int least_rewind() const { return 0; }
  void clear() { forget_from(0, Reason::cleared); }

  /// Blocks that were copied to the host, and back, since the beginning. [counted]
  struct Traffic {
    long moved_out = 0, brought_back = 0, late = 0;  // late: not foreseen, so the kernels had to wait for the copy
    std::size_t block_bytes = 0;
  };
  Traffic traffic() const { return {counts_->moved_out, counts_->brought_back, counts_->late, block_bytes()}; }
  MemoryUse memory() const {
    MemoryUse memory;
    for (int l = 0; l < int(layers_.size()); ++l) {
      memory.used_bytes += std::size_t(length(l)) * rows_.bytes_per_slot();
      memory.slow_bytes += std::size_t(at(l).in_host) * block_bytes();
    }
    memory.reserved_bytes = std::size_t(rows_.slots()) * rows_.bytes_per_slot();
    for (const PinnedMemory& region : host_) memory.reserved_bytes += region.bytes();
    return memory;
  }

 private:
  struct Layer {
    int length = 0, in_host = 0;  // tokens; blocks
  };
  /// What a room holds: the first `blocks` blocks of a layer.
  struct Room {
    int layer = none, blocks = 0, room = 0;
  };
  static constexpr int none = -1;
  struct Copy {};
  DeviceOffloadedCache(const DeviceOffloadedCache& other, Copy)
      : shape_(other.shape_),
        offload_(other.offload_),
        stream_(other.stream_),
        rows_(other.rows_),
        layers_(other.layers_),
        room_blocks_(other.room_blocks_),
        watch_(other.watch_) {
    for (const PinnedMemory& region : other.host_) {
      host_.emplace_back(region.bytes());
      std::memcpy(host_.back().data(), region.data(), region.bytes());
    }
    tell(watch_, Copied{0, length(0), memory().used_bytes});
  }

  static DeviceOffload checked(DeviceOffload offload, CacheShape shape) {
    check_shape("DeviceOffloadedCache", shape);
    check(offload.block >= 1 && offload.recent >= 1, "DeviceOffloadedCache: blocks of ", offload.block, " tokens, ",
          offload.recent, " of them on the device, asked for; each must be at least 1");
    slots_product("DeviceOffloadedCache, layers and tokens that stay", shape.layers,
                  slots_product("DeviceOffloadedCache, tokens of a block and blocks", offload.block, offload.recent));
    return offload;
  }
  const Layer& at(int layer) const { return detail::at_layer(layers_, layer); }
  int ring() const { return offload_.block * offload_.recent; }
  int in_ring(int layer, int position) const { return layer * ring() + position % ring(); }
  int first_room() const { return shape_.layers * ring(); }
  int in_room(int room, int block) const { return first_room() + (room * room_blocks_ + block) * offload_.block; }
  std::size_t block_bytes() const { return std::size_t(offload_.block) * rows_.bytes_per_slot(); }
  unsigned char* host_place(int layer, int block) const {
    return host_[std::size_t(block)].data() + std::size_t(layer) * block_bytes();
  }

  /// The oldest block of the ring goes to the host, after all that reads it and before it is overwritten.
  void move_out(int layer, int block) {
    if (int(host_.size()) <= block) host_.emplace_back(std::size_t(shape_.layers) * block_bytes());
    if (block >= room_blocks_) make_rooms(std::max(2 * room_blocks_, block + 1));
    rows_.save(in_ring(layer, block * offload_.block), offload_.block, host_place(layer, block), *stream_);
    layers_[std::size_t(layer)].in_host = block + 1;
    ++counts_->moved_out;
  }
  void make_rooms(int blocks) {
    finish();
    const int room = slots_product("DeviceOffloadedCache, tokens of a block and older blocks", offload_.block, blocks);
    const int rooms = slots_product("DeviceOffloadedCache, two rooms of older tokens", 2, room);
    rows_.resize(slots_sum("DeviceOffloadedCache, newest and older tokens", first_room(), rooms), first_room());
    room_blocks_ = blocks;
  }
  /// Waits for all copies, and takes the rooms as empty.
  void finish() const {
    if (!copies_) return;  // this cache was moved from
    copies_->finish(), stream_->finish();
    now_ = next_ = {};
  }

  void bring_back(int layer) const {
    if (now_.layer != layer) {
      if (next_.layer != layer) copy_ahead(layer), counts_->late += next_.blocks;
      stream_->wait(*is_copied_);
      now_ = std::exchange(next_, {});
    }
    for (; now_.blocks < at(layer).in_host;
         ++now_.blocks, ++counts_->late)  // these left the ring after the room was filled
      copy_back(layer, now_.blocks, now_.room, *stream_);
    if (const int after = (layer + 1) % shape_.layers; after != layer && next_.layer != after) copy_ahead(after);
  }
  /// The copying stream fills the other room, once the kernels that read it, two layers ago, are done.
  void copy_ahead(int layer) const {
    next_ = {layer, at(layer).in_host, 1 - now_.room};
    stream_->record(*is_read_);
    copies_->wait(*is_read_);
    for (int b = 0; b < next_.blocks; ++b) copy_back(layer, b, next_.room, *copies_);
    copies_->record(*is_copied_);
  }
  void copy_back(int layer, int block, int room, const Stream& stream) const {
    rows_.load(in_room(room, block), offload_.block, host_place(layer, block), stream);
    ++counts_->brought_back;
  }

  void forget_from(int first, Reason reason) {
    finish();
    for (int l = 0; l < int(layers_.size()); ++l) {
      Layer& layer = layers_[std::size_t(l)];
      if constexpr (Hears<Watch, Evicted>)
        for (int p = first; p < layer.length; ++p) tell(watch_, Evicted{l, p, /*slot*/ p, reason});
      layer.length = std::min(layer.length, first);
      // The next token goes to the ring: so must what stands before it in its block.
      const int block = layer.length / offload_.block;
      if (block >= layer.in_host) continue;
      rows_.load(in_ring(l, block * offload_.block), offload_.block, host_place(l, block), *stream_);
      layer.in_host = block;
    }
  }

  std::unique_ptr<Stream> copies_ = Stream::independent();  // first: assignment lets it finish before memory goes
  CacheShape shape_;
  DeviceOffload offload_;
  Stream* stream_;
  std::unique_ptr<Event> is_read_ = std::make_unique<Event>(), is_copied_ = std::make_unique<Event>();
  mutable DeviceRows rows_;  // mutable, as are the next: to read a layer is to bring it
  mutable Room now_, next_;  // the room that is read, and the one that is being filled
  std::vector<Layer> layers_;
  int room_blocks_ = 0;
  std::vector<PinnedMemory> host_;  // region b: block b of every layer, as DeviceRows::save writes it
  struct Counts {
    long moved_out = 0, brought_back = 0, late = 0;
  };
  std::unique_ptr<Counts> counts_ = std::make_unique<Counts>();
  [[no_unique_address]] Watch watch_;
};

static_assert(RewindableCache<DeviceOffloadedCache<>>);

}  // namespace kvcache::cuda
