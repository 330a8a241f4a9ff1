// Training knows the whole text. One parallel pass gives, at every position, the logits that cached decoding gives
// g++ -std=c++20 -O3 -march=native -Iinclude -I/usr/include/eigen3 examples/08_why_training_needs_no_cache.cpp
// -lpcre2-8 && ./a.out
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <kvcache/io.hpp>
#include <kvcache/kvcache.hpp>

/// Reads a text in one pass and then step by step.
template <class Scalar>
struct TwoWays {
  using Cache = kvcache::GrowingCache<kvcache::FloatRows<Scalar>>;
  using Clock = std::chrono::steady_clock;
  kvcache::Matrix<Scalar> parallel;  // [tokens, vocab]
  double difference = 0;             // the largest, of all logits
  long long keys_in_one_pass = 0, keys_step_by_step = 0;
  double seconds_in_one_pass = 1e9, seconds_step_by_step = 1e9;

  TwoWays(const kvcache::Model<Scalar>& model, std::span<const int> text, int repeats) {
    kvcache::Transformer<Scalar> transformer(model);
    for (int repeat = 0; repeat < repeats; ++repeat) {
      const auto start = Clock::now();
      Cache empty(model.config.cache_shape());
      parallel = transformer.step_all(empty, text);
      keys_in_one_pass = transformer.work().keys_computed;
      const auto middle = Clock::now();
      Cache cache(model.config.cache_shape());
      keys_step_by_step = 0;
      for (std::size_t t = 0; t < text.size(); ++t) {
        const auto logits = transformer.step(cache, text.subspan(t, 1));
        keys_step_by_step += transformer.work().keys_computed;
        for (std::size_t v = 0; v < logits.size(); v += 8)  // some will do
          difference = std::max(difference, std::abs(double(logits[v] - parallel(Eigen::Index(t), Eigen::Index(v)))));
      }
      const std::chrono::duration<double> one_pass = middle - start, steps = Clock::now() - middle;
      seconds_in_one_pass = std::min(seconds_in_one_pass, one_pass.count());  // what disturbs only makes it longer
      seconds_step_by_step = std::min(seconds_step_by_step, steps.count());
    }
  }
};

int main() {
  const auto folder = kvcache::find_model("tiny");
  std::ifstream file(folder.parent_path() / "held_out.txt");
  const std::string words(std::istreambuf_iterator<char>(file), {});
  std::vector<int> text = kvcache::load_tokenizer(folder).encode(std::string_view(words).substr(0, 2000));
  text.resize(512);

  const auto in_double = kvcache::load_model<double>(folder);
  const TwoWays<double> exact(in_double, text, 1);
  double loss = 0;  // what training lowers: -log of the next token's probability
  for (std::size_t t = 0; t + 1 < text.size(); ++t) {
    std::vector<double> p(exact.parallel.row(Eigen::Index(t)).begin(), exact.parallel.row(Eigen::Index(t)).end());
    kvcache::softmax(std::span(p));
    loss -= std::log(p[std::size_t(text[t + 1])]) / double(text.size() - 1);
  }
  std::printf("%zu tokens, loss %.2f nats a token\n", text.size(), loss);
  std::printf("keys computed: %lld in one parallel pass, %lld in cached decoding\n", exact.keys_in_one_pass,
              exact.keys_step_by_step);
  std::printf("logits at every position agree to 1e-12, in double: %s\n", exact.difference < 1e-12 ? "yes" : "no");

  const auto in_float = kvcache::load_model<float>(folder);
  const TwoWays<float> timed(in_float, text, 5);
  std::printf("one pass %.1f ms, step by step %.1f ms: %.1f times as long, in float   MEASURED\n",
              1e3 * timed.seconds_in_one_pass, 1e3 * timed.seconds_step_by_step,
              timed.seconds_step_by_step / timed.seconds_in_one_pass);
  std::printf(
      "The cache saves no key here: a pass over a known text computes each one once anyway. And one pass reads\n");
  std::printf("each weight once for all tokens, where step by step it is read for each.\n");
}
