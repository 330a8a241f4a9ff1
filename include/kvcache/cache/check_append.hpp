// What every policy checks: the shape it is made for, the layer it is asked about, the rows it is given, how far it is to
// go back.
#pragma once

#include <cstddef>
#include <vector>

#include "kvcache/cache/shape.hpp"
#include "kvcache/core/check.hpp"
#include "kvcache/core/checked_size.hpp"

namespace kvcache {

/// Errors: sizes below 1; rows of more numbers than can be counted.
inline void check_shape(const char* name, CacheShape shape) {
  check(shape.layers > 0 && shape.kv_heads > 0 && shape.head_dim > 0, name, ": ", shape.layers, " layers, ",
        shape.kv_heads, " kv heads of ", shape.head_dim, " asked for; each must be at least 1");
  check(std::int64_t(shape.kv_heads) * shape.head_dim <= most_slots, name, ": ", shape.kv_heads, " kv heads of ",
        shape.head_dim, " numbers asked for; a row has at most ", most_slots);
}

namespace detail {
/// What a policy keeps for one layer. A cache that was moved from keeps nothing: its length is 0, it can be cleared and
/// assigned to, and all else is an Error. Errors: there is no such layer.
template <class Layers>
auto& at_layer(Layers& layers, int layer) {
  if (layer < 0 || std::size_t(layer) >= layers.size())
    fail("layer ", layer, " asked for, but the cache has ", layers.size(),
         layers.empty() ? ": it was moved from; use the cache that it was moved to" : "");
  return layers[std::size_t(layer)];
}
inline int length_at(const std::vector<int>& lengths, int layer) {
  return lengths.empty() ? 0 : at_layer(lengths, layer);
}
}  // namespace detail

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
  if (keys.rows() > most_slots - first_position)
    fail(name, ": ", keys.rows(), " tokens after ", first_position, " given, but a text has at most ", most_slots,
         "; clear the cache");
  if (keys.rows() > cache.chunk_limit(layer))
    fail(
        name, ": ", keys.rows(), " tokens given, but layer ", layer, " can take only ", cache.chunk_limit(layer),
        " before it forgets rows that these tokens must see; use append_and_attend, or pieces of chunk_limit() tokens");
}

/// Errors: fewer than 0 tokens to stay; fewer than what can be gone back to, but 0.
template <class Cache>
void check_rewind(const char* name, const Cache& cache, int length) {
  check(length >= 0, name, ": rewind to ", length, " tokens asked for; at least 0 must stay");
  const int least = cache.least_rewind();
  check(length == 0 || length >= least, name, ": rewind to ", length, " tokens asked for, but the first ", least,
        " are forgotten or packed for good; rewind no further than that, or to 0, or take a cache that keeps them whole");
}

}  // namespace kvcache
