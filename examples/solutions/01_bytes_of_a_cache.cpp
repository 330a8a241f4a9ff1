// Exercise 1: at which length of the text does the cache weigh as much as the weights? Both in 16 bits.
// g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/solutions/01_bytes_of_a_cache.cpp && ./a.out
#include <cstdio>
#include <kvcache/kvcache.hpp>

int main() {
  std::printf("%-13s %14s %14s %15s %12s   COMPUTED\n", "", "weights, bytes", "bytes a token", "as much at",
              "positions");
  for (const char* name : {"smollm2-135m", "gpt2-medium", "llama-2-7b", "llama-3.1-8b"}) {
    const kvcache::ModelConfig config = kvcache::config_of_shape(name);
    const long long weights = 2 * static_cast<long long>(config.parameters());
    const long long token = 2LL * config.layers * config.kv_heads * config.head_dim * 2;
    std::printf("%-13s %14lld %14lld %8lld tokens %12d\n", name, weights, token, weights / token, config.max_positions);
  }
}
