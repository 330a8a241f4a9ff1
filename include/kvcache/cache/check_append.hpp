// What every append must hold, whatever the policy.
#pragma once

#include "kvcache/core/check.hpp"

namespace kvcache {

/// Errors: keys or values of another width than the cache's rows; positions out of order; more tokens than chunk_limit.
template <class Cache, class Rows>
void check_append(const char* name, const Cache& cache, int layer, int first_position, const Rows& keys,
                  const Rows& values) {
  const int row = cache.shape().row_size();
  if (layer < 0 || layer >= cache.shape().layers)
    fail(name, ": layer ", layer, " given, but the cache has ", cache.shape().layers,
         "; build it with the model's shape");
  if (keys.cols() != row || values.cols() != row || keys.rows() != values.rows())
    fail(name, ": keys [", keys.rows(), ", ", keys.cols(), "] and values [", values.rows(), ", ", values.cols(),
         "] must both be [tokens, ", row, "]; split the projections into kv_heads * head_dim columns");
  if (first_position != cache.length(layer))
    fail(name, ": position ", first_position, " given, but layer ", layer, " holds ", cache.length(layer),
         " tokens; append in order, or rewind or clear the cache first");
  if (keys.rows() > cache.chunk_limit(layer))
    fail(
        name, ": ", keys.rows(), " tokens given, but layer ", layer, " can take only ", cache.chunk_limit(layer),
        " before it forgets rows that these tokens must see; use append_and_attend, or pieces of chunk_limit() tokens");
}

}  // namespace kvcache
