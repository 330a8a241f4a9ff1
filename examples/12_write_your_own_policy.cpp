// A policy of your own goes through a real decoder like any other: strided_cache.hpp, 74 lines.
// g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/12_write_your_own_policy.cpp -lpcre2-8 && ./a.out
#include <cstdio>
#include <kvcache/io.hpp>
#include <kvcache/kvcache.hpp>
#include <kvcache/text.hpp>

#include "strided_cache.hpp"

int main() {
  const auto folder = kvcache::find_model("tiny");
  const auto model = kvcache::load_model<float>(folder);
  const auto tokenizer = kvcache::load_tokenizer(folder);
  kvcache::Transformer<float> transformer(model);
  const auto prompt = tokenizer.encode("ROMEO.\nShe speaks.\nO, speak again, bright angel!");

  const auto write = [&](const char* name, auto cache) {
    const auto ids = kvcache::generate(transformer, cache, prompt, {.tokens = 40});
    std::string text;
    for (const int id : ids) text += id == 0 ? "" : std::string(tokenizer.bytes_of(id));
    std::printf("%s: %d tokens read, %d kept, %zu bytes\n%s\n\n", name, cache.length(0),
                kvcache::kept_rows(cache, 0, 0), cache.memory().used_bytes, text.c_str());
  };
  write("every token", kvcache::GrowingCache<>(model.config.cache_shape()));
  write("the newest 16, and every 4th of the older ones",
        StridedCache<>(model.config.cache_shape(), /*recent*/ 16, /*stride*/ 4));
  std::printf("tests/cache/own_policy_test.cpp puts it through the laws of a cache, and six mistakes with it.\n");
}
