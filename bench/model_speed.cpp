// How fast a model runs: prefill of 512 tokens, and decoding at depths 8, 512 and 4,096, in tokens per second; and the
// seconds for 100 tokens after a prompt of 7, with and without a cache. One JSON object, to be compared in turns with
// others (bench/peers/run.py); `kvcache race` measures for people.
//   model_speed smollm2.gguf             model_speed shape:gpt2-medium --text
#include <algorithm>
#include <cstdio>
#include <string>

#include "common/model_choice.hpp"
#include "kvcache/core/statistics.hpp"

using namespace kvcache;

namespace {

double now() { return std::chrono::duration<double>(Timed::Clock::now().time_since_epoch()).count(); }

std::vector<int> some_tokens(int count, int vocab) {
  std::vector<int> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back((i * 7919 + 11) % vocab);
  return tokens;
}

/// Of three, the median: the first steps after a pause are slow.
double median_of_three(const auto& measure) {
  std::vector<double> all;
  for (int i = 0; i < 3; ++i) all.push_back(measure());
  return median(all);
}

double prefill_speed(Transformer<float>& transformer, PreallocatedCache<>& cache, int tokens) {
  const std::vector<int> text = some_tokens(tokens, transformer.config().vocab);
  return median_of_three([&] {
    cache.clear();
    const double start = now();
    transformer.step(cache, text);
    return tokens / (now() - start);
  });
}

double decode_speed(Transformer<float>& transformer, PreallocatedCache<>& cache, int depth) {
  constexpr int steps = 32;
  cache.clear();
  transformer.step(cache, some_tokens(depth, transformer.config().vocab));
  return median_of_three([&] {
    cache.rewind(depth);
    const double start = now();
    for (int i = 0; i < steps; ++i) transformer.step(cache, std::vector{1000 + i});
    return steps / (now() - start);
  });
}

double text_seconds(Transformer<float>& transformer, PreallocatedCache<>& cache, bool use_cache) {
  cache.clear();
  const double start = now();
  generate(transformer, cache, some_tokens(7, transformer.config().vocab), {.tokens = 100, .use_cache = use_cache});
  return now() - start;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 2) return std::fprintf(stderr, "usage: model_speed MODEL [--text]\n"), 2;
  const bool text = argc > 2 && std::string(argv[2]) == "--text";
  const double start = now();
  const ModelChoice choice = choose_model(argv[1]);
  const Model<float> model = load<float>(choice, 1);
  Transformer<float> transformer(model);
  PreallocatedCache<> cache(choice.config.cache_shape(), text ? 128 : 4160);
  transformer.step(cache, some_tokens(7, choice.config.vocab));
  const double first_token = now() - start;
  if (text)
    std::printf("{\"cached\": %.3f, \"uncached\": %.3f}\n", text_seconds(transformer, cache, true),
                text_seconds(transformer, cache, false));
  else
    std::printf(
        "{\"first_token\": %.3f, \"prefill_512\": %.1f, \"decode_8\": %.1f, \"decode_512\": %.1f, \"decode_4096\": "
        "%.1f}\n",
        first_token, prefill_speed(transformer, cache, 512), decode_speed(transformer, cache, 8),
        decode_speed(transformer, cache, 512), decode_speed(transformer, cache, 4096));
  return 0;
} catch (const Error& error) {
  return std::fprintf(stderr, "%s\n", error.what()), 1;
}
