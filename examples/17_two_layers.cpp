// Two layers by hand: in the first a key depends on its own token alone, in the second on all tokens before it too.
// g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/17_two_layers.cpp && ./a.out
#include <cstdio>
#include <kvcache/attention/reference.hpp>
#include <kvcache/core/random.hpp>

using Matrix = kvcache::Matrix<double>;
using Vector = kvcache::Vector<double>;
constexpr int tokens = 5, width = 8, layers = 2;

Matrix random_matrix(int rows, int seed) {
  kvcache::Random random{std::uint64_t(seed)};
  Matrix m(rows, width);
  for (double& x : m.reshaped()) x = random.uniform(-0.5, 0.5);
  return m;
}

struct Pass {
  Matrix keys[layers], output;  // [tokens, width] each
};
/// All tokens go through both layers, as in a step without a cache. The query of one token in one layer may be spoiled.
Pass run(Matrix x, int spoiled_layer = -1, int spoiled_token = 0) {
  Pass pass;
  for (int layer = 0; layer < layers; ++layer) {
    const auto project = [&](int seed) { return Matrix(x * random_matrix(width, 10 * layer + seed).transpose()); };
    Matrix queries = project(1), keys = project(2), values = project(3);
    if (layer == spoiled_layer) queries.row(spoiled_token).setConstant(3);
    pass.keys[layer] = keys;
    for (int t = 0; t < tokens; ++t)  // a token sees itself and what stands before it
      x.row(t) += kvcache::reference_attention(Vector(queries.row(t)), Matrix(keys.topRows(t + 1)),
                                               Matrix(values.topRows(t + 1)));
  }
  pass.output = x;
  return pass;
}

/// The tokens whose rows differ, counted from 0, as "0 1 . . .".
std::string differing(const Matrix& a, const Matrix& b) {
  std::string list;
  for (int t = 0; t < tokens; ++t) list += a.row(t) == b.row(t) ? " ." : " " + std::to_string(t);
  return list;
}

int main() {
  const Matrix text = random_matrix(tokens, 100);
  const Pass truth = run(text);
  const auto show = [&](int token, const Pass& pass) {
    std::printf("%6d    %s       %s       %s\n", token, differing(pass.keys[0], truth.keys[0]).c_str(),
                differing(pass.keys[1], truth.keys[1]).c_str(), differing(pass.output, truth.output).c_str());
  };
  const char* columns = "changed    keys, layer 0     keys, layer 1     output\n";
  std::printf("Another token in one place. What changes?\n%s", columns);
  for (int t = 0; t < tokens; ++t) {
    Matrix other = text;
    other.row(t) *= -1;
    show(t, run(other));
  }
  for (int layer = 0; layer < layers; ++layer) {
    std::printf("\nThe query of one token is spoiled in layer %d. What changes?\n%s", layer, columns);
    for (int t = 0; t < tokens; ++t) show(t, run(text, layer, t));
  }
}
