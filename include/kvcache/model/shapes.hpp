// Shapes of well-known models, by name: for timing and memory without their weights.
#pragma once

#include <array>
#include <string_view>

#include "kvcache/model/config.hpp"

namespace kvcache {

/// A named shape. Source: the config.json of each model.
struct NamedShape {
  const char* name;
  bool gpt2;  // the GPT-2 family; else Llama's
  int layers, hidden, q_heads, kv_heads, head_dim, ffn, vocab, max_positions;
  double rope_theta;
  bool tied_output;
};

inline constexpr std::array<NamedShape, 12> named_shapes{{
    {"gpt2", true, 12, 768, 12, 12, 64, 3072, 50257, 1024, 10000, true},
    {"gpt2-medium", true, 24, 1024, 16, 16, 64, 4096, 50257, 1024, 10000, true},
    {"gpt2-large", true, 36, 1280, 20, 20, 64, 5120, 50257, 1024, 10000, true},
    {"gpt2-xl", true, 48, 1600, 25, 25, 64, 6400, 50257, 1024, 10000, true},
    {"smollm2-135m", false, 30, 576, 9, 3, 64, 1536, 49152, 8192, 100000, true},
    {"qwen2.5-0.5b", false, 24, 896, 14, 2, 64, 4864, 151936, 32768, 1e6, true},
    {"qwen3-0.6b", false, 28, 1024, 16, 8, 128, 3072, 151936, 40960, 1e6, true},
    {"tinyllama-1.1b", false, 22, 2048, 32, 4, 64, 5632, 32000, 2048, 10000, false},
    {"llama-3.2-1b", false, 16, 2048, 32, 8, 64, 8192, 128256, 131072, 500000, true},
    {"llama-2-7b", false, 32, 4096, 32, 32, 128, 11008, 32000, 4096, 10000, false},
    {"llama-3.1-8b", false, 32, 4096, 32, 8, 128, 14336, 128256, 131072, 500000, false},
    {"tiny", false, 6, 192, 6, 2, 32, 512, 1024, 1024, 10000, true},
}};

/// The config of a named shape. What is particular to one model beside its sizes (biases of Qwen2.5, norms on q and k
/// of Qwen3, rope scaling of Llama 3) is left out: it changes no byte of the cache and hardly any of the time. Errors:
/// an unknown name.
inline ModelConfig config_of_shape(std::string_view name) {
  std::string known;
  for (const NamedShape& s : named_shapes) {
    if (name != s.name) {
      known += (known.empty() ? "" : ", ") + std::string(s.name);
      continue;
    }
    ModelConfig c;
    c.family = s.gpt2 ? "gpt2" : "llama";
    c.layers = s.layers, c.hidden = s.hidden, c.q_heads = s.q_heads, c.kv_heads = s.kv_heads, c.head_dim = s.head_dim;
    c.ffn = s.ffn, c.vocab = s.vocab, c.max_positions = s.max_positions;
    c.rope_theta = s.rope_theta, c.tied_output = s.tied_output;
    if (s.gpt2) {
      c.norm = NormKind::layer_norm, c.activation = ActivationKind::gelu_tanh, c.position = PositionKind::learned;
      c.qkv_bias = c.attention_out_bias = c.ffn_bias = true;
    }
    return c;
  }
  fail("shape \"", name, "\" is unknown; known are ", known);
}

}  // namespace kvcache
