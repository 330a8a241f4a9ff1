// A compiler, Eigen and the include folder are enough.
#include <cstdio>
#include <kvcache/kvcache.hpp>

int main() {
  const auto model = kvcache::random_model<float>(kvcache::config_of_shape("tiny"));
  kvcache::Transformer<float> transformer(model);
  kvcache::GrowingCache<> cache(model.config.cache_shape());
  const std::vector<int> prompt{1, 2, 3};
  const auto written = kvcache::generate(transformer, cache, prompt, {.tokens = 3});
  std::printf("%zu tokens, %d threads\n", written.size(), kvcache::thread_count());
  return written.size() == 3 ? 0 : 1;
}
