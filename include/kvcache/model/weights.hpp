// The weights of a model, as the decoder uses them, and random ones of any shape.
#pragma once

#include <cmath>
#include <vector>

#include "kvcache/core/random.hpp"
#include "kvcache/math/weight_matrix.hpp"
#include "kvcache/model/config.hpp"

namespace kvcache {

template <class Scalar>
struct Norm {
  Vector<Scalar> gain;  // [hidden]
  Vector<Scalar> bias;  // [hidden]; empty for RMSNorm
};

/// y = x weight^T + bias.
template <class Scalar>
struct Linear {
  WeightMatrix<Scalar> weight;  // [outputs, inputs]
  Vector<Scalar> bias;          // [outputs]; empty where the model has none
};

template <class Scalar>
struct LayerWeights {
  Norm<Scalar> attention_norm;
  Linear<Scalar> qkv;             // [q_size + 2 kv_size, hidden]: one product for queries, keys and values
  Vector<Scalar> q_norm, k_norm;  // [head_dim]: gains of the norm of each head; empty where the model has none
  Linear<Scalar> attention_out;   // [hidden, q_size]
  Norm<Scalar> ffn_norm;
  Linear<Scalar> up;    // [ffn, hidden]; gated: [2 ffn, hidden], gate first
  Linear<Scalar> down;  // [hidden, ffn]
};

template <class Scalar>
struct Weights {
  WeightMatrix<Scalar> embedding;  // [vocab, hidden]
  Matrix<Scalar> positions;        // [max_positions, hidden]; empty for rope
  std::vector<LayerWeights<Scalar>> layers;
  Norm<Scalar> final_norm;
  WeightMatrix<Scalar> output;  // [vocab, hidden]; empty if tied to the embedding

  const WeightMatrix<Scalar>& output_matrix() const { return output.empty() ? embedding : output; }
};

/// A model: what it is, and its numbers. Transformers refer to it; keep it alive while they live.
template <class Scalar>
struct Model {
  ModelConfig config;
  Weights<Scalar> weights;
};

/// Calls visit(matrix) for the weight matrices that a decoding step reads: all but the embedding table, of which it
/// reads one row, unless that is the output layer too.
template <class Scalar>
void for_each_matrix_of_a_step(const Weights<Scalar>& weights, auto&& visit) {
  for (const LayerWeights<Scalar>& layer : weights.layers)
    for (const Linear<Scalar>* linear : {&layer.qkv, &layer.attention_out, &layer.up, &layer.down})
      visit(linear->weight);
  visit(weights.output_matrix());
}
/// Bytes that a decoding step reads of them, in the format they have. [COMPUTED]
template <class Scalar>
std::size_t weight_bytes_per_step(const Weights<Scalar>& weights) {
  std::size_t sum = 0;
  for_each_matrix_of_a_step(weights, [&](const WeightMatrix<Scalar>& matrix) { sum += matrix.bytes(); });
  return sum;
}

/// Random weights of a shape, for timing and memory: the text they write means nothing. The same on every machine, and
/// the same numbers (rounded) for every Scalar.
template <class Scalar>
Model<Scalar> random_model(const ModelConfig& config, std::uint64_t seed = 1) {
  check_config(config);
  Random random(seed);
  const auto matrix = [&](int rows, int cols) {
    Matrix<Scalar> m(rows, cols);
    const double bound = std::sqrt(3.0 / cols);  // so that a product keeps its size
    for (Eigen::Index i = 0; i < m.size(); ++i) m.data()[i] = Scalar(float(random.uniform(-bound, bound)));
    return m;
  };
  const auto vector = [&](int size, double around, bool wanted) {
    Vector<Scalar> v(wanted ? size : 0);
    for (Scalar& x : v) x = Scalar(float(around + random.uniform(-0.1, 0.1)));
    return v;
  };
  const auto norm = [&] {
    return Norm<Scalar>{vector(config.hidden, 1, true), vector(config.hidden, 0, config.norm == NormKind::layer_norm)};
  };
  const auto linear = [&](int outputs, int inputs, bool bias) {
    return Linear<Scalar>{matrix(outputs, inputs), vector(outputs, 0, bias)};
  };
  const ModelConfig& c = config;
  Weights<Scalar> w;
  w.embedding = matrix(c.vocab, c.hidden);
  if (c.position == PositionKind::learned) w.positions = matrix(c.max_positions, c.hidden);
  for (int l = 0; l < c.layers; ++l)
    w.layers.push_back({norm(), linear(c.qkv_size(), c.hidden, c.qkv_bias), vector(c.head_dim, 1, c.qk_norm),
                        vector(c.head_dim, 1, c.qk_norm), linear(c.hidden, c.q_size(), c.attention_out_bias), norm(),
                        linear(c.up_size(), c.hidden, c.ffn_bias), linear(c.hidden, c.ffn, c.ffn_bias)});
  w.final_norm = norm();
  if (!c.tied_output) w.output = matrix(c.vocab, c.hidden);
  return {config, std::move(w)};
}

}  // namespace kvcache
