// The price of a cache: 2 x layers x kv heads x head_dim x bytes for each token. Fewer kv heads, smaller cache.
// Three trained models that differ in nothing but kv heads: MHA (6 of 6), GQA (2 of 6), MQA (1 of 6).
// g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/05_memory_of_heads.cpp -lpcre2-8 && ./a.out
#include <cstdio>
#include <kvcache/io.hpp>
#include <kvcache/kvcache.hpp>

int main() {
  std::printf("model     q heads  kv heads  bytes a token  formula, 100 tokens  in the cache  parameters\n");
  for (const char* name : {"tiny-mha", "tiny", "tiny-mqa"}) {
    const auto model = kvcache::load_model<float>(kvcache::find_model(name));
    const kvcache::CacheShape shape = model.config.cache_shape();
    kvcache::Transformer<float> transformer(model);
    kvcache::PreallocatedCache<> cache(shape, 100);
    const std::vector<int> tokens(100, 1);
    transformer.step(cache, tokens);
    std::printf("%-9s %7d %9d %14zu %20zu %13zu %11lld\n", name, model.config.q_heads, shape.kv_heads,
                shape.bytes_per_token(sizeof(float)), shape.bytes_per_token(sizeof(float)) * 100,
                cache.memory().used_bytes, static_cast<long long>(model.config.parameters()));
  }

  std::printf("\nLarge models, 16-bit numbers, one text of 4,096 tokens   COMPUTED\n");
  for (const char* name : {"gpt2-medium", "llama-2-7b", "llama-3.1-8b", "smollm2-135m"}) {
    const kvcache::ModelConfig config = kvcache::config_of_shape(name);
    std::printf("%-13s %2d query heads, %2d kv heads: %8.1f MiB\n", name, config.q_heads, config.kv_heads,
                double(config.cache_shape().bytes_per_token(2)) * 4096 / (1 << 20));
  }
}
