// Small models of both families, with every kind of attention, bias, head and output layer the decoder knows.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "kvcache/model/weights.hpp"

struct SmallModel {
  const char* name;
  kvcache::ModelConfig config;
};

inline kvcache::ModelConfig small_gpt2() {
  kvcache::ModelConfig c;
  c.family = "gpt2";
  c.layers = 2, c.hidden = 24, c.q_heads = 4, c.kv_heads = 4, c.head_dim = 6, c.ffn = 40, c.vocab = 50;
  c.max_positions = 48;
  c.norm = kvcache::NormKind::layer_norm, c.activation = kvcache::ActivationKind::gelu_tanh;
  c.position = kvcache::PositionKind::learned;
  c.qkv_bias = c.attention_out_bias = c.ffn_bias = true;
  return c;
}
/// Grouped-query attention, and heads wider than hidden / q_heads.
inline kvcache::ModelConfig small_llama(int kv_heads = 2) {
  kvcache::ModelConfig c;
  c.family = "llama";
  c.layers = 3, c.hidden = 24, c.q_heads = 6, c.kv_heads = kv_heads, c.head_dim = 8, c.ffn = 32, c.vocab = 50;
  c.max_positions = 48;
  return c;
}
inline std::vector<SmallModel> small_models() {
  std::vector<SmallModel> models{{"gpt2", small_gpt2()},
                                 {"llama, GQA", small_llama()},
                                 {"llama, MHA, untied", small_llama(6)},
                                 {"llama, MQA, biased", small_llama(1)},
                                 {"llama, interleaved rope", small_llama()}};
  models[2].config.tied_output = false;
  models[3].config.qkv_bias = models[3].config.attention_out_bias = models[3].config.ffn_bias = true;
  models.push_back({"qwen3: norms of queries and keys, stretched rope", small_llama()});
  models[5].config.family = "qwen3", models[5].config.qk_norm = true;
  models[5].config.rope_divisors = {1, 1, 2.5, 8};
  models[4].config.rope_pairs = kvcache::RopePairs::interleaved, models[4].config.rope_theta = 500;
  return models;
}

/// Some text: n tokens of the small models' vocabulary.
inline std::vector<int> some_tokens(int n) {
  std::vector<int> tokens;
  for (int i = 0; i < n; ++i) tokens.push_back((i * 37 + i * i + 3) % 50);
  return tokens;
}
