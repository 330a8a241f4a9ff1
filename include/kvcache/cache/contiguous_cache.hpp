// Policies: keep every token in one piece of memory. The three differ in one line: how much room there is for the next.
#pragma once

#include <algorithm>
#include <vector>

#include "kvcache/cache/check_append.hpp"
#include "kvcache/cache/concept.hpp"
#include "kvcache/cache/rows/float_rows.hpp"

namespace kvcache {

/// Room for exactly what is needed: every token copies everything before it, as torch.cat does. The idea as first
/// written down; n tokens copy n (n - 1) / 2 rows.
struct GrowByCopy {
  static constexpr const char* name = "ConcatenatingCache";
  static int room(int /*slots*/, int needed) { return needed; }
};
/// As std::vector: fewer than two copies per row in the long run, for at most twice the memory.
struct GrowByDoubling {
  static constexpr const char* name = "GrowingCache";
  static int room(int slots, int needed) { return needed <= slots ? slots : std::max(needed, 2 * slots); }
};
/// All memory at the start; rows never move, and a full cache is an error.
struct NeverGrow {
  static constexpr const char* name = "PreallocatedCache";
  static int room(int slots, int needed) {
    if (needed <= slots) return slots;
    fail("PreallocatedCache: token ", needed, " does not fit in ", slots,
         " slots; build it with a larger capacity, or rewind or clear it");
  }
};

/// Token p lies in slot p, so positions need no storage and used_bytes is the formula of cache/shape.hpp exactly.
template <RowStore Rows, class Growth>
class ContiguousCache {
 public:
  using Block = typename Rows::Block;
  using Scalar = typename Rows::Scalar;

  /// Room for `capacity` tokens in every layer from the start. Errors: sizes below 1, a negative capacity.
  explicit ContiguousCache(CacheShape shape, int capacity = 0) : shape_(shape) {
    check(shape.layers > 0 && shape.kv_heads > 0 && shape.head_dim > 0 && capacity >= 0, Growth::name, ": ",
          shape.layers, " layers, ", shape.kv_heads, " kv heads of ", shape.head_dim, " and room for ", capacity,
          " tokens asked for; the first three must be at least 1, the last at least 0");
    rows_.assign(std::size_t(shape.layers), Rows(shape));
    length_.assign(std::size_t(shape.layers), 0);
    if (capacity > 0)
      for (Rows& layer : rows_) layer.resize(capacity, 0);
  }
  ContiguousCache(ContiguousCache&&) = default;
  ContiguousCache& operator=(ContiguousCache&&) = default;
  ContiguousCache clone() const { return *this; }

  CacheShape shape() const { return shape_; }
  int length(int layer) const { return length_[std::size_t(layer)]; }
  int slots(int layer) const { return rows_[std::size_t(layer)].slots(); }
  int chunk_limit(int /*layer*/) const { return unlimited; }

  void append(int layer, int first_position, MatrixIn<Scalar> keys, MatrixIn<Scalar> values) {
    check_append(Growth::name, *this, layer, first_position, keys, values);
    Rows& rows = rows_[std::size_t(layer)];
    const int needed = first_position + int(keys.rows());
    if (const int room = Growth::room(rows.slots(), needed); room != rows.slots()) {
      rows.resize(room, first_position);
      copied_bytes_ += std::size_t(first_position) * rows.bytes_per_slot();
    }
    rows.write(first_position, keys, values);
    length_[std::size_t(layer)] = needed;
  }
  template <class Visitor>
  void for_each_block(int layer, int kv_head, Visitor&& visit) const {
    const int rows = length(layer);
    if (rows > 0) visit(rows_[std::size_t(layer)].block(kv_head, /*first slot*/ 0, rows, /*first position*/ 0));
  }
  void rewind(int length) {
    check(length >= 0, Growth::name, ": rewind to ", length, " tokens asked for; at least 0 must stay");
    for (int& tokens : length_) tokens = std::min(tokens, length);
  }
  void clear() { rewind(0); }

  MemoryUse memory() const {
    MemoryUse memory;
    for (std::size_t l = 0; l < rows_.size(); ++l) {
      memory.used_bytes += std::size_t(length_[l]) * rows_[l].bytes_per_slot();
      memory.reserved_bytes += std::size_t(rows_[l].slots()) * rows_[l].bytes_per_slot();
    }
    memory.copied_bytes = copied_bytes_;
    return memory;
  }

 private:
  ContiguousCache(const ContiguousCache&) = default;  // only for clone(): a copy must be asked for by name
  CacheShape shape_;
  std::vector<Rows> rows_;   // [layers]
  std::vector<int> length_;  // [layers]; in mid-step the layers differ
  std::size_t copied_bytes_ = 0;
};

template <RowStore Rows = FloatRows<>>
using ConcatenatingCache = ContiguousCache<Rows, GrowByCopy>;
template <RowStore Rows = FloatRows<>>
using GrowingCache = ContiguousCache<Rows, GrowByDoubling>;
template <RowStore Rows = FloatRows<>>
using PreallocatedCache = ContiguousCache<Rows, NeverGrow>;

static_assert(RewindableCache<ConcatenatingCache<>> && RewindableCache<GrowingCache<>> &&
              RewindableCache<PreallocatedCache<>>);

}  // namespace kvcache
