// Attention by hand: four tokens have been read, the fifth comes. It is computed twice, without and with a cache.
// g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/01_the_fifth_token.cpp && ./a.out
#include <cstdio>
#include <kvcache/attention/reference.hpp>

using Matrix = kvcache::Matrix<double>;
using Vector = kvcache::Vector<double>;

// One head, four numbers wide. A model learns these three matrices; here they are written down.
const Matrix to_query{{1, 0, 1, 0}, {0, 1, 0, 1}, {1, 1, 0, 0}, {0, 0, 1, 1}};
const Matrix to_key{{0, 1, 0, 0}, {1, 0, 0, 0}, {0, 0, 0, 1}, {0, 0, 1, 0}};
const Matrix to_value{{1, 0, 0, 1}, {0, 1, 1, 0}, {0, 1, 0, 1}, {1, 0, 1, 0}};

// What the model knows of each token so far: one row each.
const char* words[] = {"the", "cat", "sat", "on", "the"};
const Matrix tokens{{1, 0, 0, 1}, {0, 1, 0, 1}, {0, 0, 1, 0}, {1, 1, 0, 0}, {1, 0, 0, 1}};

long multiplications = 0;
Vector project(const Matrix& w, const Vector& x) {
  multiplications += w.size();
  return w * x;
}

void show(const char* title, const Vector& output, int computed, int reused) {
  std::printf("%s\n  computed: %d Q, %d K, %d V (%ld multiplications)   reused: %d K, %d V\n", title, computed,
              computed, computed, multiplications, reused, reused);
  std::printf("  attention output of token 5: %.4f %.4f %.4f %.4f\n", output[0], output[1], output[2], output[3]);
  multiplications = 0;
}

int main() {
  // Without a cache: queries, keys and values of all five tokens, as if nothing had been read before.
  Matrix queries(5, 4), keys(5, 4), values(5, 4);
  for (int t = 0; t < 5; ++t) {
    queries.row(t) = project(to_query, tokens.row(t));
    keys.row(t) = project(to_key, tokens.row(t));
    values.row(t) = project(to_value, tokens.row(t));
  }
  std::vector<double> weights;
  const Vector without = kvcache::reference_attention(Vector(queries.row(4)), keys, values, &weights);
  show("Without a cache", without, 5, 0);

  // With one: the keys and values of the first four tokens were kept from the steps before.
  const Matrix cached_keys = keys.topRows(4), cached_values = values.topRows(4);
  Matrix all_keys(5, 4), all_values(5, 4);
  all_keys << cached_keys, project(to_key, tokens.row(4)).transpose();
  all_values << cached_values, project(to_value, tokens.row(4)).transpose();
  const Vector with = kvcache::reference_attention(project(to_query, tokens.row(4)), all_keys, all_values);
  show("With a cache", with, 1, 4);

  std::printf("The largest difference is %g: a key depends on its own token alone, and so does a value.\n",
              (with - without).cwiseAbs().maxCoeff());
  std::printf("How much token 5 looks at each token:");
  for (int t = 0; t < 5; ++t) std::printf("  %s %.2f", words[t], weights[std::size_t(t)]);
  std::printf("\n");
}
