// What watching costs: the same steps with and without records, in turns.
//   traced_decoding smollm2-135m 200 5        (shape, tokens, repeats)
#include <cstdio>
#include <cstdlib>
#include <kvcache/core/statistics.hpp>
#include <kvcache/kvcache.hpp>
#include <kvcache/observe.hpp>

using namespace kvcache;

namespace {

double seconds_of(const auto& act) {
  const auto start = Timed::Clock::now();
  act();
  return std::chrono::duration<double>(Timed::Clock::now() - start).count();
}

}  // namespace

int main(int argc, char** argv) {
  const ModelConfig config = config_of_shape(argc > 1 ? argv[1] : "smollm2-135m");
  const int tokens = argc > 2 ? std::atoi(argv[2]) : 200, repeats = argc > 3 ? std::atoi(argv[3]) : 5;
  const Model<float> model = random_model<float>(config);
  Transformer<float> transformer(model);
  const std::vector<int> prompt{1, 2, 3, 4, 5, 6, 7, 8};
  std::vector<double> plain, traced, ratio;
  std::size_t bytes = 0;
  for (int repeat = 0; repeat <= repeats; ++repeat) {
    GrowingCache<> cache(config.cache_shape());
    const double without = seconds_of([&] { generate(transformer, cache, prompt, {.tokens = tokens}); });
    TimelineAbout about;
    about.config = config, about.cache = "growing", about.prompt = prompt;
    Timeline timeline(about);
    const double with = seconds_of([&] {
      TracedDecoding<float, GrowingCache<>> decoding(transformer, GrowingCache<>(config.cache_shape()), prompt,
                                                     {.tokens = tokens});
      while (!decoding.done()) timeline.add(decoding.next());
    });
    if (repeat == 0) continue;  // warm-up
    plain.push_back(without), traced.push_back(with), ratio.push_back(with / without);
    bytes = timeline.bytes();
  }
  std::printf("%d tokens: %.3f s plain, %.3f s traced (medians of %d); traced / plain %.3f, from %.3f to %.3f\n",
              tokens, median(plain), median(traced), repeats, median(ratio), quantile(ratio, 0), quantile(ratio, 1));
  std::printf("the timeline takes %.1f MB\n", double(bytes) / 1e6);
}
