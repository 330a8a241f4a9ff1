// Fills a cache without a model: any number of rows, in pieces that the cache can take.
#pragma once

#include <algorithm>

#include "kvcache/cache/concept.hpp"
#include "kvcache/core/check.hpp"

namespace kvcache {

/// keys, values [n, kv_heads * head_dim], of the tokens that follow what the layer has: n may be larger than
/// chunk_limit(). Nobody attends in between, so a cache that learns from attention learns nothing. (A model must attend
/// after each piece: Attention::append_and_attend.) Errors: those of append; a chunk_limit below 1.
template <KeyValueCache Cache, class Scalar = typename Cache::Scalar>
void append_in_pieces(Cache& cache, int layer, MatrixIn<Scalar> keys, MatrixIn<Scalar> values) {
  check(keys.rows() == values.rows(), "append_in_pieces: ", keys.rows(), " keys and ", values.rows(),
        " values given; each token has one of each");
  for (int done = 0, piece; done < keys.rows(); done += piece) {
    piece = std::min(int(keys.rows()) - done, cache.chunk_limit(layer));
    check(piece > 0, "append_in_pieces: the cache's chunk_limit is ", piece, "; it must be at least 1");
    cache.append(layer, cache.length(layer), in(keys.middleRows(done, piece)), in(values.middleRows(done, piece)));
  }
}

}  // namespace kvcache
