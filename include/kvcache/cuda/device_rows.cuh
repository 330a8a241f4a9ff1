// Row store: keys and values in device memory, for every policy that takes SlotRows. Policies are index arithmetic:
// they pass on the matrices they are given, here views of device memory, without looking inside.
#pragma once

#include <string>
#include <utility>

#include "kvcache/cache/check_slots.hpp"
#include "kvcache/core/checked_size.hpp"
#include "kvcache/cuda/block_table.cuh"
#include "kvcache/cuda/kernels/append.cuh"

namespace kvcache::cuda {

/// What rows are made with: how they are written, and the stream that writes them, which must outlive them.
struct DeviceOptions {
  DeviceFormat format = DeviceFormat::f32;
  Stream* stream = nullptr;
};

/// As FloatRows and PackedRows on the CPU: [kv_heads, slots, row], keys and values apart. Bytes per token and layer:
/// 2 * kv_heads * row_bytes.
class DeviceRows {
 public:
  using Scalar = float;
  using Block = DeviceBlock;
  using Options = DeviceOptions;

  /// Errors: no stream; a head_dim that is no multiple of 4, which the kernels read together.
  explicit DeviceRows(CacheShape shape, DeviceOptions options) : shape_(shape), options_(options) {
    check(options.stream != nullptr, "DeviceRows: no stream given; the rows are written by kernels in one");
    check(shape.head_dim % 4 == 0, "DeviceRows: head_dim is ", shape.head_dim,
          ", but the kernels read 4 numbers at a time; it must be a multiple of 4");
  }

  // Errors of all that follow: slots that are not there (cache/check_slots.hpp).
  void resize(int slots, int keep) {
    check_resize("DeviceRows", slots_, slots, keep);
    const std::size_t bytes = bytes_product(
        "DeviceRows", {std::size_t(checked_slots("DeviceRows", slots)), std::size_t(shape_.kv_heads), row()});
    DeviceMemory<unsigned char> keys(bytes), values(bytes);  // if memory ran out, nothing has changed
    for (int head = 0; keep > 0 && head < shape_.kv_heads; ++head)
      for (const auto& [to, from] : {std::pair{&keys, &keys_}, std::pair{&values, &values_}})
        move(to->data() + std::size_t(head) * std::size_t(slots) * row(), from->data() + offset(head, 0), keep);
    keys_ = std::move(keys), values_ = std::move(values), slots_ = slots;
  }
  /// keys, values: views of device memory, [tokens, kv_heads * head_dim].
  void write(int first_slot, MatrixIn<float> keys, MatrixIn<float> values) {
    check_write("DeviceRows", shape_, slots_, first_slot, keys, values);
    for_format(options_.format, [&](auto format) {
      options_.stream->launch(write_rows<decltype(format)>, dim3(unsigned(keys.rows()), unsigned(shape_.kv_heads), 2),
                              dim3(32), 0, side_of(keys, keys_), side_of(values, values_), shape_.head_dim, first_slot,
                              offset(1, 0));
    });
  }
  void copy(int from, int to, int slots) {
    check_copy("DeviceRows", slots_, from, to, slots);
    for (int head = 0; head < shape_.kv_heads; ++head)
      for (auto* side : {&keys_, &values_})
        move(side->data() + offset(head, to), side->data() + offset(head, from), slots);
  }
  Block block(int /*kv_head*/, int first_slot, int rows, Positions positions) const {
    check_slots("DeviceRows", slots_, first_slot, rows);
    return {{keys_.data(), values_.data(), offset(1, 0), row(), options_.format}, first_slot, rows, positions};
  }
  /// Slots to pinned host memory, when it is the stream's turn: keys [kv_heads, slots, row], then values; and back.
  void save(int first_slot, int slots, unsigned char* pinned, const Stream& stream) const {
    check_slots("DeviceRows", slots_, first_slot, slots);
    const std::size_t width = std::size_t(slots) * row(), heads = std::size_t(shape_.kv_heads);
    for (const auto* side : {&keys_, &values_}) {
      check_cuda(cudaMemcpy2DAsync(pinned, width, side->data() + offset(0, first_slot), offset(1, 0), width, heads,
                                   cudaMemcpyDeviceToHost, stream.handle()),
                 "copying rows to the host");
      pinned += width * heads;
    }
  }
  void load(int first_slot, int slots, const unsigned char* pinned, const Stream& stream) {
    check_slots("DeviceRows", slots_, first_slot, slots);
    const std::size_t width = std::size_t(slots) * row(), heads = std::size_t(shape_.kv_heads);
    for (auto* side : {&keys_, &values_}) {
      check_cuda(cudaMemcpy2DAsync(side->data() + offset(0, first_slot), offset(1, 0), pinned, width, width, heads,
                                   cudaMemcpyHostToDevice, stream.handle()),
                 "copying rows to the device");
      pinned += width * heads;
    }
  }
  int slots() const { return slots_; }
  std::size_t bytes_per_slot() const { return 2 * std::size_t(shape_.kv_heads) * row(); }

 private:
  static Side side_of(const MatrixIn<float>& rows, DeviceMemory<unsigned char>& to) {
    return {rows.data(), int(rows.outerStride()), to.data()};
  }
  std::size_t row() const { return row_bytes(options_.format, shape_.head_dim); }
  std::size_t offset(int head, int slot) const {
    return (std::size_t(head) * std::size_t(slots_) + std::size_t(slot)) * row();
  }
  void move(unsigned char* to, const unsigned char* from, int slots) const {
    check_cuda(
        cudaMemcpyAsync(to, from, std::size_t(slots) * row(), cudaMemcpyDeviceToDevice, options_.stream->handle()),
        "moving rows");
  }

  CacheShape shape_;
  DeviceOptions options_;
  int slots_ = 0;
  DeviceMemory<unsigned char> keys_, values_;
};

static_assert(SlotRows<DeviceRows> && !StorableRows<DeviceRows>);

}  // namespace kvcache::cuda
