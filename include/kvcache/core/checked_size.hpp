// Sizes that are products or sums of other sizes: computed where nothing wraps, and refused where they are too large.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>

#include "kvcache/core/check.hpp"

namespace kvcache {

/// Slots, tokens and positions are counted in int. A layer has so many at most, which leaves room to add two such
/// numbers, less one.
inline constexpr int most_slots = 1 << 30;

/// As given, if so many slots can be counted. `what` begins the sentence. Errors: fewer than 0, more than most_slots.
inline int checked_slots(std::string_view what, std::int64_t slots) {
  check(slots >= 0 && slots <= most_slots, what, ": ", slots, " slots asked for; from 0 to ", most_slots,
        " can be counted");
  return int(slots);
}
/// a * b slots, and a + b slots. `what` names the two, for the sentence. Errors: more than most_slots.
inline int slots_product(std::string_view what, int a, int b) {
  const std::int64_t slots = std::int64_t(a) * b;
  check(slots >= 0 && slots <= most_slots, what, ": ", a, " x ", b, " make ", slots, " slots, but at most ", most_slots,
        " can be counted; ask for fewer");
  return int(slots);
}
inline int slots_sum(std::string_view what, int a, int b) {
  const std::int64_t slots = std::int64_t(a) + b;
  check(slots >= 0 && slots <= most_slots, what, ": ", a, " + ", b, " make ", slots, " slots, but at most ", most_slots,
        " can be counted; ask for fewer");
  return int(slots);
}

/// The product of all, in bytes. Errors: more than an object in memory can have.
inline std::size_t bytes_product(std::string_view what, std::initializer_list<std::size_t> factors) {
  constexpr std::size_t most = std::size_t(std::numeric_limits<std::ptrdiff_t>::max());
  std::size_t product = 1;
  bool fits = true;
  for (const std::size_t factor : factors) {
    if (factor == 0) return 0;
    fits = fits && product <= most / factor;
    if (fits) product *= factor;
  }
  if (fits) return product;
  std::string numbers;
  for (const std::size_t factor : factors) numbers += (numbers.empty() ? "" : " x ") + std::to_string(factor);
  fail(what, ": ", numbers, " bytes asked for, more than any memory has; ask for less");
}
/// The sum of two, in bytes. Errors: more than an object in memory can have.
inline std::size_t bytes_sum(std::string_view what, std::size_t a, std::size_t b) {
  constexpr std::size_t most = std::size_t(std::numeric_limits<std::ptrdiff_t>::max());
  check(a <= most && b <= most - a, what, ": ", a, " + ", b,
        " bytes asked for, more than any memory has; ask for less");
  return a + b;
}

}  // namespace kvcache
