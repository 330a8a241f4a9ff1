// A stranger's program with a GPU: it must compile; without a device it says so.
#include <cstdio>

#include "kvcache/cache/contiguous_cache.hpp"
#include "kvcache/cuda/transformer.cuh"
#include "kvcache/model/shapes.hpp"

int main() {
  try {
    const auto model = kvcache::random_model<float>(kvcache::config_of_shape("tiny"));
    kvcache::cuda::Stream stream;
    kvcache::cuda::DeviceTransformer<float> transformer(model, stream);
    kvcache::GrowingCache<kvcache::cuda::DeviceRows> cache(model.config.cache_shape(), 0,
                                                           kvcache::cuda::DeviceOptions{.stream = &stream});
    const std::vector<int> prompt{1, 2, 3};
    std::printf("token %d\n", transformer.step_greedy(cache, prompt));
  } catch (const kvcache::Error& error) {
    std::printf("%s\n", error.what());
  }
}
