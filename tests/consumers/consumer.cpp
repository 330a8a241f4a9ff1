// A stranger's program: loads a model and writes three tokens.
#include <iostream>
#include <kvcache/io.hpp>
#include <kvcache/kvcache.hpp>

int main(int, char** argv) {
  const std::string folder = argv[1];
  const auto model = kvcache::load_model<float>(folder);
  const auto tokenizer = kvcache::load_tokenizer(folder);
  kvcache::Transformer<float> transformer(model);
  kvcache::GrowingCache<> cache(model.config.cache_shape());
  const std::vector<int> prompt = tokenizer.encode("To be, or not to be");
  const auto written = kvcache::generate(transformer, cache, prompt, {.tokens = 3});
  std::cout << "kvcache " << KVCACHE_VERSION << ": " << tokenizer.decode(written) << "\n";
  return written.size() == 3 ? 0 : 1;
}
