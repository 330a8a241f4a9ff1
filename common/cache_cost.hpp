// What a text of some length takes in a cache, as the cache counts it itself: it is filled with zeros and asked.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "common/caches.hpp"

namespace kvcache {

/// Of a model's shape. One layer and one head are filled, for all heads of a layer, and all layers of one spec, take
/// the same. [COMPUTED] Errors: those of make_cache.
inline MemoryUse memory_of(const std::string& cache, CacheShape shape, int tokens) {
  const auto of_one_head = [&](const std::string& spec) {
    auto one = make_cache(spec, {1, 1, shape.head_dim}, tokens);
    while (one.length(0) < tokens) {
      const int rows = std::min({tokens - one.length(0), one.chunk_limit(0), 1024});
      const Matrix<float> zeros = Matrix<float>::Zero(rows, shape.head_dim);
      one.append(0, one.length(0), in(zeros), in(zeros));
    }
    return one.memory();
  };
  std::vector<std::string> specs(std::size_t(shape.layers), cache);
  if (cache.starts_with("layers:")) specs = detail::specs_of_layers(cache.substr(7), shape.layers);
  std::map<std::string, MemoryUse> known;
  MemoryUse sum;
  for (const std::string& spec : specs) {
    auto found = known.find(spec);
    if (found == known.end()) found = known.emplace(spec, of_one_head(spec)).first;
    for (int head = 0; head < shape.kv_heads; ++head) sum += found->second;
  }
  return sum;
}

}  // namespace kvcache
