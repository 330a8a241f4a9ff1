// Counts what the whole process allocates, so that tests can say "nothing" or name the bytes.
#pragma once

#include <cstddef>

namespace allocations {

/// False where malloc cannot be replaced: under sanitizers, and without glibc. Tests then say so and skip.
bool counting();

/// Counts from its construction on. One at a time. Other threads are counted too.
class Ledger {
 public:
  Ledger();
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  /// How often anybody asked for memory.
  long count() const;
  /// Bytes asked for since the construction and not yet given back; exactly as asked, without the allocator's rounding.
  std::size_t live_bytes() const;
};

}  // namespace allocations
