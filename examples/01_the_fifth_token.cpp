// Attention by hand, in one head of the first layer: four tokens have been read, the fifth comes. It is computed twice:
// with keys and values that were kept since each of the four came, and from nothing.
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

void append_row(Matrix& rows, const Vector& row) {
  rows.conservativeResize(rows.rows() + 1, Eigen::NoChange);
  rows.bottomRows(1) = row.transpose();
}

void show(const char* title, const Vector& output, int computed, int reused) {
  std::printf("%s\n  computed: %d Q, %d K, %d V (%ld multiplications)   reused: %d K, %d V\n", title, computed,
              computed, computed, multiplications, reused, reused);
  std::printf("  attention output of token 5: %.4f %.4f %.4f %.4f\n", output[0], output[1], output[2], output[3]);
  multiplications = 0;
}

int main() {
  // Before token 5 is known: four steps, each of which keeps the key and the value of its own token.
  Matrix cached_keys(0, 4), cached_values(0, 4);
  for (int t = 0; t < 4; ++t) {
    append_row(cached_keys, project(to_key, tokens.row(t)));
    append_row(cached_values, project(to_value, tokens.row(t)));
  }
  multiplications = 0;

  // Token 5 comes. With the cache: its own query, key and value, and what was kept.
  append_row(cached_keys, project(to_key, tokens.row(4)));
  append_row(cached_values, project(to_value, tokens.row(4)));
  std::vector<double> weights;
  const Vector with =
      kvcache::reference_attention(project(to_query, tokens.row(4)), cached_keys, cached_values, &weights);
  show("With a cache", with, 1, 4);

  // Without one: queries, keys and values of all five tokens, as if nothing had been read before.
  Matrix queries(0, 4), keys(0, 4), values(0, 4);
  for (int t = 0; t < 5; ++t) {
    append_row(queries, project(to_query, tokens.row(t)));
    append_row(keys, project(to_key, tokens.row(t)));
    append_row(values, project(to_value, tokens.row(t)));
  }
  const Vector without = kvcache::reference_attention(Vector(queries.row(4)), keys, values);
  show("Without a cache", without, 5, 0);

  std::printf("The largest difference is %g: token 5 changed no key and no value of the tokens before it.\n",
              (with - without).cwiseAbs().maxCoeff());
  std::printf("Queries 1 to 4 find nothing for token 5. A next layer would need what they find: see 17_two_layers.\n");
  std::printf("How much token 5 looks at each token:");
  for (int t = 0; t < 5; ++t) std::printf("  %s %.2f", words[t], weights[std::size_t(t)]);
  std::printf("\n");
}
