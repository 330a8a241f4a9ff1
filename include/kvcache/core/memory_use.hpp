// What a cache costs, in bytes.
#pragma once

#include <cstddef>

namespace kvcache {

struct MemoryUse {
  std::size_t used_bytes = 0;         // keys and values that attention will read: the formula of cache/shape.hpp
  std::size_t reserved_bytes = 0;     // room for keys and values, used or not
  std::size_t slow_bytes = 0;         // of the reserved ones, those in slower memory (a file)
  std::size_t bookkeeping_bytes = 0;  // stored positions, page tables: what the policy must remember beyond rows
  std::size_t copied_bytes = 0;       // moved so far to make room: traffic, not space

  MemoryUse& operator+=(const MemoryUse& other) {
    used_bytes += other.used_bytes, reserved_bytes += other.reserved_bytes, slow_bytes += other.slow_bytes;
    bookkeeping_bytes += other.bookkeeping_bytes, copied_bytes += other.copied_bytes;
    return *this;
  }
};

}  // namespace kvcache
