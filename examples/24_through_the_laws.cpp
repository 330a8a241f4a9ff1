// A policy goes through the laws of a cache; then the same with one number wrong. docs/10_write_your_own_policy.md
// g++ -std=c++20 -O1 -Iinclude -Itests -I/usr/include/eigen3 examples/24_through_the_laws.cpp
// tests/cache_laws.cpp tests/allocations.cpp && ./a.out
#define DOCTEST_CONFIG_IMPLEMENT  // the laws report to doctest if asked to; here they are asked for their list instead
#include <doctest/doctest.h>

#include <cstdio>

#include "cache_laws.hpp"
#include "newest_cache.hpp"

const kvcache::CacheShape shape{.layers = 2, .kv_heads = 2, .head_dim = 6};
using Newest = NewestCache<kvcache::FloatRows<double>>;  // in double the laws can ask for 12 digits

/// The same, but it forgets that its bytes stop growing.
struct CountsAll : Newest {
  explicit CountsAll(Newest cache) : Newest(std::move(cache)) {}
  CountsAll clone() const { return CountsAll(Newest::clone()); }
  kvcache::MemoryUse memory() const {
    kvcache::MemoryUse memory = Newest::memory();
    memory.used_bytes = std::size_t(length(0)) * shape().bytes_per_token(sizeof(double));
    memory.reserved_bytes = std::max(memory.reserved_bytes, memory.used_bytes);
    return memory;
  }
};

void try_laws(const char* name, const auto& make) {
  const cache_laws::Policy policy{.keeps = [](int position, int length) { return position >= length - 8; }};
  const auto breaches = cache_laws::broken_laws(make, policy);
  std::printf("%s: %zu laws broken\n", name, breaches.size());
  for (const cache_laws::Breach& breach : breaches) std::printf("  law %d: %s\n", breach.law, breach.how.c_str());
}

int main() {
  try_laws("the newest 8", [] { return Newest(shape, 8); });
  try_laws("the newest 8, but all are counted", [] { return CountsAll(Newest(shape, 8)); });
}
