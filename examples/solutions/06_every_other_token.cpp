// Exercise 6: a policy of your own before the laws of a cache, and what they say if its chunk limit is wrong.
// g++ -std=c++20 -O1 -Iinclude -Itests -I/usr/include/eigen3 examples/solutions/06_every_other_token.cpp
// tests/cache_laws.cpp tests/allocations.cpp && ./a.out
#define DOCTEST_CONFIG_IMPLEMENT  // the laws report to doctest if asked to; here they are asked for their list instead
#include <doctest/doctest.h>

#include <cstdio>

#include "cache_laws.hpp"
#include "every_other_cache.hpp"

const kvcache::CacheShape shape{.layers = 2, .kv_heads = 2, .head_dim = 6};
using EveryOther = EveryOtherCache<kvcache::FloatRows<double>>;

/// The same, but it promises to take two tokens at any time.
struct TooGreedy : EveryOther {
  explicit TooGreedy(EveryOther cache) : EveryOther(std::move(cache)) {}
  TooGreedy clone() const { return TooGreedy(EveryOther::clone()); }
  int chunk_limit(int) const { return 2; }
  void append(int layer, int first, kvcache::MatrixIn<double> keys, kvcache::MatrixIn<double> values) {
    for (int t = 0; t < keys.rows(); ++t)
      EveryOther::append(layer, first + t, kvcache::in(keys.middleRows(t, 1)), kvcache::in(values.middleRows(t, 1)));
  }
};

void try_laws(const char* name, const auto& make) {
  const cache_laws::Policy policy{.keeps = [](int p, int length) { return p % 2 == 0 || p == length - 1; }};
  const auto breaches = cache_laws::broken_laws(make, policy);
  std::printf("%s: %zu laws broken\n", name, breaches.size());
  for (const cache_laws::Breach& breach : breaches) std::printf("  law %d: %s\n", breach.law, breach.how.c_str());
}

int main() {
  try_laws("every other token", [] { return EveryOther(shape); });
  try_laws("with a chunk limit of 2 at any time", [] { return TooGreedy(EveryOther(shape)); });
}
