// Random numbers that are the same on every machine: the standard fixes the engine, but not the distributions.
#pragma once

#include <cstdint>
#include <random>

namespace kvcache {

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  /// Uniform in [0, 1), 53 random bits.
  double uniform() { return double(engine_() >> 11) * 0x1p-53; }
  /// Uniform from low to high; rounding may give high itself.
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Uniform in [0, count), for counts far below 2^53.
  int below(int count) { return int(uniform() * count); }

 private:
  std::mt19937_64 engine_;
};

}  // namespace kvcache
