// A number that tells models apart, read in a moment however large they are.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "kvcache/core/byte_stream.hpp"
#include "kvcache/core/tensor.hpp"
#include "kvcache/io/checksum.hpp"
#include "kvcache/model/config.hpp"

namespace kvcache {

/// Of the config, and of every tensor: its name, shape and format, its first and its last 4,096 bytes. A sample: a
/// model that was changed in the middle of its tensors and nowhere else has the same. Training changes them everywhere.
inline std::uint64_t model_fingerprint(const ModelConfig& c, const std::map<std::string, Tensor>& tensors) {
  constexpr std::size_t sample = 4096;
  ByteWriter seen;
  seen.text(c.family);
  for (const int n : {c.layers, c.hidden, c.q_heads, c.kv_heads, c.head_dim, c.ffn, c.vocab, c.max_positions,
                      int(c.norm), int(c.activation), int(c.position), int(c.rope_pairs), int(c.qk_norm),
                      int(c.qkv_bias), int(c.attention_out_bias), int(c.ffn_bias), int(c.tied_output)})
    seen.number(n);
  seen.number(c.norm_epsilon), seen.number(c.rope_theta);
  for (const double divisor : c.rope_divisors) seen.number(divisor);
  for (const auto& [name, tensor] : tensors) {
    seen.text(name), seen.text(to_string(tensor.shape)), seen.number(int(tensor.format));
    const std::size_t count = std::min(sample, tensor.bytes.size());
    seen.bytes(tensor.bytes.first(count)), seen.bytes(tensor.bytes.last(count));
  }
  return checksum(seen.written());
}

}  // namespace kvcache
