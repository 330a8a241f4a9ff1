// A decoding step reads every weight and the whole cache once. So bytes / bandwidth says how long it takes at least.
// g++ -std=c++20 -O3 -march=native -Iinclude -I/usr/include/eigen3 examples/19_the_bandwidth_of_a_step.cpp
// ./a.out
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <kvcache/kvcache.hpp>

/// The shortest of some runs: what disturbs a run only makes it longer.
double seconds_of(int runs, const auto& work) {
  double best = 1e9;
  for (int run = 0; run < runs; ++run) {
    const auto start = std::chrono::steady_clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

int main() {
  kvcache::ModelConfig config = kvcache::config_of_shape("smollm2-135m");
  config.layers = 6, config.vocab = 4096;  // a part of the model: the rule is the same
  const auto model = kvcache::random_model<float>(config);
  kvcache::Transformer<float> transformer(model);
  const double weights = double(config.parameters()) * sizeof(float);

  Eigen::VectorXf memory = Eigen::VectorXf::Constant(1 << 25, 1);  // 128 MiB: more than the processor's own caches hold
  double sum = 0;
  const double seconds = seconds_of(5, [&] { sum += double(memory.sum()); });
  const double bandwidth = double(memory.size()) * sizeof(float) / seconds;
  std::printf("memory is read at %.1f GB/s by one thread   MEASURED\n\n", bandwidth / 1e9);
  std::printf("weights: %.1f MB, each read once a step\n", weights / 1e6);
  for (const int length : {16, 512, 2048}) {
    kvcache::PreallocatedCache<> cache(config.cache_shape(), length + 8);
    for (int done = 0; done < length; done += 16) transformer.step(cache, std::vector<int>(16, 1));
    const double rows = double(cache.memory().used_bytes);
    const double step = seconds_of(5, [&] { transformer.step(cache, std::vector<int>{1}); });
    std::printf("\n%4d tokens: keys and values are %.1f MB, %.0f %% of what is read\n", length, rows / 1e6,
                100 * rows / (rows + weights));
    std::printf("  at least %.2f ms a step, by the rule   COMPUTED from what is MEASURED\n",
                1e3 * (weights + rows) / bandwidth);
    std::printf("  a step takes %.2f ms: %.1f GB/s   MEASURED\n", 1e3 * step, (weights + rows) / step / 1e9);
  }
  return sum == 0;  // so that nothing is optimised away
}
