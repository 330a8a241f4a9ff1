// Fuzz target: a safetensors file, its tensors, and the weights of two small models.
#pragma once

#include "fuzz/use_weights.hpp"
#include "kvcache/io/safetensors.hpp"

namespace kvcache_test {

/// What tests/fuzz/make_cases.py writes weights for.
inline kvcache::ModelConfig config_of_case(bool gpt2) {
  kvcache::ModelConfig c;
  c.family = gpt2 ? "gpt2" : "llama";
  c.layers = 1, c.hidden = 32, c.q_heads = 2, c.kv_heads = gpt2 ? 2 : 1, c.head_dim = 16, c.ffn = 32, c.vocab = 3;
  c.max_positions = 2;
  if (!gpt2) return c;
  c.norm = kvcache::NormKind::layer_norm, c.activation = kvcache::ActivationKind::gelu_tanh;
  c.position = kvcache::PositionKind::learned, c.qkv_bias = c.attention_out_bias = c.ffn_bias = true;
  return c;
}

inline void fuzz_safetensors(std::string_view bytes) {
  const InputFile input(bytes);
  attempt([&] {
    const auto file = std::make_shared<kvcache::Safetensors>(input.path());
    for (const auto& [name, tensor] : file->tensors()) touch(tensor);
    for (const auto& [key, value] : file->metadata()) must(key.size() + value.size() <= bytes.size(), "long words");
    const kvcache::TensorFiles files{file->path(), file->tensors(), file};
    use_weights(config_of_case(true), files, kvcache::hugging_face_gpt2_names());
    use_weights(config_of_case(false), files, kvcache::hugging_face_llama_names());
  });
}

}  // namespace kvcache_test
