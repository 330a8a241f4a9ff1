// Kernel: new keys and values go to the slots that the policy chose. A warp writes one row, in the cache's format.
#pragma once

#include "kvcache/cuda/row_formats.cuh"

namespace kvcache::cuda {

/// Rows [tokens, kv_heads * head_dim], `stride` numbers from token to token, and where a cache has all its keys, or all
/// its values.
struct Side {
  const float* rows;
  int stride;
  unsigned char* to;
};

/// Row (token, head) is written to slot first_slot + token of that head; heads are head_bytes apart.
/// grid (tokens, kv_heads, 2), a warp each.
template <class Row>
__global__ void write_rows(Side keys, Side values, int head_dim, int first_slot, std::size_t head_bytes) {
  const int token = static_cast<int>(blockIdx.x), head = static_cast<int>(blockIdx.y);
  const Side side = blockIdx.z == 0 ? keys : values;
  const float* numbers = side.rows + static_cast<long>(token) * side.stride + head * head_dim;
  const std::size_t slot = static_cast<std::size_t>(first_slot) + static_cast<std::size_t>(token);
  Row::write(numbers, head_dim, side.to + static_cast<std::size_t>(head) * head_bytes + slot * Row::row_bytes(head_dim));
}

}  // namespace kvcache::cuda
