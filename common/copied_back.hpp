// Rows of a cache on a device, for whoever looks at them on the CPU: the bytes of a block are copied back when its
// products are asked for, and read there as any block of the same format.
#pragma once

#include <span>
#include <type_traits>
#include <vector>

#include "common/device_model.hpp"
#include "kvcache/cache/rows/packed_rows.hpp"

namespace kvcache {

/// A block on the device, read on the CPU.
struct CopiedBlock : cuda::DeviceBlock {
  const DeviceModel* device;
  int kv_head, head_dim;

  CopiedBlock slice(int first, int rows) const {
    return {cuda::DeviceBlock::slice(first, rows), device, kv_head, head_dim};
  }
  void score(MatrixIn<float> queries, MatrixOut<float> scores) const {
    const auto bytes = fetch(storage.keys, 0, count);
    detail::score_rows(queries, run(bytes), scores);
  }
  void accumulate(MatrixIn<float> weights, MatrixOut<float> output) const {
    const auto bytes = fetch(storage.values, 0, count);
    detail::accumulate_rows(weights, run(bytes), output);
  }
  void key_codes(int row, RowCodes& to) const { run(fetch(storage.keys, row, 1)).codes(0, to); }
  void value_codes(int row, RowCodes& to) const { run(fetch(storage.values, row, 1)).codes(0, to); }

 private:
  std::vector<std::byte> fetch(const unsigned char* side, int row, int rows) const {
    std::vector<std::byte> bytes(std::size_t(rows) * storage.row_bytes);
    device->copy_back(
        side + std::size_t(kv_head) * storage.head_bytes + std::size_t(first_row() + row) * storage.row_bytes, bytes);
    return bytes;
  }
  detail::PackedRun run(const std::vector<std::byte>& bytes) const {
    const RowFormat& format = storage.format == cuda::DeviceFormat::f32   ? row_formats::f32
                              : storage.format == cuda::DeviceFormat::f16 ? row_formats::f16
                                                                       : row_formats::int8;
    return {bytes.data(), &format, int(bytes.size() / storage.row_bytes), head_dim};
  }
};

static_assert(HostBlock<CopiedBlock>);

/// A view of a cache on a device. It is what rows_to_read() of observe/traced_decoding.hpp reads instead of the cache.
template <class Cache>
class CopiedBack {
 public:
  using Block = CopiedBlock;
  using Scalar = float;
  CopiedBack(const DeviceModel& device, const Cache& cache) : device_(device), cache_(cache) {}
  CacheShape shape() const { return cache_.shape(); }
  void for_each_block(int layer, int kv_head, auto&& visit) const {
    cache_.for_each_block(layer, kv_head, [&](const cuda::DeviceBlock& block) {
      visit(CopiedBlock{block, &device_, kv_head, shape().head_dim});
    });
  }

 private:
  const DeviceModel& device_;
  const Cache& cache_;
};
template <class Cache>
CopiedBack<Cache> rows_to_read(const DeviceModel& device, const Cache& cache) {
  return {device, cache};
}

}  // namespace kvcache
