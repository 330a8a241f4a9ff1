// What a step must hold, whatever computes it.
#pragma once

#include <span>

#include "kvcache/cache/concept.hpp"
#include "kvcache/model/config.hpp"

namespace kvcache {

/// How long a text may get: the model's positions; with rope, any length, if the cache never lets a query look back
/// over more positions than the model has.
template <KeyValueCache Cache>
int longest_text(const ModelConfig& config, const Cache& cache) {
  if constexpr (BoundedCache<Cache>)
    if (config.position == PositionKind::rope && cache.reach() <= config.max_positions) return unlimited;
  return config.max_positions;
}

/// Errors: no tokens, ids outside the vocabulary, more tokens than positions, a cache of another shape, or one that
/// shifts positions which are not in its queries.
template <KeyValueCache Cache>
void check_step(const ModelConfig& c, const Cache& cache, std::span<const int> tokens) {
  const CacheShape shape = cache.shape();
  const int longest = longest_text(c, cache);
  check(!tokens.empty(), "Transformer: no tokens given; at least 1 is needed");
  check(shape.layers == c.layers && shape.kv_heads == c.kv_heads && shape.head_dim == c.head_dim,
        "Transformer: the cache is for ", shape.layers, " layers of ", shape.kv_heads, " kv heads of ", shape.head_dim,
        ", but the model has ", c.layers, " layers of ", c.kv_heads, " of ", c.head_dim,
        "; build the cache with config().cache_shape()");
  check(std::int64_t(cache.length(0)) + std::int64_t(tokens.size()) <= longest, "Transformer: ", tokens.size(),
        " tokens given after ", cache.length(0), ", but the model has positions for ", longest, "; give fewer tokens");
  for (const int token : tokens)
    check(token >= 0 && token < c.vocab, "Transformer: token id ", token, " given, but the vocabulary has ", c.vocab,
          " tokens; was the text tokenised for another model?");
  if constexpr (BoundedCache<Cache>)
    check(!cache.shifts_positions() || c.position == PositionKind::rope,
          "Transformer: the cache shifts positions, which turns queries by rope, but the positions of this model are ",
          "learned vectors inside the keys it stored; take a cache with original positions");
}

/// After a step that failed in its midst, when some layers hold its tokens and others do not: takes them back, so that
/// the cache holds `length` tokens as before. A cache that cannot go back is cleared: the text can be read anew then,
/// while half a step would be another text.
template <KeyValueCache Cache>
void take_back(Cache& cache, int length) {
  bool is_whole = true;
  for (int l = 0; l < cache.shape().layers; ++l) is_whole = is_whole && cache.length(l) == length;
  if (is_whole) return;
  if constexpr (RewindableCache<Cache>)
    if (length >= cache.least_rewind()) return cache.rewind(length);
  cache.clear();  // it has forgotten, or packed, what it would go back to
}

/// Runs a step of `tokens` over the layers, once there is room for them in all. Where it throws, the cache is as
/// take_back leaves it.
template <KeyValueCache Cache, class Run>
void whole_or_not(Cache& cache, int tokens, Run&& run) {
  const int length = cache.length(0);
  if constexpr (PreparableCache<Cache>) cache.prepare(tokens);
  try {
    run();
  } catch (...) {
    take_back(cache, length);
    throw;
  }
}

}  // namespace kvcache
