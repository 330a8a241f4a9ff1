// Keys and values are kept. Why not queries? Because the query of an earlier token is never asked for again.
// g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/07_why_no_query_cache.cpp && ./a.out
#include <cstdio>
#include <kvcache/attention/attention.hpp>
#include <kvcache/cache/contiguous_cache.hpp>
#include <kvcache/core/random.hpp>

using Matrix = kvcache::Matrix<double>;

int main() {
  const kvcache::CacheShape shape{.layers = 1, .kv_heads = 1, .head_dim = 8};
  const int tokens = 6;
  kvcache::Random random(2);
  const auto rows = [&] {  // [tokens, head_dim]
    Matrix m(tokens, shape.head_dim);
    for (double& x : m.reshaped()) x = random.uniform(-1, 1);
    return m;
  };
  struct Text {
    Matrix queries, keys, values;
  };
  const Text text{rows(), rows(), rows()};
  kvcache::Attention<double> attention(/*query heads*/ 1);
  kvcache::Work work;

  const auto last_output =
      [&](const Text& text) {  // of all tokens at once; the next token depends on the last row alone
        kvcache::GrowingCache<kvcache::FloatRows<double>> cache(shape);
        Matrix output(tokens, shape.head_dim);
        attention.append_and_attend(cache, 0, kvcache::in(text.keys), kvcache::in(text.values),
                                    kvcache::in(text.queries), 0, kvcache::out(output), work);
        return Matrix(output.bottomRows(1));
      };
  const Matrix truth = last_output(text);

  std::printf("Spoil one row, and see whether the newest token's output changes:\n\n");
  std::printf("spoiled token    its query    its key    its value\n");
  for (int t = 0; t < tokens; ++t) {
    std::printf("%13d", t + 1);
    for (Matrix Text::*side : {&Text::queries, &Text::keys, &Text::values}) {
      Text spoiled = text;
      (spoiled.*side).row(t).setConstant(3);
      const bool changed = (last_output(spoiled) - truth).cwiseAbs().maxCoeff() > 1e-12;
      std::printf("  %10s", changed ? "changed" : "same");
    }
    std::printf("\n");
  }
  std::printf(
      "\nThe output of a token is softmax(its own query . all keys) x all values: every key and every value is\n"
      "needed in every later step, but each query in one step only. So there is nothing to keep.\n");
}
