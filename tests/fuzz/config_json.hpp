// Fuzz target: config.json, and the index of a folder of several files.
#pragma once

#include "fuzz/input_file.hpp"
#include "kvcache/io/config_json.hpp"
#include "kvcache/io/safetensors_folder.hpp"

namespace kvcache_test {

inline void fuzz_config_json(std::string_view bytes) {
  const InputFile file(bytes);
  attempt([&] {
    const kvcache::ModelConfig config = kvcache::read_config(file.path());
    kvcache::check_config(config);
    must(config.parameters() > 0, "a model without weights");
    must(config.qkv_size() > 0 && config.up_size() > 0, "a layer without outputs");
    if (config.position != kvcache::PositionKind::rope) return;
    const kvcache::Rope<float> rope(config.head_dim, config.rope_theta, config.rope_pairs, config.rope_divisors);
    std::vector<float> angles(std::size_t(config.head_dim));
    rope.angles(config.max_positions - 1, angles.data());
    for (const float angle : angles) must(angle >= -1 && angle <= 1, "a sine or cosine that is none");
  });
  attempt([&] { kvcache::detail::shards_of(file.path()); });
}

}  // namespace kvcache_test
