// Exercises 4 and 5: how many tokens a ring takes at once, and what a rewind would need that it has not.
// g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/solutions/04_a_ring.cpp && ./a.out
#include <cstdio>
#include <kvcache/cache/contiguous_cache.hpp>
#include <kvcache/cache/sliding_window_cache.hpp>

static_assert(!kvcache::RewindableCache<kvcache::SlidingWindowCache<>>);  // the type says so already
static_assert(kvcache::RewindableCache<kvcache::GrowingCache<>>);

const kvcache::CacheShape shape{.layers = 1, .kv_heads = 1, .head_dim = 2};
using Window = kvcache::SlidingWindowCache<>;

void append(Window& cache, int tokens) {
  const auto rows = kvcache::Matrix<float>::Ones(tokens, shape.row_size()).eval();
  cache.append(0, cache.length(0), kvcache::in(rows), kvcache::in(rows));
}
Window window_of(int tokens) {  // that many were read
  Window cache(shape, {.sinks = 2, .recent = 6});
  for (int t = 0; t < tokens; ++t) append(cache, 1);
  return cache;
}
void print_kept(const Window& cache) {
  cache.for_each_block(0, 0, [](const auto& block) {
    for (int r = 0; r < block.rows(); ++r) std::printf(" %d", block.position(r));
  });
  std::printf("\n");
}

int main() {
  std::printf("A window of 2 sinks and 6 recent tokens.\ntokens read  chunk limit\n");
  for (const int tokens : {0, 1, 5, 7, 8, 20}) std::printf("%11d %12d\n", tokens, window_of(tokens).chunk_limit(0));

  Window full = window_of(20);
  try {
    append(full, 2);
  } catch (const kvcache::Error& error) {
    std::printf("\nTwo at once, after 20:\n%s\n", error.what());
  }

  std::printf("\nKept after 20 tokens, block by block:        ");
  print_kept(full);
  std::printf("A rewind to 17 would have to bring this back:");
  print_kept(window_of(17));
}
