// Where the room for the next token comes from: a full copy each time, doubling, or all at the start.
// g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/06_three_ways_to_grow.cpp && ./a.out
#include <chrono>
#include <cstdio>
#include <kvcache/cache/contiguous_cache.hpp>

const kvcache::CacheShape shape{.layers = 6, .kv_heads = 2, .head_dim = 32};
const int tokens = 1000;

template <kvcache::KeyValueCache Cache>
void fill(const char* name, Cache cache) {
  const kvcache::Matrix<float> row = kvcache::Matrix<float>::Ones(1, shape.row_size());
  int allocations = 0;
  const auto start = std::chrono::steady_clock::now();
  for (int token = 0; token < tokens; ++token) {
    const std::size_t before = cache.memory().reserved_bytes;
    for (int layer = 0; layer < shape.layers; ++layer) cache.append(layer, token, kvcache::in(row), kvcache::in(row));
    allocations += cache.memory().reserved_bytes != before ? shape.layers * 2 : 0;  // keys and values of each layer
  }
  const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
  const kvcache::MemoryUse memory = cache.memory();
  std::printf("%-14s used %8zu  reserved %8zu  copied %10zu bytes  %5d allocations while decoding\n", name,
              memory.used_bytes, memory.reserved_bytes, memory.copied_bytes, allocations);
  std::printf("%-14s %.2f ms   MEASURED\n", "", time.count());
}

int main() {
  std::printf("%d tokens, one at a time; %zu bytes each\n", tokens, shape.bytes_per_token(sizeof(float)));
  fill("concatenating", kvcache::ConcatenatingCache<>(shape));
  fill("growing", kvcache::GrowingCache<>(shape));
  fill("preallocated", kvcache::PreallocatedCache<>(shape, tokens));
  std::printf("\nConcatenating copies n (n - 1) / 2 rows for n tokens: %zu bytes   COMPUTED\n",
              shape.bytes_per_token(sizeof(float)) * tokens * (tokens - 1) / 2);
}
