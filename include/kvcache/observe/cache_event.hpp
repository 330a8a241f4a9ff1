// What may happen to the rows of a cache, beside being appended and read.
#pragma once

#include <cstddef>

namespace kvcache {

struct CacheEvent {
  enum class Kind {
    moved,      // the rows were copied to larger room
    forgotten,  // attention will not see these tokens again: they were evicted, or taken back
    cleared     // everything was forgotten
  };
  Kind kind = Kind::moved;
  int layer = 0;
  int first_position = 0;  // of the tokens concerned
  int rows = 0;            // tokens concerned
  std::size_t bytes = 0;   // copied by this event
  bool operator==(const CacheEvent&) const = default;
};

}  // namespace kvcache
