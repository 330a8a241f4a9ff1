// Kernel: attention of many queries over all that the cache kept, each over the rows at its own position and before.
#pragma once

#include "kvcache/cuda/kernels/decode_attention.cuh"

namespace kvcache::cuda {

/// Rows of a tile: one for each lane, when scores are computed. A block has one query for each of its warps.
inline constexpr int tile_rows = 32, tile_queries = 8;

/// Shared memory of a block: keys, values (one more number a row, so that lanes read different banks), queries plain
/// and turned, and weights.
inline std::size_t prefill_bytes(int head_dim) {
  return sizeof(float) *
         std::size_t(2 * tile_rows * (head_dim + 1) + 2 * tile_queries * head_dim + tile_queries * tile_rows);
}

/// A block has 8 tokens of one query head, a warp each, and carries 32 rows at a time to shared memory, unpacked, for
/// all of them. Scores: a lane has a row. Sums: a lane has every 32nd number of the output.
/// queries, turned: token t's head h at t * stride + h * head_dim; output [tokens, q_heads * head_dim]. `wide`: a lane
/// holds so many numbers of the output: head_dim <= 32 * wide. The first token stands at first_position.
/// grid (tokens / tile_queries, q_heads), dynamic shared memory prefill_bytes.
template <class Row, int wide>
__global__ void __launch_bounds__(tile_queries * 32)
    attend_tiles(const float* queries, const float* turned, int stride, Table table, AttentionShape shape, int tokens,
                 int first_position, float* output) {
  KVCACHE_DYNAMIC_SHARED(float, shared);
  KVCACHE_SHARED(Place, places, [tile_rows]);
  const int dim = shape.head_dim, head = static_cast<int>(blockIdx.y), me = static_cast<int>(threadIdx.x);
  const int kv_head = head / (shape.q_heads / shape.kv_heads);
  const int token = static_cast<int>(blockIdx.x) * tile_queries + warp();
  const int position = first_position + token;
  float* keys = shared;                             // [tile_rows, head_dim + 1]
  float* values = keys + tile_rows * (dim + 1);     // the same
  float* query = values + tile_rows * (dim + 1);    // [tile_queries, head_dim], then the turned ones
  float* weights = query + 2 * tile_queries * dim;  // [tile_queries, tile_rows]
  float* turned_query = query + (tile_queries + warp()) * dim;
  query += warp() * dim, weights += warp() * tile_rows;
  for (int d = lane(); d < dim; d += 32) {
    const long at = static_cast<long>(token) * stride + head * dim + d;
    query[d] = token < tokens ? queries[at] * shape.scale : 0.0f;
    turned_query[d] = token < tokens && turned ? turned[at] * shape.scale : 0.0f;
  }

  float largest = -INFINITY, weight_sum = 0, sums[wide];
  for (int j = 0; j < wide; ++j) sums[j] = 0;
  TableWalk walk(table);
  for (int first = 0; first < table.rows; first += tile_rows) {
    const int rows = min(tile_rows, table.rows - first);
    __syncthreads();  // before the tile is overwritten
    if (me == 0)
      for (int r = 0; r < rows; ++r) places[r] = walk.at(first + r);
    __syncthreads();
    for (int i = me; i < rows * (dim / 4); i += tile_queries * 32) {
      const int r = i / (dim / 4), d = i % (dim / 4) * 4;
      const std::size_t at = static_cast<std::size_t>(kv_head) * table.storage.head_bytes +
                             static_cast<std::size_t>(places[r].slot) * table.storage.row_bytes;
      const typename Row::Reader key_row(table.storage.keys + at, dim), value_row(table.storage.values + at, dim);
      const Four k = key_row.four(d), v = value_row.four(d);
      float *key = keys + r * (dim + 1) + d, *value = values + r * (dim + 1) + d;
      const float key_unit = key_row.unit, value_unit = value_row.unit;
      key[0] = k.x * key_unit, key[1] = k.y * key_unit, key[2] = k.z * key_unit, key[3] = k.w * key_unit;
      value[0] = v.x * value_unit, value[1] = v.y * value_unit, value[2] = v.z * value_unit, value[3] = v.w * value_unit;
    }
    __syncthreads();
    float score = -INFINITY;
    if (lane() < rows && places[lane()].position <= position) {  // the causal mask
      const float* q = places[lane()].is_turned ? turned_query : query;
      score = 0;
      for (int d = 0; d < dim; ++d) score += q[d] * keys[lane() * (dim + 1) + d];
    }
    const float now = fmaxf(largest, warp_max(score));
    if (now == -INFINITY) continue;  // this query sees nothing of the tile, and saw nothing before
    const float rescale = __expf(largest - now), weight = __expf(score - now);
    weight_sum = weight_sum * rescale + warp_sum(weight);
    largest = now;
    weights[lane()] = weight;
    __syncwarp();
    KVCACHE_UNROLL
    for (int j = 0; j < wide; ++j) {
      const int d = j * 32 + lane();
      if (d >= dim) break;
      sums[j] *= rescale;
      for (int r = 0; r < rows; ++r) sums[j] += weights[r] * values[r * (dim + 1) + d];
    }
    __syncwarp();  // before the weights are overwritten
  }
  if (token >= tokens) return;
  for (int j = 0; j < wide; ++j)
    if (const int d = j * 32 + lane(); d < dim)
      output[(static_cast<long>(token) * shape.q_heads + head) * dim + d] = sums[j] / weight_sum;
}

}  // namespace kvcache::cuda
