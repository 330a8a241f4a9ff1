// What every write, copy, resize and read of a row store must hold: a slot that is not there is somebody else's memory.
#pragma once

#include <cstdint>

#include "kvcache/cache/shape.hpp"
#include "kvcache/core/check.hpp"

namespace kvcache {

constexpr bool are_slots(std::int64_t first, std::int64_t count, std::int64_t slots) {
  return first >= 0 && count >= 0 && first + count <= slots;
}

/// Before rows are written to `first` and on, in a store of `slots`: keys, values [tokens, kv_heads * head_dim].
/// Errors: another width; slots that are not there, which is what a chunk_limit() that promises too much comes to.
template <class Rows>
void check_write(const char* store, CacheShape shape, int slots, int first, const Rows& keys, const Rows& values) {
  const int row = shape.row_size();
  if (keys.cols() != row || values.cols() != row || keys.rows() != values.rows())
    fail(store, ": keys [", keys.rows(), ", ", keys.cols(), "] and values [", values.rows(), ", ", values.cols(),
         "] must both be [tokens, ", row, "]; split the projections into kv_heads * head_dim columns");
  if (!are_slots(first, keys.rows(), slots))
    fail(store, ": ", keys.rows(), " rows do not fit at slot ", first, " of ", slots,
         "; resize() first, or let chunk_limit() promise no more than there is room for, and cut chunks where a ring "
         "ends");
}

/// Before `count` slots at `from` are copied to those at `to`. Errors: slots that are not there; runs that overlap.
inline void check_copy(const char* store, int slots, std::int64_t from, std::int64_t to, std::int64_t count) {
  if (!are_slots(from, count, slots) || !are_slots(to, count, slots))
    fail(store, ": ", count, " slots cannot be copied from slot ", from, " to slot ", to, ", for there are ", slots,
         "; resize() first");
  if (from < to + count && to < from + count)
    fail(store, ": ", count, " slots at ", from, " and as many at ", to,
         " overlap; copy them in parts that do not, or not at all");
}

/// Before storage of `had` slots becomes storage of `slots`, with the first `keep`. Errors: slots that are in one
/// alone.
inline void check_resize(const char* store, int had, int slots, int keep) {
  if (slots < 0 || !are_slots(0, keep, had) || keep > slots)
    fail(store, ": ", slots, " slots asked for, with the first ", keep, " of ", had,
         " moved to them; ask for at least 0, and keep no more than there are and will be");
}

/// Before slots are read, or filled with saved bytes. Errors: slots that are not there.
inline void check_slots(const char* store, int slots, int first, int count) {
  if (!are_slots(first, count, slots))
    fail(store, ": ", count, " slots at ", first, " asked for, but there are ", slots,
         "; ask for those that were written");
}

}  // namespace kvcache
