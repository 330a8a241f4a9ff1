// What each kind of file calls a decoder's tensors: all that a family needs beside its config.
#pragma once

#include <string_view>
#include <vector>

#include "kvcache/model/config.hpp"

namespace kvcache {

/// Names without ".weight" and ".bias", and without what stands in front of all of them in some files ("model.",
/// "transformer."): that is found in the file (read_weights.hpp). Those of a layer follow layer_prefix, the layer's
/// number and a dot. An empty name: such files have no such tensor.
struct TensorNames {
  std::string_view embedding = {}, positions = {}, final_norm = {}, output = {};
  std::string_view layer_prefix = {};
  std::string_view attention_norm = {}, qkv = {}, q = {}, k = {}, v = {};  // qkv: all three in one; else one each
  std::string_view q_norm = {}, k_norm = {}, attention_out = {};
  std::string_view ffn_norm = {}, gate = {}, up = {}, down = {};
  bool inputs_first = false;                       // matrices are [inputs, outputs]: they are turned on loading
  std::vector<std::string_view> may_be_left = {};  // endings of tensors that a decoder has no use for
};

/// Hugging Face's Llama, Qwen2 and Qwen3. Old files carry the frequencies of rope.
inline TensorNames hugging_face_llama_names() {
  return {.embedding = "embed_tokens",
          .final_norm = "norm",
          .output = "lm_head",
          .layer_prefix = "layers.",
          .attention_norm = "input_layernorm",
          .q = "self_attn.q_proj",
          .k = "self_attn.k_proj",
          .v = "self_attn.v_proj",
          .q_norm = "self_attn.q_norm",
          .k_norm = "self_attn.k_norm",
          .attention_out = "self_attn.o_proj",
          .ffn_norm = "post_attention_layernorm",
          .gate = "mlp.gate_proj",
          .up = "mlp.up_proj",
          .down = "mlp.down_proj",
          .may_be_left = {".rotary_emb.inv_freq"}};
}

/// Hugging Face's GPT-2: its Conv1D matrices are [inputs, outputs]. Old files carry causal masks.
inline TensorNames hugging_face_gpt2_names() {
  return {.embedding = "wte",
          .positions = "wpe",
          .final_norm = "ln_f",
          .output = "lm_head",
          .layer_prefix = "h.",
          .attention_norm = "ln_1",
          .qkv = "attn.c_attn",
          .attention_out = "attn.c_proj",
          .ffn_norm = "ln_2",
          .up = "mlp.c_fc",
          .down = "mlp.c_proj",
          .inputs_first = true,
          .may_be_left = {".attn.bias", ".attn.masked_bias"}};
}

/// GGUF, every architecture.
inline TensorNames gguf_names(const ModelConfig& config) {
  TensorNames names{.embedding = "token_embd",
                    .positions = "position_embd",
                    .final_norm = "output_norm",
                    .output = "output",
                    .layer_prefix = "blk.",
                    .attention_norm = "attn_norm",
                    .q = "attn_q",
                    .k = "attn_k",
                    .v = "attn_v",
                    .q_norm = "attn_q_norm",
                    .k_norm = "attn_k_norm",
                    .attention_out = "attn_output",
                    .ffn_norm = "ffn_norm",
                    .gate = "ffn_gate",
                    .up = "ffn_up",
                    .down = "ffn_down",
                    .may_be_left = {"rope_freqs.weight"}};
  if (config.family == "gpt2") names.qkv = "attn_qkv";
  return names;
}

}  // namespace kvcache
