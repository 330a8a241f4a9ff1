// The benchmark that started this project, in a user's code: the same text with and without the KV cache, five times
// g++ -std=c++20 -O3 -march=native -Iinclude -I/usr/include/eigen3 examples/04_the_benchmark.cpp -lpcre2-8
// ./a.out
#include <chrono>
#include <cmath>
#include <cstdio>
#include <kvcache/io.hpp>
#include <kvcache/kvcache.hpp>

using Clock = std::chrono::steady_clock;

int main() {
  const auto folder = kvcache::find_model("tiny");
  const auto model = kvcache::load_model<float>(folder);
  const auto tokenizer = kvcache::load_tokenizer(folder);
  kvcache::Transformer<float> transformer(model);
  const std::vector<int> prompt = tokenizer.encode("Explain KV caching in transformers.");

  std::vector<int> texts[2];
  double means[2];
  for (const bool use_cache : {true, false}) {
    double sum = 0, sum_of_squares = 0;
    const int repeats = 5;
    for (int repeat = -1; repeat < repeats; ++repeat) {  // the first is a warm-up
      kvcache::GrowingCache<> cache(model.config.cache_shape());
      const auto start = Clock::now();
      texts[use_cache] = kvcache::generate(transformer, cache, prompt, {.tokens = 200, .use_cache = use_cache});
      const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
      if (repeat >= 0) sum += seconds, sum_of_squares += seconds * seconds;
    }
    const double mean = means[use_cache] = sum / repeats;
    const double deviation = std::sqrt(std::max(0.0, sum_of_squares / repeats - mean * mean));
    std::printf("%s KV caching: %.3f +- %.3f seconds   MEASURED\n", use_cache ? "with" : "without", mean, deviation);
  }
  std::printf("%.1f times faster   MEASURED\n", means[false] / means[true]);
  std::printf("the same %zu tokens: %s\n", texts[0].size(), texts[0] == texts[1] ? "yes" : "no");
}
