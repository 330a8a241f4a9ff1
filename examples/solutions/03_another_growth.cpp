// Exercise 3: a cache that grows by half instead of doubling. A policy of how much room there is, in one line.
// g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/solutions/03_another_growth.cpp && ./a.out
#include <algorithm>
#include <cstdio>
#include <kvcache/cache/contiguous_cache.hpp>

struct GrowByHalf {
  static constexpr const char* name = "GrowByHalf";
  static int room(int slots, int needed) { return needed <= slots ? slots : std::max(needed, slots + slots / 2); }
};

template <class Growth>
void fill(const char* name) {
  const kvcache::CacheShape shape{.layers = 6, .kv_heads = 2, .head_dim = 32};
  kvcache::ContiguousCache<kvcache::FloatRows<>, Growth> cache(shape);
  const kvcache::Matrix<float> row = kvcache::Matrix<float>::Ones(1, shape.row_size());
  double most_unused = 0;
  for (int token = 0; token < 1000; ++token) {
    for (int layer = 0; layer < shape.layers; ++layer) cache.append(layer, token, kvcache::in(row), kvcache::in(row));
    if (token >= 10) most_unused = std::max(most_unused, 1 - (token + 1.0) / cache.slots(0));
  }
  const double rows = double(cache.memory().copied_bytes) / double(shape.bytes_per_token(sizeof(float)));
  std::printf("%-10s room for %4d tokens, %4.2f copies of each token, at most %2.0f %% unused\n", name, cache.slots(0),
              rows / 1000, 100 * most_unused);
}

int main() {
  std::printf("1000 tokens, one at a time; unused: from the 11th token on\n");
  fill<kvcache::GrowByCopy>("by copy");
  fill<GrowByHalf>("by half");
  fill<kvcache::GrowByDoubling>("by double");
}
