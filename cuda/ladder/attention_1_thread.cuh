// Rung 1: one thread per query head, the loop of a CPU. Nothing is gained yet: 32 heads are 32 threads, on a device
// that wants a hundred thousand, and neighbouring threads read rows that lie far apart.
#pragma once

#include "attention.cuh"

namespace ladder {

template <int dim>
__global__ void attend_by_thread(const float* queries, const float* keys, const float* values, AttentionShape shape,
                                 int rows, float* output) {
  const int head = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (head >= shape.q_heads) return;
  const long first = static_cast<long>(head / (shape.q_heads / shape.kv_heads)) * rows * dim;
  float largest = -INFINITY, weights = 0, sums[dim] = {};
  for (int row = 0; row < rows; ++row) {
    const float *key = keys + first + static_cast<long>(row) * dim,
                *value = values + first + static_cast<long>(row) * dim;
    float score = 0;
    for (int d = 0; d < dim; ++d) score += queries[head * dim + d] * key[d];
    score *= shape.scale;
    // The online softmax: what was added up so far is scaled whenever a larger score comes.
    const float now = fmaxf(largest, score), rescale = __expf(largest - now), weight = __expf(score - now);
    for (int d = 0; d < dim; ++d) sums[d] = sums[d] * rescale + weight * value[d];
    weights = weights * rescale + weight;
    largest = now;
  }
  for (int d = 0; d < dim; ++d) output[head * dim + d] = sums[d] / weights;
}

struct AttentionByThread {
  static constexpr const char* name = "1 one thread per query head";
  static constexpr double tolerance = 2e-6;
  explicit AttentionByThread(const AttentionProblem&) {}
  static Cost cost(const AttentionSize& s) { return {s.bytes(s.q_heads), s.operations(), double(s.q_heads), 16}; }
  void run(AttentionProblem& p, Stream& stream) {
    stream.launch(attend_by_thread<head_dim>, dim3(kvcache::cuda::pieces(p.size.q_heads, 32)), dim3(32), 0,
                  p.queries.data(), p.keys.data(), p.values.data(), p.size.shape(), p.size.rows, p.output.data());
  }
};

}  // namespace ladder
