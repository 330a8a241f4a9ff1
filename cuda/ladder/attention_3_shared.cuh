// Rung 3: one block per kv head. It carries 32 rows at a time to shared memory, where a warp for each query head finds
// them: heads that share a kv head ask memory for each row once, not four times.
#pragma once

#include "attention.cuh"

namespace ladder {

inline constexpr int carried = 32;  // rows at a time: a score for each lane

/// Keys and values of the carried rows, one number more each, so that lanes read different banks; queries; weights.
inline std::size_t carried_bytes(int shared_by) {
  return sizeof(float) * std::size_t(2 * carried * (head_dim + 1) + shared_by * (head_dim + carried));
}

template <int dim>
__global__ void attend_by_group(const float* queries, const float* keys, const float* values, AttentionShape shape,
                                int rows, float* output) {
  using namespace kvcache::cuda;
  KVCACHE_DYNAMIC_SHARED(float, shared);
  const int kv_head = static_cast<int>(blockIdx.x), me = static_cast<int>(threadIdx.x);
  const int threads = static_cast<int>(blockDim.x), heads = threads / 32, head = kv_head * heads + warp();
  float *key = shared, *value = key + carried * (dim + 1), *query = value + carried * (dim + 1) + warp() * dim;
  float* weights = value + carried * (dim + 1) + heads * dim + warp() * carried;
  for (int d = lane(); d < dim; d += 32) query[d] = queries[head * dim + d] * shape.scale;

  float largest = -INFINITY, weight_sum = 0, sums[dim / 32] = {};
  for (int first = 0; first < rows; first += carried) {
    __syncthreads();  // before rows are overwritten that another warp still reads
    for (int i = me; i < carried * dim; i += threads) {
      const int row = i / dim, at = row * (dim + 1) + i % dim;
      const long from = (static_cast<long>(kv_head) * rows + first + row) * dim + i % dim;
      key[at] = first + row < rows ? keys[from] : 0.0f;
      value[at] = first + row < rows ? values[from] : 0.0f;
    }
    __syncthreads();
    float score = first + lane() < rows ? 0 : -INFINITY;  // a lane has a row
    for (int d = 0; d < dim; ++d) score += query[d] * key[lane() * (dim + 1) + d];
    const float now = fmaxf(largest, warp_max(score)), rescale = __expf(largest - now), weight = __expf(score - now);
    weight_sum = weight_sum * rescale + warp_sum(weight);
    largest = now;
    weights[lane()] = weight;
    __syncwarp();
    for (int i = 0; i < dim / 32; ++i) {  // a lane has every 32nd number of the output
      sums[i] *= rescale;
      for (int row = 0; row < carried; ++row) sums[i] += weights[row] * value[row * (dim + 1) + i * 32 + lane()];
    }
    __syncwarp();  // before the weights are overwritten
  }
  for (int i = 0; i < dim / 32; ++i) output[head * dim + i * 32 + lane()] = sums[i] / weight_sum;
}

struct AttentionByGroup {
  static constexpr const char* name = "3 rows carried once for the heads that share them";
  static constexpr double tolerance = 2e-6;
  explicit AttentionByGroup(const AttentionProblem&) {}
  static Cost cost(const AttentionSize& s) {  // each thread of a block asks for its part of the carried rows at once
    const double threads = 32.0 * s.q_heads;
    return {s.bytes(s.kv_heads), s.operations(), threads, 2.0 * 4 * carried * head_dim / (32.0 * s.shared_by())};
  }
  void run(AttentionProblem& p, Stream& stream) {
    stream.launch(attend_by_group<head_dim>, dim3(unsigned(p.size.kv_heads)), dim3(unsigned(32 * p.size.shared_by())),
                  carried_bytes(p.size.shared_by()), p.queries.data(), p.keys.data(), p.values.data(), p.size.shape(),
                  p.size.rows, p.output.data());
  }
};

}  // namespace ladder
