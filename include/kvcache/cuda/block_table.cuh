// The blocks of a cache as a table that a kernel walks: whatever the policy, attention on the device is one kernel.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "kvcache/cuda/device_block.hpp"
#include "kvcache/cuda/device_memory.cuh"

namespace kvcache::cuda {

/// Some rows that lie in neighbouring slots and stand at neighbouring positions. They are rows first_row and on of the
/// table, up to the next run's.
struct Run {
  int first_row, first_slot, first_position;
  int position_gap;  // not 0: these rows are read by the queries that were turned back by so much
  bool operator==(const Run&) const = default;
};

/// What a kernel gets: runs in the order of visiting, and where the rows lie.
struct Table {
  const Run* runs;  // [count], in device memory
  int count, rows;
  RowStorage storage;
};

/// A row of the table, found.
struct Place {
  int slot, position;
  bool is_turned;
};
/// Walks the table: rows are asked for in ascending order, so the next one is in this run or soon after.
class TableWalk {
 public:
  __device__ explicit TableWalk(const Table& table) : table_(table) {}
  __device__ Place at(int row) {
    while (run_ + 1 < table_.count && table_.runs[run_ + 1].first_row <= row) ++run_;
    const Run& run = table_.runs[run_];
    const int inside = row - run.first_row;
    return {run.first_slot + inside, run.first_position + inside, run.position_gap != 0};
  }
  /// Jumps to the run of a row: halves the table until it is found, for a thread that begins far inside.
  __device__ void jump_to(int row) {
    int low = 0, high = table_.count;
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      (table_.runs[middle].first_row <= row ? low : high) = middle;
    }
    run_ = low;
  }

 private:
  const Table& table_;
  int run_ = 0;
};

/// Collects the blocks of a layer, and sends them to the device if they are others than those of the layer before:
/// mostly one copy a step.
class BlockTable {
 public:
  /// Errors: blocks that lie in different storages, or are shifted by different gaps: no policy here does that.
  template <KeyValueCache Cache>
  Table collect(const Cache& cache, int layer) {
    now_.clear();
    Table table{nullptr, 0, 0, {}};
    gap_ = 0;
    cache.for_each_block(layer, /*kv head*/ 0, [&](const DeviceBlock& block) {
      check(table.rows == 0 || block.storage == table.storage, "BlockTable: blocks of layer ", layer,
            " lie in different storages; the kernel walks one");
      check(gap_ == 0 || block.position_gap == 0 || block.position_gap == gap_, "BlockTable: blocks of layer ", layer,
            " are shifted by ", gap_, " and by ", block.position_gap, " positions; the kernel knows one gap");
      for (int row = 0, next; row < block.count; row = next) {
        next = row + block.neighbours(row);
        now_.push_back({table.rows + row, block.first_row() + row, block.position(row), block.position_gap});
      }
      gap_ = std::max(gap_, block.position_gap);
      table.rows += block.count;
      table.storage = block.storage;
    });
    if (now_ != sent_) {
      runs_.upload(now_);
      sent_ = now_;
    }
    table.runs = runs_(now_.size()), table.count = int(now_.size());
    return table;
  }
  /// By how much the shifted blocks of the last table are; 0: none is.
  int gap() const { return gap_; }

 private:
  std::vector<Run> now_, sent_;
  DeviceRoom<Run> runs_;
  int gap_ = 0;
};

}  // namespace kvcache::cuda
