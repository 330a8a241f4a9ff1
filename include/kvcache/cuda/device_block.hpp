// Rows of a cache that lie in a GPU's memory, as the host speaks of them. Plain C++: no CUDA is needed to hold them.
#pragma once

#include <cstddef>

#include "kvcache/cache/concept.hpp"

namespace kvcache::cuda {

/// How a row is written in device memory: as in cache/rows/row_format.hpp.
enum class RowFormat { f32, f16, int8 };

/// Where the rows of one layer lie: those of head h and slot s at `h * head_bytes + s * row_bytes`, keys and values
/// apart. Addresses are the device's.
struct RowStorage {
  const unsigned char *keys = nullptr, *values = nullptr;
  std::size_t head_bytes = 0, row_bytes = 0;
  RowFormat format = RowFormat::f32;
  bool operator==(const RowStorage&) const = default;
};

/// A run of slots of a layer. The host places it and never reads it. Slot s lies at row `base + s` of the storage: not
/// 0 where several layers share one.
struct DeviceBlock {
  using Scalar = float;
  RowStorage storage;
  int first_slot = 0, count = 0, first_position = 0;
  int position_gap = 0;
  int base = 0;

  int rows() const { return count; }
  int first_row() const { return base + first_slot; }
  DeviceBlock slice(int first, int rows) const {
    return {storage, first_slot + first, rows, first_position + first, position_gap, base};
  }
  int position(int row) const { return first_position + row; }
  int slot(int row) const { return first_slot + row; }
};

static_assert(KeyValueBlock<DeviceBlock> && !HostBlock<DeviceBlock>);

}  // namespace kvcache::cuda
