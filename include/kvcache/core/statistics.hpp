// Middles and spreads of repeated measurements. Medians, because a busy machine only ever makes a time longer.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
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

/// Mean and spread of numbers that come one by one. Welford, "Note on a method for calculating corrected sums of
/// squares and products", 1962.
class Spread {
 public:
  void add(double number) {
    const double before = number - mean_;
    ++count_;
    mean_ += before / double(count_);
    squares_ += before * (number - mean_);
  }
  std::int64_t count() const { return count_; }
  double mean() const { return mean_; }
  /// Of the sample; 0 for fewer than two numbers.
  double deviation() const { return count_ < 2 ? 0 : std::sqrt(squares_ / double(count_ - 1)); }
  /// Of the mean, as if the numbers did not depend on each other.
  double standard_error() const { return count_ < 2 ? 0 : deviation() / std::sqrt(double(count_)); }

 private:
  std::int64_t count_ = 0;
  double mean_ = 0, squares_ = 0;
};

}  // namespace kvcache
