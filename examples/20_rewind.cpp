// Two questions about one text: it is read once, and after each answer the cache goes back to its end.
// g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/20_rewind.cpp -lpcre2-8 && ./a.out
#include <cstdio>
#include <kvcache/caches.hpp>
#include <kvcache/io.hpp>
#include <kvcache/kvcache.hpp>

int main() {
  const auto folder = kvcache::find_model("tiny");
  const auto model = kvcache::load_model<float>(folder);
  const auto tokenizer = kvcache::load_tokenizer(folder);
  kvcache::Transformer<float> transformer(model);
  const kvcache::CacheShape shape = model.config.cache_shape();
  const std::vector<int> text = tokenizer.encode("JULIET.\nO Romeo, Romeo, wherefore art thou Romeo?\n");
  const int length = int(text.size());

  kvcache::GrowingCache<> cache(shape);
  transformer.step(cache, text);
  std::printf("The text has %d tokens; they were computed once.\n\n", length);
  for (const char* speaker : {"ROMEO.\n", "NURSE.\n"}) {
    std::vector<int> prompt = text;
    for (const int id : tokenizer.encode_more(speaker)) prompt.push_back(id);
    const auto answer = [&](auto& read_before, bool say) {
      return kvcache::generate(transformer, read_before, prompt, {.tokens = 16}, [&](const kvcache::Step<float>& step) {
        if (say && step.index == 0) std::printf("%d tokens computed, then 15 more, one by one\n", step.tokens_fed);
      });
    };
    const std::vector<int> ids = answer(cache, true);
    kvcache::GrowingCache<> fresh(shape);  // what a cache writes that never saw the other question
    transformer.step(fresh, text);
    std::printf("%s", speaker);
    for (const int id : ids) std::printf("%s", std::string(tokenizer.bytes_of(id)).c_str());
    std::printf("\nThe same as with a fresh cache: %s. The cache holds %d tokens",
                ids == answer(fresh, false) ? "yes" : "no", cache.length(0));
    cache.rewind(length);
    std::printf(", after rewind(%d) %d.\n\n", length, cache.length(0));
  }

  std::printf("A full window cannot go back: the tokens it would need are written over.\n");
  auto window = kvcache::make_cache<kvcache::FloatRows<>>("window:sinks=2,recent=6", shape, 0);
  transformer.step(window, text);
  try {
    window.rewind(length - 1);
  } catch (const kvcache::Error& error) {
    std::printf("  %s\n", error.what());
  }
}
