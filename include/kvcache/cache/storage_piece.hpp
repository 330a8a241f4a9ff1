// Parts of a layer's storage that have a fate of their own: a cache may name them, for whoever draws it.
#pragma once

#include <concepts>
#include <vector>

#include "kvcache/cache/concept.hpp"

namespace kvcache {

struct StoragePiece {
  enum class Kind {
    sinks,    // the first tokens of a text, which never leave
    page,     // of a pool that other texts use too
    in_file,  // blocks that were written out, and are read from slow memory
    packed,   // rows that were packed in groups, for good
    in_host   // blocks that lie in the host's memory, and are brought back to the device to be read
  };
  Kind kind = Kind::page;
  int first_slot = 0, slots = 0;
  int page = -1, references = 1;  // of a page: its number in the pool, and in how many block tables it stands
  bool operator==(const StoragePiece&) const = default;
};

/// Slots that lie in no piece have nothing special: they are in memory, and this text's alone.
template <class C>
concept PiecedCache = KeyValueCache<C> && requires(const C& view, int layer) {
  { view.pieces(layer) } -> std::same_as<std::vector<StoragePiece>>;  // in the order of the text
};

}  // namespace kvcache
