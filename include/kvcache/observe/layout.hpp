// Which token lies in which slot of a layer.
#pragma once

#include <vector>

#include "kvcache/cache/storage_piece.hpp"

namespace kvcache {

/// Tokens that follow each other both in the text and in storage: row i lies in slot first_slot + i and stands at
/// position first_position + i.
struct SlotRun {
  int first_slot = 0;
  int first_position = 0;
  int rows = 0;
  int position_gap = 0;  // they are read as if they stood so much later in the text: a window's shifted sinks
  bool operator==(const SlotRun&) const = default;
};

/// What one layer keeps, in the order in which attention reads it.
struct LayerLayout {
  int slots = 0;  // rows there is room for
  std::vector<SlotRun> runs;
  std::vector<StoragePiece> pieces = {};  // that the cache names: pages, sinks, blocks in a file
  bool operator==(const LayerLayout&) const = default;

  int rows() const {
    int sum = 0;
    for (const SlotRun& run : runs) sum += run.rows;
    return sum;
  }
  /// The run that holds a position; null: it is not kept.
  const SlotRun* run_of(int position) const {
    for (const SlotRun& run : runs)
      if (position >= run.first_position && position < run.first_position + run.rows) return &run;
    return nullptr;
  }
  /// The piece in which a slot lies; null: in none.
  const StoragePiece* piece_of(int slot) const {
    for (const StoragePiece& piece : pieces)
      if (slot >= piece.first_slot && slot < piece.first_slot + piece.slots) return &piece;
    return nullptr;
  }
  /// The slot in which a position lies; -1: it is not kept.
  int slot_of(int position) const {
    const SlotRun* run = run_of(position);
    return run ? run->first_slot + position - run->first_position : -1;
  }
  /// The position that lies in a slot; -1: none.
  int position_in(int slot) const {
    for (const SlotRun& run : runs)
      if (slot >= run.first_slot && slot < run.first_slot + run.rows) return run.first_position + slot - run.first_slot;
    return -1;
  }
};

}  // namespace kvcache
