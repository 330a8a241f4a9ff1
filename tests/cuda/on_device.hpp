// What tests of kernels share: numbers to and from the device, and every order in which threads may run.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "kvcache/core/random.hpp"
#include "kvcache/cuda/device_memory.cuh"

namespace kvcache::cuda {

inline std::vector<float> random_floats(std::size_t count, Random& random, double size = 1) {
  std::vector<float> numbers(count);
  for (float& x : numbers) x = float(random.uniform(-size, size));
  return numbers;
}
template <class Number>
DeviceMemory<Number> on_device(const std::vector<Number>& numbers) {
  return DeviceMemory<Number>(std::span<const Number>(numbers));
}
template <class Number>
std::vector<Number> on_host(const DeviceMemory<Number>& memory) {
  std::vector<Number> numbers(memory.size());
  memory.download(numbers);
  return numbers;
}

/// Runs a kernel's test, which returns what the kernel wrote. On the CPU: with blocks and threads in forward, reverse
/// and random order, and blocks in two threads, and the bytes must be the same. On a device, and where races are looked
/// for, which show in any order: once.
template <class Run>
auto in_each_order(Run&& run) {
#if defined(__CUDACC__) || defined(SIMT_TSAN)
  return run();
#else
  const simt::options before = simt::config();
  const auto first = run();
  const auto again = [&](simt::order order, unsigned threads, std::uint64_t seed) {
    simt::config().thread_order = simt::config().block_order = order;
    simt::config().os_threads = threads, simt::config().seed = seed;
    const auto other = run();
    simt::config() = before;
    REQUIRE(other.size() == first.size());
    CHECK(std::memcmp(other.data(), first.data(), first.size() * sizeof(first[0])) == 0);
  };
#if !defined(SIMT_ASAN)  // which is slow, and looks at memory, not at orders
  again(simt::order::reverse, 1, 1);
  again(simt::order::random, 1, 7);
#endif
  again(simt::order::random, 2, 8);
  return first;
#endif
}

/// The largest difference from numbers computed in double; infinite if one is not a number.
inline double worst(const std::vector<float>& numbers, const std::vector<double>& expected) {
  REQUIRE(numbers.size() == expected.size());
  double most = 0;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const double difference = std::fabs(double(numbers[i]) - expected[i]);
    most = std::isnan(difference) ? HUGE_VAL : std::max(most, difference);
  }
  return most;
}

}  // namespace kvcache::cuda
