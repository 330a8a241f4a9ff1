// Tokens per second of a shape with random weights: prefill of 512, decode at depth 8 and 512, and the same text with
// and without a cache. Best of several windows, for comparisons in turns on one machine; `kvcache race` measures for
// people.
//   decode_speed smollm2-135m 5        decode_speed gpt2-medium 2
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <kvcache/kvcache.hpp>

using namespace kvcache;

namespace {

double now() { return std::chrono::duration<double>(Timed::Clock::now().time_since_epoch()).count(); }

std::vector<int> some_tokens(int count, int vocab) {
  std::vector<int> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back((i * 7919 + 11) % vocab);
  return tokens;
}

double prefill_speed(Transformer<float>& transformer, PreallocatedCache<>& cache, int tokens) {
  const std::vector<int> text = some_tokens(tokens, transformer.config().vocab);
  cache.clear();
  const double start = now();
  transformer.step(cache, text);
  return tokens / (now() - start);
}

double decode_speed(Transformer<float>& transformer, PreallocatedCache<>& cache, int depth, int steps) {
  double best = 0;
  cache.clear();
  transformer.step(cache, some_tokens(depth, transformer.config().vocab));
  for (int window = 0; window < 3; ++window) {
    const double start = now();
    for (int i = 0; i < steps; ++i) transformer.step(cache, std::vector{1000 + i});
    best = std::max(best, steps / (now() - start));
  }
  return best;
}

/// Seconds to write `tokens` tokens after a prompt of 8.
double text_seconds(Transformer<float>& transformer, PreallocatedCache<>& cache, int tokens, bool use_cache) {
  cache.clear();
  const double start = now();
  generate(transformer, cache, some_tokens(8, transformer.config().vocab), {.tokens = tokens, .use_cache = use_cache});
  return now() - start;
}

}  // namespace

int main(int argc, char** argv) {
  const ModelConfig config = config_of_shape(argc > 1 ? argv[1] : "smollm2-135m");
  const int repeats = argc > 2 ? std::atoi(argv[2]) : 5;
  const Model<float> model = random_model<float>(config);
  Transformer<float> transformer(model);
  PreallocatedCache<> cache(config.cache_shape(), 1024);
  double prefill = 0, at_8 = 0, at_512 = 0;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    prefill = std::max(prefill, prefill_speed(transformer, cache, 512));
    at_8 = std::max(at_8, decode_speed(transformer, cache, 8, 8));
    at_512 = std::max(at_512, decode_speed(transformer, cache, 512, 8));
  }
  std::printf("decode@8 %6.1f  decode@512 %6.1f  prefill512 %7.0f tokens/s\n", at_8, at_512, prefill);
  const double with = text_seconds(transformer, cache, 100, true),
               without = text_seconds(transformer, cache, 100, false);
  std::printf("100 tokens: cached %.1f tokens/s, uncached %.1f tokens/s, ratio %.1f\n", 100 / with, 100 / without,
              without / with);
}
