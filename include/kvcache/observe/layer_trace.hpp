// What is kept of one layer in one step, beside its rows: attention weights, and the newest token on its way.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "kvcache/model/stage.hpp"

namespace kvcache {

/// Attention weights of one layer in one step, for the queries that were new in it. A query at position p has p + 1
/// weights, by the position of the key; not_kept where the cache did not hold that key any more.
struct AttentionWeights {
  static constexpr float not_kept = -1;
  int first_position = 0;  // of the queries
  int queries = 0;
  int q_heads = 0;
  std::vector<float> numbers;  // [q_heads] of [queries] of [position + 1]

  static std::size_t size_of_head(int first_position, int queries) {
    return std::size_t(queries) * std::size_t(first_position) + std::size_t(queries) * (std::size_t(queries) + 1) / 2;
  }
  std::size_t offset(int q_head, int position) const {
    return std::size_t(q_head) * size_of_head(first_position, queries) +
           size_of_head(first_position, position - first_position);
  }
  /// [position + 1]
  std::span<const float> row(int q_head, int position) const {
    return {numbers.data() + offset(q_head, position), std::size_t(position) + 1};
  }
};

struct LayerTrace {
  AttentionWeights attention;
  std::array<std::vector<float>, stage_count> stages;  // the newest token on its way through the layer, by Stage

  std::size_t bytes() const {
    std::size_t sum = sizeof(LayerTrace) + attention.numbers.size() * sizeof(float);
    for (const auto& stage : stages) sum += stage.size() * sizeof(float);
    return sum;
  }
};

}  // namespace kvcache
