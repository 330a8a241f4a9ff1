// A prompt that is known to its last token: that token must be computed all the same, for its logits say what is next.
// g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/21_a_fully_found_prompt.cpp -lpcre2-8 && ./a.out
#include <cstdio>
#include <kvcache/caches.hpp>
#include <kvcache/io.hpp>
#include <kvcache/kvcache.hpp>

int main() {
  const auto model = kvcache::load_model<float>(kvcache::find_model("tiny"));
  kvcache::Transformer<float> transformer(model);
  const auto pool = std::make_shared<kvcache::PagePool<>>(model.config.cache_shape(), /*pages*/ 16, /*page size*/ 16);
  kvcache::PrefixTree<> tree(pool);

  std::vector<int> prompt(50);
  for (int i = 0; i < 50; ++i) prompt[std::size_t(i)] = 100 + 7 * i;
  const auto ask = [&](const char* what, const std::vector<int>& tokens) {
    kvcache::PagedCache<> cache(pool);
    const int found = tree.find(tokens, cache);
    const int next = kvcache::generate(transformer, cache, tokens, {.tokens = 1}).front();
    tree.insert(tokens, cache);
    std::printf("%-42s %2d tokens, %2d found, %2d computed; the next token is %d\n", what, int(tokens.size()), found,
                int(tokens.size()) - found, next);
  };
  std::printf("Pages of 16 tokens, and a tree that remembers full ones:\n");
  ask("a prompt", prompt);
  ask("the same again", prompt);
  prompt.resize(48);
  ask("its first 48: three full pages, all known", prompt);
  std::vector<int> other = prompt;
  other[0] = 99;
  ask("the same but for the first token", other);

  std::printf("\nA cache that holds the whole prompt already:\n");
  kvcache::GrowingCache<> cache(model.config.cache_shape());
  transformer.step(cache, prompt);
  try {
    kvcache::generate(transformer, cache, prompt, {.tokens = 1});
  } catch (const kvcache::Error& error) {
    std::printf("  %s\n", error.what());
  }
  cache.rewind(cache.length(0) - 1);
  const int next = kvcache::generate(transformer, cache, prompt, {.tokens = 1}).front();
  std::printf("  rewound by one token, 1 computed; the next token is %d\n", next);
}
