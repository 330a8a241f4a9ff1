// The numbers that describe a model. Several families, one decoder: they differ in data, not in code.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kvcache/cache/shape.hpp"
#include "kvcache/core/check.hpp"
#include "kvcache/position/rope.hpp"

namespace kvcache {

enum class NormKind { layer_norm, rms_norm };
enum class ActivationKind { gelu_tanh, silu_gated };
enum class PositionKind { learned, rope };

struct ModelConfig {
  std::string family;  // "gpt2", "llama", "qwen2" or "qwen3": for people
  int layers = 0;
  int hidden = 0;         // numbers that describe a token between layers
  int q_heads = 0;        // query heads
  int kv_heads = 0;       // key and value heads: q_heads is MHA, 1 is MQA, between them GQA
  int head_dim = 0;       // a number of its own: not hidden / q_heads in every model
  int ffn = 0;            // width of the feed-forward network
  int vocab = 0;          // tokens the model knows
  int max_positions = 0;  // tokens a text may have
  NormKind norm = NormKind::rms_norm;
  double norm_epsilon = 1e-5;
  ActivationKind activation = ActivationKind::silu_gated;
  PositionKind position = PositionKind::rope;
  double rope_theta = 10000;
  RopePairs rope_pairs = RopePairs::half_split;
  std::vector<double> rope_divisors;  // [head_dim / 2], of the frequencies, to stretch a model's positions; or empty
  bool qk_norm = false;               // each head of queries and keys is normalised before rope
  bool qkv_bias = false;              // of the q, k and v projections
  bool attention_out_bias = false;
  bool ffn_bias = false;
  bool tied_output = true;      // the output layer is the embedding
  std::vector<int> end_tokens;  // generation stops after one of these

  CacheShape cache_shape() const { return {layers, kv_heads, head_dim}; }
  int q_size() const { return q_heads * head_dim; }
  int kv_size() const { return kv_heads * head_dim; }
  int qkv_size() const { return q_size() + 2 * kv_size(); }
  int up_size() const { return activation == ActivationKind::silu_gated ? 2 * ffn : ffn; }

  /// How many weights the model has; an output layer tied to the embedding is counted once.
  std::int64_t parameters() const {
    const std::int64_t h = hidden, norm_size = norm == NormKind::layer_norm ? 2 * h : h;
    std::int64_t layer = 2 * norm_size + h * qkv_size() + h * q_size() + h * up_size() + h * ffn;
    if (qk_norm) layer += 2 * head_dim;
    if (qkv_bias) layer += qkv_size();
    if (attention_out_bias) layer += h;
    if (ffn_bias) layer += up_size() + h;
    return layers * layer + (tied_output ? 1 : 2) * vocab * h + norm_size +
           (position == PositionKind::learned ? max_positions * h : 0);
  }
};

/// Errors: sizes that are not positive, absurdly large, or do not fit each other. (What is read from a file is
/// allocated only after the file was seen to hold it.)
inline void check_config(const ModelConfig& c) {
  const auto in_range = [](const char* what, std::int64_t value, std::int64_t limit) {
    check(value >= 1 && value <= limit, "model config: ", what, " is ", value, "; it must be from 1 to ", limit);
  };
  in_range("the number of layers", c.layers, 1 << 10);
  in_range("hidden size", c.hidden, 1 << 17);
  in_range("the number of query heads", c.q_heads, 1 << 12);
  in_range("the number of kv heads", c.kv_heads, 1 << 12);
  in_range("head_dim", c.head_dim, 1 << 12);
  in_range("feed-forward width", c.ffn, 1 << 19);
  in_range("vocabulary", c.vocab, 1 << 22);
  in_range("the number of positions", c.max_positions, 1 << 26);
  check(c.q_heads % c.kv_heads == 0, "model config: ", c.q_heads, " query heads cannot share ", c.kv_heads,
        " kv heads evenly; the first must be a multiple of the second");
  check(c.position != PositionKind::rope || c.head_dim % 2 == 0, "model config: head_dim is ", c.head_dim,
        ", but rope turns pairs and needs an even number");
  check(c.parameters() <= std::int64_t(1) << 38, "model config: these sizes make ", c.parameters(),
        " weights; at most ", std::int64_t(1) << 38, " are supported");
  check(c.norm_epsilon > 0 && c.norm_epsilon < 1, "model config: norm epsilon is ", c.norm_epsilon,
        "; it must lie between 0 and 1");
  check(c.rope_divisors.empty() || int(c.rope_divisors.size()) == c.head_dim / 2,
        "model config: ", c.rope_divisors.size(), " divisors of rope frequencies are given; head_dim ", c.head_dim,
        " has ", c.head_dim / 2, " pairs");
  for (const double divisor : c.rope_divisors)
    check(divisor >= 1e-6 && divisor <= 1e6, "model config: a rope frequency is divided by ", divisor,
          "; it must lie between 1e-6 and 1e6");
  check(c.rope_theta > 1 && c.rope_theta < 1e12, "model config: rope theta is ", c.rope_theta,
        "; it must lie between 1 and 1e12");
}

}  // namespace kvcache
