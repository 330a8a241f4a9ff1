// A trained model writes: read the prompt in one pass, then one token at a time.
// g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/03_generate.cpp -lpcre2-8 && ./a.out
#include <iostream>
#include <kvcache/io.hpp>
#include <kvcache/kvcache.hpp>
#include <kvcache/text.hpp>

int main() {
  const auto folder = kvcache::find_model("tiny");
  const auto model = kvcache::load_model<float>(folder);
  const auto tokenizer = kvcache::load_tokenizer(folder);
  kvcache::Transformer<float> transformer(model);
  kvcache::GrowingCache<> cache(model.config.cache_shape());

  const std::string prompt = "ROMEO.\n";
  std::cout << prompt;
  kvcache::Utf8Stream stream;  // a token may end in the middle of a character
  kvcache::generate(transformer, cache, tokenizer.encode(prompt),
                    {.tokens = 60, .sampling = {.temperature = 0.7, .top_k = 40, .seed = 9}},
                    [&](const kvcache::Step<float>& step) { std::cout << stream.add(tokenizer.bytes_of(step.token)); });
  std::cout << stream.finish() << "\n\n";
  std::cout << "The cache holds " << cache.length(0) << " tokens in " << cache.memory().used_bytes << " bytes.\n";
}
