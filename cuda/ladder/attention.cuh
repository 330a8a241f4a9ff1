// The first ladder's problem: attention of one query per head over the rows that a cache holds, as in every decoding
// step after the prompt.
#pragma once

#include "kvcache/cuda/attention.cuh"
#include "rung.cuh"

namespace ladder {

using kvcache::cuda::AttentionShape;

inline constexpr int head_dim = 128;

struct AttentionSize {
  int q_heads, kv_heads, rows;

  int shared_by() const { return q_heads / kv_heads; }
  AttentionShape shape() const { return {q_heads, kv_heads, head_dim, 1 / std::sqrt(float(head_dim))}; }
  /// Every query head meets every row twice: a product with its key, and a weight for its value.
  double operations() const { return 4.0 * q_heads * rows * head_dim; }
  /// If `readers` read all keys and values of one kv head, of so many bytes a number.
  double bytes(int readers, double of_number = 4) const { return 2.0 * readers * rows * head_dim * of_number; }
};

struct AttentionProblem {
  explicit AttentionProblem(AttentionSize s)
      : size(s),
        host_queries(random_numbers(std::size_t(s.q_heads) * head_dim, 1)),
        host_keys(random_numbers(std::size_t(s.kv_heads) * std::size_t(s.rows) * head_dim, 2)),
        host_values(random_numbers(host_keys.size(), 3)),
        queries(on_device(host_queries)),
        keys(on_device(host_keys)),
        values(on_device(host_values)),
        output(host_queries.size()) {}

  AttentionSize size;
  std::vector<float> host_queries, host_keys, host_values;
  DeviceMemory<float> queries;       // [q_heads, head_dim]
  DeviceMemory<float> keys, values;  // [kv_heads, rows, head_dim]
  DeviceMemory<float> output;        // [q_heads, head_dim]
};

/// The numbers of a row as int8 keeps them: whole ones of 127 steps to the largest.
inline void round_as_int8(std::span<float> rows) {
  for (std::size_t row = 0; row < rows.size(); row += head_dim) {
    float largest = 0;
    for (const float x : rows.subspan(row, head_dim)) largest = std::max(largest, std::fabs(x));
    const float scale = largest / 127;
    for (float& x : rows.subspan(row, head_dim)) x = scale * std::nearbyint(x * (1 / scale));
  }
}

/// The obvious way, in double precision.
inline std::vector<double> attention_reference(const AttentionSize& size, const std::vector<float>& queries,
                                               const std::vector<float>& keys, const std::vector<float>& values) {
  std::vector<double> output(queries.size()), weights(std::size_t(size.rows));
  for (int head = 0; head < size.q_heads; ++head) {
    const std::size_t first = std::size_t(head / size.shared_by()) * weights.size() * head_dim;
    const float* query = queries.data() + head * head_dim;
    double sum = 0;
    for (std::size_t row = 0; row < weights.size(); ++row) {
      double score = 0;
      for (std::size_t d = 0; d < head_dim; ++d) score += double(query[d]) * keys[first + row * head_dim + d];
      sum += weights[row] = std::exp(score / std::sqrt(double(head_dim)));  // scores are small: no overflow
    }
    for (std::size_t row = 0; row < weights.size(); ++row)
      for (std::size_t d = 0; d < head_dim; ++d)
        output[std::size_t(head) * head_dim + d] += weights[row] / sum * values[first + row * head_dim + d];
  }
  return output;
}

}  // namespace ladder
