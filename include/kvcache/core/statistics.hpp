// Middles and spreads of repeated measurements. Medians, because a busy machine only ever makes a time longer.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "kvcache/core/check.hpp"

namespace kvcache {

/// The value below which the fraction q of the sorted numbers lies, between neighbours by a straight line: 0 is the
/// least, 0.5 the median, 1 the largest. Errors: no numbers; q outside 0 to 1.
inline double quantile(std::vector<double> numbers, double q) {
  check(!numbers.empty() && q >= 0 && q <= 1, "quantile: ", q, " of ", numbers.size(),
        " numbers asked for; it takes at least one number, and a fraction from 0 to 1");
  std::sort(numbers.begin(), numbers.end());
  const double place = q * double(numbers.size() - 1);
  const std::size_t below = std::size_t(place), above = std::min(below + 1, numbers.size() - 1);
  return numbers[below] + (place - std::floor(place)) * (numbers[above] - numbers[below]);
}
inline double median(std::vector<double> numbers) { return quantile(std::move(numbers), 0.5); }

}  // namespace kvcache
