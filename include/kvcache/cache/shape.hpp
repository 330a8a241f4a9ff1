// The sizes a cache needs, and the formula for its bytes.
#pragma once

#include <cstddef>

namespace kvcache {

/// A cache never sees the model: these three numbers are all it knows of it.
struct CacheShape {
  int layers = 0;
  int kv_heads = 0;
  int head_dim = 0;

  int row_size() const { return kv_heads * head_dim; }  // numbers in one key (or value) of one token in one layer

  /// The price of a KV cache: 2 (a key and a value) x layers x kv_heads x head_dim x bytes per number, for each token.
  std::size_t bytes_per_token(std::size_t bytes_per_number) const {
    return std::size_t(2) * std::size_t(layers) * std::size_t(kv_heads) * std::size_t(head_dim) * bytes_per_number;
  }
};

}  // namespace kvcache
