// A transformer as the papers write it, in double: whole text, plain loops, no cache. The oracle for model/.
// It shares with the library only the weights' layout and reference_attention.
#pragma once

#include <cmath>
#include <complex>
#include <span>
#include <vector>

#include "kvcache/attention/reference.hpp"
#include "kvcache/model/weights.hpp"

namespace reference {

using Row = std::vector<double>;
using Model = kvcache::Model<double>;

inline Row normalise(const kvcache::ModelConfig& c, const kvcache::Norm<double>& norm, const Row& x) {
  const bool centred = c.norm == kvcache::NormKind::layer_norm;
  double mean = 0, square = 0;
  for (const double v : x) mean += centred ? v / double(x.size()) : 0;
  for (const double v : x) square += (v - mean) * (v - mean) / double(x.size());
  Row y;
  for (std::size_t i = 0; i < x.size(); ++i)
    y.push_back((x[i] - mean) / std::sqrt(square + c.norm_epsilon) * norm.gain[Eigen::Index(i)] +
                (centred ? norm.bias[Eigen::Index(i)] : 0));
  return y;
}
/// Qwen3: each head of a query or key, before rope.
inline void normalise_head(const kvcache::ModelConfig& c, const kvcache::Vector<double>& gain, double* head) {
  double square = 0;
  for (int i = 0; i < c.head_dim; ++i) square += head[i] * head[i] / c.head_dim;
  for (int i = 0; i < c.head_dim; ++i) head[i] *= gain[i] / std::sqrt(square + c.norm_epsilon);
}
inline Row project(const kvcache::Matrix<double>& weight, const kvcache::Vector<double>& bias, const Row& x) {
  Row y;
  for (Eigen::Index o = 0; o < weight.rows(); ++o) {
    y.push_back(bias.size() > 0 ? bias[o] : 0);
    for (std::size_t i = 0; i < x.size(); ++i) y.back() += weight(o, Eigen::Index(i)) * x[i];
  }
  return y;
}
inline Row project(const kvcache::Linear<double>& linear, const Row& x) {
  return project(linear.weight.unpacked(), linear.bias, x);
}

inline void turn(const kvcache::ModelConfig& c, double* head, int position) {
  const int half = c.head_dim / 2;
  for (int d = 0; d < half; ++d) {
    const bool split = c.rope_pairs == kvcache::RopePairs::half_split;
    double &x = head[split ? d : 2 * d], &y = head[split ? d + half : 2 * d + 1];
    const double divisor = c.rope_divisors.empty() ? 1 : c.rope_divisors[std::size_t(d)];
    const double angle = position * std::pow(c.rope_theta, -2.0 * d / c.head_dim) / divisor;
    const auto z = std::complex<double>(x, y) * std::polar(1.0, angle);
    x = z.real(), y = z.imag();
  }
}
inline Row feed_forward(const kvcache::ModelConfig& c, const kvcache::LayerWeights<double>& w, const Row& x) {
  const Row up = project(w.up, x);
  Row active;
  for (int i = 0; i < c.ffn; ++i) {
    const double g = up[std::size_t(i)];
    if (c.activation == kvcache::ActivationKind::silu_gated)
      active.push_back(g / (1 + std::exp(-g)) * up[std::size_t(c.ffn + i)]);
    else
      active.push_back(g / 2 * (1 + std::tanh(std::sqrt(2 / 3.14159265358979323846) * (g + 0.044715 * g * g * g))));
  }
  return project(w.down, active);
}

/// The logits after every token: [tokens][vocab].
inline std::vector<Row> logits(const Model& model, std::span<const int> tokens) {
  const kvcache::ModelConfig& c = model.config;
  const kvcache::Matrix<double> embedding = model.weights.embedding.unpacked();
  std::vector<Row> x;
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    x.emplace_back();
    for (int i = 0; i < c.hidden; ++i)
      x[t].push_back(embedding(tokens[t], i) +
                     (c.position == kvcache::PositionKind::learned ? model.weights.positions(Eigen::Index(t), i) : 0));
  }
  for (const auto& w : model.weights.layers) {
    std::vector<Row> qkv;
    for (std::size_t t = 0; t < x.size(); ++t) {
      qkv.push_back(project(w.qkv, normalise(c, w.attention_norm, x[t])));
      if (c.qk_norm)
        for (int h = 0; h < c.q_heads + c.kv_heads; ++h)
          normalise_head(c, h < c.q_heads ? w.q_norm : w.k_norm, &qkv[t][std::size_t(h * c.head_dim)]);
      if (c.position == kvcache::PositionKind::rope)
        for (int h = 0; h < c.q_heads + c.kv_heads; ++h) turn(c, &qkv[t][std::size_t(h * c.head_dim)], int(t));
    }
    for (std::size_t t = 0; t < x.size(); ++t) {
      Row attended;
      for (int h = 0; h < c.q_heads; ++h) {
        const int kv = h / (c.q_heads / c.kv_heads);
        kvcache::Vector<double> query(c.head_dim);
        kvcache::Matrix<double> keys(Eigen::Index(t + 1), c.head_dim), values = keys;
        for (int d = 0; d < c.head_dim; ++d) {
          query[d] = qkv[t][std::size_t(h * c.head_dim + d)];
          for (std::size_t s = 0; s <= t; ++s) {
            keys(Eigen::Index(s), d) = qkv[s][std::size_t(c.q_size() + kv * c.head_dim + d)];
            values(Eigen::Index(s), d) = qkv[s][std::size_t(c.q_size() + c.kv_size() + kv * c.head_dim + d)];
          }
        }
        const auto output = kvcache::reference_attention(query, keys, values);
        attended.insert(attended.end(), output.begin(), output.end());
      }
      const Row delta = project(w.attention_out, attended);
      for (std::size_t i = 0; i < delta.size(); ++i) x[t][i] += delta[i];
      const Row more = feed_forward(c, w, normalise(c, w.ffn_norm, x[t]));
      for (std::size_t i = 0; i < more.size(); ++i) x[t][i] += more[i];
    }
  }
  std::vector<Row> result;
  for (const Row& row : x)
    result.push_back(project(c.tied_output ? embedding : model.weights.output.unpacked(), {},
                             normalise(c, model.weights.final_norm, row)));
  return result;
}

}  // namespace reference
