// Rows of a cache that lie in a GPU's memory, as the host speaks of them. Plain C++: no CUDA is needed to hold them.
#pragma once

#include <cstddef>

#include "kvcache/cache/concept.hpp"

namespace kvcache::cuda {

/// How a row is written in device memory: as in cache/rows/row_format.hpp.
enum class DeviceFormat { f32, f16, int8 };

/// Where the rows of one layer lie: those of head h and slot s at `h * head_bytes + s * row_bytes`, keys and values
/// apart. Addresses are the device's.
struct RowStorage {
  const unsigned char *keys = nullptr, *values = nullptr;
  std::size_t head_bytes = 0, row_bytes = 0;
  DeviceFormat format = DeviceFormat::f32;
  bool operator==(const RowStorage&) const = default;
};

/// A run of slots of a layer. The host places it and never reads it. Slot s lies at row `base + s` of the storage: not
/// 0 where several layers share one.
struct DeviceBlock {
  using Scalar = float;
  RowStorage storage;
  int first_slot = 0, count = 0;
  Positions positions = 0;
  int position_gap = 0;
  int base = 0;

  int rows() const { return count; }
  int first_row() const { return base + first_slot; }
  DeviceBlock slice(int first, int rows) const {
    return {storage, first_slot + first, rows, positions.from(first), position_gap, base};
  }
  int position(int row) const { return positions[row]; }
  int slot(int row) const { return first_slot + row; }
  /// How many rows from this one on stand at neighbouring positions: what a kernel can be told in one piece.
  int neighbours(int row) const {
    if (positions.stored == nullptr) return count - row;
    int next = row + 1;
    while (next < count && position(next) == position(next - 1) + 1) ++next;
    return next - row;
  }
};

static_assert(KeyValueBlock<DeviceBlock> && !HostBlock<DeviceBlock>);

}  // namespace kvcache::cuda
