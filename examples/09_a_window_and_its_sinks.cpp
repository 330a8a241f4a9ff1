// A window keeps the first tokens and the newest ones: which token lies in which slot, and who had to go.
// g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/09_a_window_and_its_sinks.cpp && ./a.out
#include <cstdio>
#include <kvcache/cache/sliding_window_cache.hpp>

struct SayWhoLeft {  // an observer: anything that can be called with an event
  void operator()(const kvcache::Evicted& event) const {
    std::printf("  <- token %d left slot %d: %s", event.position, event.slot, name(event.reason));
  }
};

int main() {
  using Cache = kvcache::SlidingWindowCache<kvcache::FloatRows<float>, SayWhoLeft>;
  const kvcache::CacheShape shape{.layers = 1, .kv_heads = 1, .head_dim = 2};
  Cache cache(shape, {.sinks = 2, .recent = 4, .positions = kvcache::SinkPositions::shifted});
  const kvcache::Matrix<float> row = kvcache::Matrix<float>::Ones(1, shape.row_size());

  std::printf("2 sinks, then a ring of 4 slots. Each slot shows the position of its token.\n\n");
  for (int token = 0; token < 12; ++token) {
    std::printf("token %2d:", token);
    cache.append(0, token, kvcache::in(row), kvcache::in(row));
    int in_slot[6] = {-1, -1, -1, -1, -1, -1}, gap = 0;
    cache.for_each_block(0, 0, [&](const auto& block) {
      for (int r = 0; r < block.rows(); ++r) in_slot[block.slot(r)] = block.position(r);
      if (block.position_gap != 0) gap = block.position_gap;
    });
    std::printf("\n         ");
    for (int slot = 0; slot < 6; ++slot) std::printf(in_slot[slot] < 0 ? "  ." : " %2d", in_slot[slot]);
    if (gap > 0) std::printf("   the sinks are read as if they stood %d later", gap);
    std::printf("\n");
  }
  std::printf("\n%zu bytes were reserved at the start, and no token took more.\n", cache.memory().reserved_bytes);
}
