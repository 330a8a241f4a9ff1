// Kernels: attention of one query per head over all that the cache kept. One query is too little work for a device, so
// the text is split: each block reads a part of it with a softmax of its own, and a second kernel merges the parts.
// Dao et al., "Flash-Decoding for long-context inference", 2023.
#pragma once

#include "kvcache/cuda/block_table.cuh"
#include "kvcache/cuda/row_formats.cuh"

namespace kvcache::cuda {

struct AttentionShape {
  int q_heads, kv_heads, head_dim;
  float scale;  // 1 / sqrt(head_dim)
};

/// 8 lanes read a row together, four neighbouring numbers each, so a warp reads four rows at once.
inline constexpr int team = 8, split_warps = 4, teams = split_warps * 32 / team;

/// Shared memory of a block: the queries, plain and turned, then what each team found.
inline std::size_t split_bytes(int group, int head_dim) {
  return sizeof(float) * std::size_t(2 * group * head_dim + teams * group * (head_dim + 2));
}

/// So many blocks of attend_split are to fit on a multiprocessor at once: while one waits for rows, another computes. The
/// compiler then gives a thread no more registers than that leaves.
constexpr int resident_blocks(int fours) { return fours <= 4 ? 4 : 2; }

/// A block has one kv head and one part of the rows; team t of it rows t, t + teams, ... Each row is read once for up
/// to `group` query heads that share it. `fours`: a lane holds so many times four numbers of a row: head_dim <= 32 *
/// fours. queries, turned [q_heads, head_dim]; `turned` is for rows with a gap, and may be null if there are none.
/// state [q_heads, splits, 2]: largest score and sum of weights; sums [q_heads, splits, head_dim].
/// grid (splits, kv_heads, pieces of `group` query heads), dynamic shared memory split_bytes.
template <class Row, int fours, int group>
__global__ void __launch_bounds__(split_warps * 32, resident_blocks(fours))
    attend_split(const float* queries, const float* turned, Table table, AttentionShape shape, float* state,
                 float* sums) {
  KVCACHE_DYNAMIC_SHARED(float, shared);
  const int dim = shape.head_dim, heads_of_kv = shape.q_heads / shape.kv_heads;
  const int kv_head = static_cast<int>(blockIdx.y), me = static_cast<int>(threadIdx.x);
  const int first_head = kv_head * heads_of_kv + static_cast<int>(blockIdx.z) * group;
  const int heads = min(group, (kv_head + 1) * heads_of_kv - first_head);
  const int my_team = me / team, in_team = me % team;
  const int split = static_cast<int>(blockIdx.x), splits = static_cast<int>(gridDim.x);
  const int per_split = (table.rows + splits - 1) / splits;
  const int first = split * per_split, end = min(first + per_split, table.rows);

  float *query = shared, *query_turned = shared + group * dim;  // [group, head_dim] each
  for (int i = me; i < heads * dim; i += split_warps * 32) {
    query[i] = queries[first_head * dim + i] * shape.scale;
    query_turned[i] = turned ? turned[first_head * dim + i] * shape.scale : 0.0f;
  }
  __syncthreads();

  float largest[group], weights[group], output[group][fours * 4];
  for (int g = 0; g < group; ++g) {
    largest[g] = -INFINITY, weights[g] = 0;
    for (int d = 0; d < fours * 4; ++d) output[g][d] = 0;
  }
  TableWalk walk(table);
  if (first < end) walk.jump_to(first);
  // All teams of a warp go as many times round, for they exchange numbers; a team without a row gives it no weight.
  for (int round = first; round < end; round += teams) {
    const int row = round + my_team;
    const bool has_row = row < end;
    const Place place = walk.at(has_row ? row : end - 1);
    const std::size_t at = static_cast<std::size_t>(kv_head) * table.storage.head_bytes +
                           static_cast<std::size_t>(place.slot) * table.storage.row_bytes;
    const typename Row::Reader key(table.storage.keys + at, dim), value(table.storage.values + at, dim);
    Four keys[fours], values[fours];
    KVCACHE_UNROLL
    for (int f = 0; f < fours; ++f) {
      const int d = (f * team + in_team) * 4;
      keys[f] = d < dim ? key.four(d) : Four{0, 0, 0, 0};
      values[f] = d < dim ? value.four(d) : Four{0, 0, 0, 0};
    }
    KVCACHE_UNROLL
    for (int g = 0; g < group; ++g) {
      const float* q = (place.is_turned ? query_turned : query) + (g < heads ? g : 0) * dim;
      float score = 0;
      KVCACHE_UNROLL
      for (int f = 0; f < fours; ++f) {
        const int d = (f * team + in_team) * 4;
        if (d < dim) score += dot(four_floats(q + d), keys[f]);
      }
      score = sum_of_lanes(score, team) * key.unit;
      if (!has_row) continue;
      const float now = fmaxf(largest[g], score), rescale = __expf(largest[g] - now), weight = __expf(score - now);
      weights[g] = weights[g] * rescale + weight;
      const float share = weight * value.unit;
      KVCACHE_UNROLL
      for (int f = 0; f < fours; ++f) {
        output[g][4 * f] = output[g][4 * f] * rescale + share * values[f].x;
        output[g][4 * f + 1] = output[g][4 * f + 1] * rescale + share * values[f].y;
        output[g][4 * f + 2] = output[g][4 * f + 2] * rescale + share * values[f].z;
        output[g][4 * f + 3] = output[g][4 * f + 3] * rescale + share * values[f].w;
      }
      largest[g] = now;
    }
  }

  // The teams put down what they found, and the block merges it: [teams, group, head_dim + 2].
  float* found = shared + 2 * group * dim;
  for (int g = 0; g < heads; ++g) {
    float* mine = found + (my_team * group + g) * (dim + 2);
    KVCACHE_UNROLL
    for (int f = 0; f < fours; ++f)
      for (int i = 0; i < 4; ++i)
        if (const int d = (f * team + in_team) * 4 + i; d < dim) mine[d] = output[g][4 * f + i];
    if (in_team == 0) mine[dim] = largest[g], mine[dim + 1] = weights[g];
  }
  __syncthreads();
  for (int i = me; i < heads * dim; i += split_warps * 32) {
    const int g = i / dim, d = i % dim;
    float most = -INFINITY, weight = 0, sum = 0;
    for (int t = 0; t < teams; ++t) most = fmaxf(most, found[(t * group + g) * (dim + 2) + dim]);
    for (int t = 0; t < teams; ++t) {
      const float* theirs = found + (t * group + g) * (dim + 2);
      const float rescale = theirs[dim] == -INFINITY ? 0.0f : __expf(theirs[dim] - most);
      weight += theirs[dim + 1] * rescale, sum += theirs[d] * rescale;
    }
    const long cell = static_cast<long>(first_head + g) * splits + split;
    sums[cell * dim + d] = sum;
    if (d == 0) state[cell * 2] = most, state[cell * 2 + 1] = weight;
  }
}

/// output [q_heads, head_dim] = the parts, merged. grid (q_heads).
template <int threads>
__global__ void merge_splits(const float* state, const float* sums, int splits, int head_dim, float* output) {
  const long head = static_cast<long>(blockIdx.x), first = head * splits;
  for (int d = static_cast<int>(threadIdx.x); d < head_dim; d += threads) {
    float most = -INFINITY, weight = 0, sum = 0;
    for (int s = 0; s < splits; ++s) most = fmaxf(most, state[(first + s) * 2]);
    for (int s = 0; s < splits; ++s) {
      const float largest = state[(first + s) * 2];
      const float rescale = largest == -INFINITY ? 0.0f : __expf(largest - most);  // a part without rows
      weight += state[(first + s) * 2 + 1] * rescale;
      sum += sums[(first + s) * head_dim + d] * rescale;
    }
    output[head * head_dim + d] = sum / weight;
  }
}

}  // namespace kvcache::cuda
