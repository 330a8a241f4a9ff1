// What a cache would be, found out without making it: for whoever asks what it costs, or must not believe a file.
#pragma once

#include <string>

#include "kvcache/cache/concept.hpp"

namespace kvcache {

/// Policies have a function plan(length, ...) beside their constructor, which takes the same and takes no memory.
struct CachePlan {
  MemoryUse memory = {};        // memory() after `length` tokens that came one by one, without copied_bytes [COMPUTED]
  std::size_t first_bytes = 0;  // of memory taken when it is made, before any token comes
  std::string saved_kind = "";  // how what it saves begins
};

namespace detail {

/// What rows of one layer take without being there: for rows that stand alone.
template <SlotRows Rows>
class SlotSizes {
 public:
  SlotSizes(CacheShape shape, const typename Rows::Options& options) : rows_(shape, options) {}
  int slots(int room) const { return room; }  // that there are if `room` are asked for
  std::size_t used_bytes(int length) const { return std::size_t(length) * rows_.bytes_per_slot(); }
  std::size_t reserved_bytes(int slots) const { return std::size_t(slots) * rows_.bytes_per_slot(); }
  std::string format() const { return rows_.format(); }

 private:
  Rows rows_;  // without slots
};

template <RowStore Rows>
struct SizesOf {
  using type = SlotSizes<Rows>;
};
template <GroupedRows Rows>
struct SizesOf<Rows> {
  using type = typename Rows::Sizes;
};

}  // namespace detail

/// Of a row store: the same numbers that its rows would say.
template <RowStore Rows>
using RowSizes = typename detail::SizesOf<Rows>::type;

}  // namespace kvcache
