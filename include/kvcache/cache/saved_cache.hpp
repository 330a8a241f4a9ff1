// What every saved cache begins with, and how its rows become bytes and rows again.
#pragma once

#include <locale>
#include <sstream>
#include <string>

#include "kvcache/cache/concept.hpp"
#include "kvcache/core/byte_stream.hpp"
#include "kvcache/core/check.hpp"
#include "kvcache/core/checked_size.hpp"

namespace kvcache::detail {

/// In words, all that two caches must have in common for one to read what the other saved: the format of the rows, the
/// shape, and what the policy says. So bytes that were meant for another cache are refused, and the error says what
/// they are. The words are the same in every locale.
template <class... Parts>
std::string saved_kind(const std::string& format, CacheShape shape, const Parts&... policy) {
  std::ostringstream text;
  text.imbue(std::locale::classic());
  (text << ... << policy);
  text << ", " << shape.layers << " layers of " << shape.kv_heads << " kv heads of " << shape.head_dim << ", rows "
       << format;
  return text.str();
}

/// Writes the kind and the length, and returns the length. Errors: layers that differ.
template <class Cache>
int begin_save(ByteWriter& to, const Cache& cache, const std::string& kind) {
  const int length = cache.length(0);
  for (int l = 1; l < cache.shape().layers; ++l)
    check(cache.length(l) == length, "save: layer 0 holds ", length, " tokens and layer ", l, " ", cache.length(l),
          "; the cache is in the middle of a step: save it between steps");
  to.text(kind);
  to.number(std::int32_t(length));
  return length;
}
/// The way back. Errors: another kind; an impossible length.
inline int begin_load(ByteReader& from, const std::string& kind) {
  const std::string saved = from.text();
  check(saved == kind, from.name(), ": the saved cache is \"", saved, "\", but this one is \"", kind,
        "\"; load it into one that was made alike");
  const int length = from.number<std::int32_t>();
  check(length >= 0 && length <= most_slots, from.name(), ": the saved cache holds ", length,
        " tokens, it says; it must be from 0 to ", most_slots);
  return length;
}

/// Slots [first, first + count).
template <StorableRows Rows>
void save_rows(const Rows& rows, int first, int count, ByteWriter& to) {
  rows.save(first, count, to.room(std::size_t(count) * rows.bytes_per_slot()));
}
template <StorableRows Rows>
void load_rows(Rows& rows, int first, int count, ByteReader& from) {
  rows.load(first, count, from.bytes(std::size_t(count), rows.bytes_per_slot()).data());
}

/// Replaces what the cache holds. A load that fails leaves it empty: half of another text would be worse than none.
template <class Cache>
void load_or_clear(Cache& cache, auto&& load) {
  cache.clear();
  try {
    load();
  } catch (...) {
    cache.clear();
    throw;
  }
}

}  // namespace kvcache::detail
