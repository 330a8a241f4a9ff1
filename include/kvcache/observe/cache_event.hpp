// What may happen to the rows of a cache, beside being appended and read.
#pragma once

#include <cstddef>
#include <string>

namespace kvcache {

struct CacheEvent {
  enum class Kind {
    moved,      // the rows were copied to larger room
    forgotten,  // attention will not see these tokens again: they were evicted, or taken back
    cleared,    // everything was forgotten
    shared,     // a page of them is in the block table of one text more
    copied,     // they exist twice now: a shared page was about to be written
    packed,     // they were written in fewer bits, for good
    fetched     // blocks of rows that attention read since the last append: from memory, or from slow memory
  };
  Kind kind = Kind::moved;
  int layer = 0;
  int first_position = 0;    // of the tokens concerned
  int rows = 0;              // tokens concerned
  std::size_t bytes = 0;     // copied, or brought back, by this event
  std::string reason = "";   // why they were forgotten, as the policy told; empty: it did not tell
  int references = 0;        // of a shared page: the block tables it stands in
  int hits = 0, misses = 0;  // blocks fetched
  bool operator==(const CacheEvent&) const = default;
};

}  // namespace kvcache
