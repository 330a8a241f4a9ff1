// One layer and its cache: keys and values are appended as tokens come; attention reads them block by block.
// g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/02_a_growing_cache.cpp && ./a.out
#include <cstdio>
#include <kvcache/attention/attention.hpp>
#include <kvcache/cache/contiguous_cache.hpp>
#include <kvcache/core/random.hpp>

int main() {
  const kvcache::CacheShape shape{.layers = 1, .kv_heads = 2, .head_dim = 8};
  const int q_heads = 4;  // two query heads share each kv head: grouped-query attention
  kvcache::GrowingCache<> cache(shape);
  kvcache::Attention<float> attention(q_heads);
  kvcache::Random random(1);
  const auto row_of = [&](int heads) {  // stands for the projections of one token
    kvcache::Matrix<float> row(1, heads * shape.head_dim);
    for (float& x : row.reshaped()) x = float(random.uniform(-1, 1));
    return row;
  };

  std::printf("%zu bytes a token: 2 x %d layer x %d kv heads x %d numbers x 4 bytes\n\n", shape.bytes_per_token(4),
              shape.layers, shape.kv_heads, shape.head_dim);
  std::printf("token  computed   reused     used bytes  reserved  copied so far\n");
  for (int token = 0; token < 9; ++token) {
    const auto query = row_of(q_heads), key = row_of(shape.kv_heads), value = row_of(shape.kv_heads);
    kvcache::Matrix<float> output(1, q_heads * shape.head_dim);
    kvcache::Work work;
    attention.append_and_attend(cache, /*layer*/ 0, kvcache::in(key), kvcache::in(value), kvcache::in(query), token,
                                kvcache::out(output), work);
    const kvcache::MemoryUse memory = cache.memory();
    const int reused = int(work.tokens_reused);  // of earlier tokens, as attention counted what it read
    std::printf("%5d  1 K, 1 V   %d K, %d V   %10zu  %8zu  %13zu\n", token + 1, reused, reused, memory.used_bytes,
                memory.reserved_bytes, memory.copied_bytes);
  }

  std::printf("\nThe keys of head 0 as attention reads them (first three numbers of each row):\n");
  cache.for_each_block(/*layer*/ 0, /*kv head*/ 0, [](const auto& block) {
    for (int r = 0; r < block.rows(); ++r)
      std::printf("  position %d: %6.3f %6.3f %6.3f ...\n", block.position(r), double(block.keys.matrix()(r, 0)),
                  double(block.keys.matrix()(r, 1)), double(block.keys.matrix()(r, 2)));
  });
}
