// Exercise 9: how many bytes a saved cache takes: what it keeps, and a few to say what it is.
// g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/solutions/09_bytes_of_a_session.cpp && ./a.out
#include <cstdio>
#include <kvcache/cache/contiguous_cache.hpp>
#include <kvcache/cache/evicting_cache.hpp>
#include <kvcache/cache/sliding_window_cache.hpp>

const kvcache::CacheShape shape{.layers = 6, .kv_heads = 2, .head_dim = 32};

template <kvcache::SavableCache Cache>
void show(const char* name, Cache cache) {
  const auto row = kvcache::Matrix<float>::Ones(1, shape.row_size()).eval();
  for (int token = 0; token < 1000; ++token)
    for (int layer = 0; layer < shape.layers; ++layer) cache.append(layer, token, kvcache::in(row), kvcache::in(row));
  kvcache::ByteWriter to;
  cache.save(to);
  const std::size_t rows = cache.memory().used_bytes, all = to.written().size();
  std::printf("%-36s saved: %8zu bytes, of these keys and values: %8zu, others: %5zu\n", name, all, rows, all - rows);
}

int main() {
  std::printf("1000 tokens were read; %zu bytes each\n", shape.bytes_per_token(sizeof(float)));
  show("every token", kvcache::GrowingCache<>(shape));
  show("every token, room for 4000", kvcache::PreallocatedCache<>(shape, 4000));
  show("a window of 4 sinks and 252 recent", kvcache::SlidingWindowCache<>(shape));
  show("heavy hitters, 256", kvcache::HeavyHitterCache<>(shape));
}
