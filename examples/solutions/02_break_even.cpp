// Exercise 2: how much arithmetic has the cache saved after n written tokens? First predicted, then counted.
// g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/solutions/02_break_even.cpp && ./a.out
#include <cstdio>
#include <kvcache/kvcache.hpp>

int main() {
  kvcache::ModelConfig config = kvcache::config_of_shape("smollm2-135m");
  config.layers = 2, config.vocab = 64;  // the ratio does not depend on the model, nor on its weights
  const auto model = kvcache::random_model<float>(config);
  kvcache::Transformer<float> transformer(model);
  const int prompt = 32, written = 64;
  const std::vector<int> ids(prompt, 1);
  std::vector<long long> multiplications[2];  // [with the cache][steps]: projection and feed-forward, so far
  for (const bool use_cache : {false, true}) {
    long long sum = 0;
    kvcache::GrowingCache<> cache(model.config.cache_shape());
    kvcache::generate(transformer, cache, ids, {.tokens = written, .use_cache = use_cache}, [&](const auto& step) {
      for (const kvcache::Part part : {kvcache::Part::projection, kvcache::Part::feed_forward})
        sum += step.work.multiplications[std::size_t(part)];
      multiplications[use_cache].push_back(sum);
    });
  }
  std::printf("A prompt of %d tokens. Multiplications without the cache, for one with it:\n\n", prompt);
  std::printf("%8s %10s %8s\n", "written", "predicted", "counted");
  for (int n = 1; n <= written; n *= 2) {
    const double without = n * prompt + n * (n - 1) / 2, with = prompt + n - 1;  // tokens that pass through the layers
    const std::size_t step = std::size_t(n - 1);
    std::printf("%8d %10.3f %8.3f\n", n, without / with,
                double(multiplications[false][step]) / double(multiplications[true][step]));
  }
}
