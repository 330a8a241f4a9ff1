// What the rungs of a ladder share: the problem, what a rung costs, and what a device could make of that.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <random>
#include <span>
#include <vector>

#include "kvcache/cuda/device_memory.cuh"

namespace ladder {

using kvcache::cuda::DeviceMemory;
using kvcache::cuda::Stream;

/// What a kernel asks of a device. [COMPUTED]
struct Cost {
  double bytes;       // that its threads ask memory for; what a cache on the way answers is not taken off
  double operations;  // multiplications and additions
  double threads;     // that it starts
  double on_the_way;  // bytes that each of them has asked for before it must wait for the first
};

/// Figures of a card from its data sheet; the latency is a usual one, of memory behind all caches.
struct Device {
  // An A100 40 GB: bytes/s, float operations/s, seconds, threads that run at the same time.
  double bandwidth = 1555e9, operations = 19.5e12, latency = 600e-9, threads = 108 * 2048;

  /// The roofline: seconds if the slower of memory and arithmetic is always busy.
  double roofline(const Cost& c) const { return std::max(c.bytes / bandwidth, c.operations / operations); }
  /// Seconds if no more bytes are on the way than the threads have asked for: memory is idle the rest of its latency.
  double waiting(const Cost& c) const {
    const double on_the_way = std::min(c.threads, threads) * c.on_the_way;
    return std::max(roofline(c), c.bytes / on_the_way * latency);
  }
};

inline std::vector<float> random_numbers(std::size_t size, unsigned seed) {
  std::mt19937 chance(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> numbers(size);
  for (float& number : numbers) number = uniform(chance);
  return numbers;
}
inline DeviceMemory<float> on_device(const std::vector<float>& numbers) {
  return DeviceMemory<float>(std::span<const float>(numbers));
}
inline std::vector<float> on_host(const DeviceMemory<float>& numbers) {
  std::vector<float> copy(numbers.size());
  numbers.download(copy);
  return copy;
}

}  // namespace ladder
