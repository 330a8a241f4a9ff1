// Attention over any cache whose rows lie on the device: which kernel, cut how.
#pragma once

#include <algorithm>

#include "kvcache/cuda/kernels/prefill_attention.cuh"
#include "kvcache/cuda/kernels/rope.cuh"

namespace kvcache::cuda {

/// The widest head that the kernels hold in registers.
inline constexpr int widest_head = 256;

/// Calls what(integral_constant) with the smallest of 1, 2, 4, 8 that is at least n; 8 if none is.
template <class What>
void for_size(int n, What&& what) {
  if (n <= 1) return what(std::integral_constant<int, 1>{});
  if (n <= 2) return what(std::integral_constant<int, 2>{});
  if (n <= 4) return what(std::integral_constant<int, 4>{});
  what(std::integral_constant<int, 8>{});
}

/// Queries of some tokens in device memory: token t's head h at numbers + t * stride + h * head_dim. `turned`: the
/// same, turned back for rows with a gap; null if the table has none.
struct Queries {
  const float *numbers, *turned;
  int tokens, first_position, stride;
};

/// A text is split into so many parts that all blocks are on the device at once, and leave none of it idle. But no part
/// has fewer rows than part_rows.
inline constexpr int part_rows = 64;
inline int attention_blocks() {
  int multiprocessors = 0;
  check_cuda(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0), "asking for a device");
  return resident_blocks(4) * multiprocessors;
}

/// Owns the work space of attention.
class DeviceAttention {
 public:
  explicit DeviceAttention(int blocks = attention_blocks(), int part_rows = cuda::part_rows) : blocks_(blocks), part_rows_(part_rows) {}

  /// output [tokens, q_heads * head_dim], in device memory.
  void attend(const Queries& queries, const Table& table, AttentionShape shape, float* output, Stream& stream) {
    for_format(table.storage.format, [&](auto row) {
      for_size((shape.head_dim + 31) / 32, [&](auto wide) {
        using Row = decltype(row);
        constexpr int size = decltype(wide)::value;
        if (queries.tokens == 1)
          decode<Row, size>(queries, table, shape, output, stream);
        else
          stream.launch(attend_tiles<Row, size>, dim3(pieces(queries.tokens, tile_queries), unsigned(shape.q_heads)),
                        dim3(tile_queries * 32), prefill_bytes(shape.head_dim), queries.numbers, queries.turned,
                        queries.stride, table, shape, queries.tokens, queries.first_position, output);
      });
    });
  }

 private:
  template <class Row, int fours>
  void decode(const Queries& queries, const Table& table, AttentionShape shape, float* output, Stream& stream) {
    const int shared_by = shape.q_heads / shape.kv_heads;
    const int splits = std::clamp(blocks_ / shape.kv_heads, 1, int(pieces(table.rows, part_rows_)));
    float *state = state_(std::size_t(shape.q_heads * splits * 2)),
          *sums = sums_(std::size_t(shape.q_heads) * std::size_t(splits) * std::size_t(shape.head_dim));
    const auto split = [&](auto heads) {  // more than 4 heads would not fit in a thread's registers
      constexpr int group = decltype(heads)::value;
      stream.launch(attend_split<Row, fours, group>,
                    dim3(unsigned(splits), unsigned(shape.kv_heads), pieces(shared_by, group)), dim3(split_warps * 32),
                    split_bytes(group, shape.head_dim), queries.numbers, queries.turned, table, shape, state, sums);
    };
    if (shared_by == 1)
      split(std::integral_constant<int, 1>{});
    else
      split(std::integral_constant<int, 4>{});
    stream.launch(merge_splits<128>, dim3(unsigned(shape.q_heads)), dim3(128), 0, static_cast<const float*>(state),
                  static_cast<const float*>(sums), splits, shape.head_dim, output);
  }

  int blocks_, part_rows_;
  DeviceRoom<float> state_, sums_;
};

}  // namespace kvcache::cuda
