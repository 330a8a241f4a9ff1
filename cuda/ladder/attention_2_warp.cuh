// Rung 2: one warp per query head. Its 32 lanes read 32 neighbouring numbers of a row in one go, and add up their parts
// of the score: 32 times the threads, and every byte that memory sends is used.
#pragma once

#include "attention.cuh"

namespace ladder {

template <int dim>
__global__ void attend_by_warp(const float* queries, const float* keys, const float* values, AttentionShape shape,
                               int rows, float* output) {
  using namespace kvcache::cuda;
  constexpr int mine = dim / 32;  // numbers of a row that a lane has: lane(), lane() + 32, ...
  const int head = static_cast<int>(blockIdx.x);
  const long first = static_cast<long>(head / (shape.q_heads / shape.kv_heads)) * rows * dim;
  float query[mine], sums[mine] = {}, largest = -INFINITY, weights = 0;
  for (int i = 0; i < mine; ++i) query[i] = queries[head * dim + i * 32 + lane()] * shape.scale;
  for (int row = 0; row < rows; ++row) {
    const float *key = keys + first + static_cast<long>(row) * dim,
                *value = values + first + static_cast<long>(row) * dim;
    float score = 0;
    KVCACHE_UNROLL
    for (int i = 0; i < mine; ++i) score += query[i] * key[i * 32 + lane()];
    score = warp_sum(score);
    const float now = fmaxf(largest, score), rescale = __expf(largest - now), weight = __expf(score - now);
    KVCACHE_UNROLL
    for (int i = 0; i < mine; ++i) sums[i] = sums[i] * rescale + weight * value[i * 32 + lane()];
    weights = weights * rescale + weight;
    largest = now;
  }
  for (int i = 0; i < mine; ++i) output[head * dim + i * 32 + lane()] = sums[i] / weights;
}

struct AttentionByWarp {
  static constexpr const char* name = "2 one warp per query head";
  static constexpr double tolerance = 2e-6;
  explicit AttentionByWarp(const AttentionProblem&) {}
  static Cost cost(const AttentionSize& s) {
    return {s.bytes(s.q_heads), s.operations(), 32.0 * s.q_heads, 2 * 4 * head_dim / 32.0};
  }
  void run(AttentionProblem& p, Stream& stream) {
    stream.launch(attend_by_warp<head_dim>, dim3(unsigned(p.size.q_heads)), dim3(32), 0, p.queries.data(),
                  p.keys.data(), p.values.data(), p.size.shape(), p.size.rows, p.output.data());
  }
};

}  // namespace ladder
