// Three caches with room for 64 tokens: the newest alone; the newest and others by lot; the newest and those that got
// the most attention. Who stays, who goes and why, and how well each foresees a text. With a model that makes sinks
// this matters much more than with tiny: after scripts/fetch_model.sh smollm2, try ./a.out smollm2 400
// g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/13_heavy_hitters.cpp -lpcre2-8 && ./a.out
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <kvcache/cache/evicting_cache.hpp>
#include <kvcache/cache/sliding_window_cache.hpp>
#include <kvcache/io.hpp>
#include <kvcache/kvcache.hpp>
#include <kvcache/observe/quality.hpp>

using Rows = kvcache::FloatRows<>;
int tokens = 640, budget = 64, shown_layer = 5;

struct Log {  // an observer. A clone of the cache copies it, so it points to what it fills
  std::vector<kvcache::Evicted>* evicted;
  void operator()(const kvcache::Evicted& event) const { evicted->push_back(event); }
};

/// Reads the text token by token, with a cache that keeps everything beside the one in question.
template <class Cache>
kvcache::Quality read(const kvcache::Model<float>& model, std::span<const int> text, Cache& cache) {
  kvcache::Transformer<float> transformer(model), other(model);
  kvcache::GrowingCache<> everything(model.config.cache_shape());
  kvcache::Quality quality;
  for (int t = 0; t + 1 < tokens; ++t) {
    const auto token = text.subspan(std::size_t(t), 1);
    quality.add(transformer.step(cache, token), other.step(everything, token), text[std::size_t(t) + 1]);
  }
  return quality;
}

/// The positions that the shown layer keeps, in order.
template <class Cache>
std::vector<int> kept(const Cache& cache) {
  std::vector<int> positions;
  cache.for_each_block(shown_layer, 0, [&](const auto& block) {
    for (int r = 0; r < block.rows(); ++r) positions.push_back(block.position(r));
  });
  std::ranges::sort(positions);
  return positions;
}
/// A digit for every 8 tokens of the text: how many of them are kept.
std::string picture(const std::vector<int>& positions) {
  std::string digits(std::size_t(tokens + 7) / 8, '.');
  for (const int p : positions) {
    char& digit = digits[std::size_t(p / 8)];
    digit = digit == '.' ? '1' : char(digit + 1);
  }
  return digits;
}

int main(int argc, char** argv) {
  const auto folder = kvcache::find_model(argc > 1 ? argv[1] : "tiny");
  if (argc > 2) tokens = std::stoi(argv[2]);
  const auto model = kvcache::load_model<float>(folder);
  std::ifstream file(kvcache::find_model("tiny").parent_path() / "held_out.txt");
  const std::string words(std::istreambuf_iterator<char>(file), {});
  const kvcache::Tokenizer tokenizer = kvcache::load_tokenizer(folder);
  const std::vector<int> text = tokenizer.encode(std::string_view(words).substr(0, 4000));
  const kvcache::CacheShape shape = model.config.cache_shape();
  std::printf("%d tokens are read, %d are kept, 32 of these always the newest.\n", tokens, budget);
  std::printf("The pictures show layer %d at the end: of every 8 tokens of the text, so many are kept.\n", shown_layer);

  std::vector<kvcache::Evicted> evicted;
  std::vector<double> reference;  // the loss of each token with every token kept
  const auto show = [&](const char* name, auto cache) {
    evicted.clear();
    const kvcache::Quality quality = read(model, text, cache);
    const std::vector<int> positions = kept(cache);
    std::printf("\n%s\n  %s\n", name, picture(positions).c_str());
    std::printf("  %zu bytes, and %zu to remember who lies where and why\n", cache.memory().used_bytes,
                cache.memory().bookkeeping_bytes);
    if (reference.empty()) reference = quality.losses();
    kvcache::Spread more;  // token by token: so what is hard to foresee for all alike cancels out
    for (std::size_t t = 0; t < reference.size(); ++t) more.add(quality.losses()[t] - reference[t]);
    std::printf("  loss %.3f nats, more than with every token kept by %.3f ± %.3f   MEASURED\n", quality.loss().mean(),
                more.mean(), more.standard_error());
    if (evicted.empty()) return;
    std::printf("  the first to go (%s):", kvcache::name(evicted[0].reason));
    for (int said = 0; const kvcache::Evicted& event : evicted)
      if (event.layer == shown_layer && said++ < 8) std::printf(" %d", event.position);
    std::string words_kept;
    for (const int p : std::span(positions).first(std::size_t(budget / 2)))
      words_kept += "|" + std::string(tokenizer.bytes_of(text[std::size_t(p)]));
    std::ranges::replace(words_kept, '\n', '/');
    std::printf("\n  the older half of who stayed: %s|\n", words_kept.c_str());
  };
  const kvcache::EvictionOptions eviction{.budget = budget, .recent = budget / 2};
  show("every token", kvcache::GrowingCache<Rows, Log>(shape, 0, {}, {&evicted}));
  show("the newest alone",
       kvcache::SlidingWindowCache<Rows, Log>(shape, {.sinks = 0, .recent = budget}, {}, {&evicted}));
  show("the newest, and others by lot", kvcache::RandomCache<Rows, Log>(shape, eviction, {}, {&evicted}));
  show("the newest, and the heavy hitters", kvcache::HeavyHitterCache<Rows, Log>(shape, eviction, {}, {&evicted}));
  std::printf("\nIn tiny older tokens hardly matter: each cache loses 0.02 nats, and their errors are 0.01.\n");
  std::printf("SmolLM2 falls apart without its first tokens: heavy hitters keep them, the two above do not.\n");
}
