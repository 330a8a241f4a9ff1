// Training knows the whole text. One parallel pass gives, at every position, the logits that cached decoding gives
// g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/08_why_training_needs_no_cache.cpp -lpcre2-8 && ./a.out
#include <chrono>
#include <cmath>
#include <cstdio>
#include <kvcache/io.hpp>
#include <kvcache/kvcache.hpp>

using Cache = kvcache::GrowingCache<kvcache::FloatRows<double>>;

int main() {
  const auto folder = kvcache::find_model("tiny");
  const auto model = kvcache::load_model<double>(folder);
  const auto tokenizer = kvcache::load_tokenizer(folder);
  kvcache::Transformer<double> transformer(model);
  const std::vector<int> text = tokenizer.encode(
      "Shall I compare thee to a summer's day?\nThou art more lovely and more temperate:\n"
      "Rough winds do shake the darling buds of May,\nAnd summer's lease hath all too short a date.\n");
  const auto seconds_since = [](auto start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };

  Cache empty(model.config.cache_shape());
  auto start = std::chrono::steady_clock::now();
  const kvcache::Matrix<double> parallel = transformer.step_all(empty, text);  // [tokens, vocab]
  const double parallel_seconds = seconds_since(start);
  const auto parallel_work = transformer.work();

  Cache cache(model.config.cache_shape());
  kvcache::Work cached_work;
  double difference = 0, loss = 0;
  start = std::chrono::steady_clock::now();
  for (std::size_t t = 0; t < text.size(); ++t) {
    const auto logits = transformer.step(cache, std::span<const int>(text).subspan(t, 1));
    cached_work += transformer.work();
    for (std::size_t v = 0; v < logits.size(); ++v)
      difference = std::max(difference, std::abs(logits[v] - parallel(Eigen::Index(t), Eigen::Index(v))));
  }
  const double cached_seconds = seconds_since(start);
  for (std::size_t t = 0; t + 1 < text.size(); ++t) {  // what training lowers: -log of the next token's probability
    std::vector<double> p(parallel.row(Eigen::Index(t)).begin(), parallel.row(Eigen::Index(t)).end());
    kvcache::softmax(std::span(p));
    loss -= std::log(p[std::size_t(text[t + 1])]) / double(text.size() - 1);
  }

  std::printf("%zu tokens, loss %.2f nats a token\n", text.size(), loss);
  std::printf("keys computed: %lld in one parallel pass, %lld in cached decoding\n",
              static_cast<long long>(parallel_work.keys_computed), static_cast<long long>(cached_work.keys_computed));
  std::printf("logits at every position agree to 1e-12: %s\n", difference < 1e-12 ? "yes" : "no");
  std::printf("one pass %.1f ms, step by step %.1f ms   MEASURED\n", 1e3 * parallel_seconds, 1e3 * cached_seconds);
  std::printf("The cache saves no key here: a pass over a known text computes each one once anyway.\n");
}
