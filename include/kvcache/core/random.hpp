// Random numbers that are the same on every machine: the standard library fixes its engines, but not its distributions.
#pragma once

#include <cstdint>

namespace kvcache {

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014): a counter, and a function
/// that scrambles it. Any seed will do. Not std::mt19937_64, because <random> takes a third of a second to compile.
class Random {
 public:
  explicit Random(std::uint64_t seed) : counter_(seed) {}
  /// Random(state()) goes on from here.
  std::uint64_t state() const { return counter_; }
  /// 64 random bits.
  std::uint64_t bits() {
    std::uint64_t z = counter_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  /// Uniform in [0, 1), 53 random bits.
  double uniform() { return double(bits() >> 11) * 0x1p-53; }
  /// Uniform from low to high; rounding may give high itself.
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Uniform in [0, count), for counts far below 2^53.
  int below(int count) { return int(uniform() * count); }

 private:
  std::uint64_t counter_;
};

}  // namespace kvcache
