// What a row costs in each format, and what it loses: the same keys and queries, read by attention's own product.
// g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/11_formats_of_rows.cpp && ./a.out
#include <cmath>
#include <cstdio>
#include <kvcache/cache/contiguous_cache.hpp>
#include <kvcache/cache/rows/kivi_rows.hpp>
#include <kvcache/cache/rows/packed_rows.hpp>
#include <kvcache/core/random.hpp>

using Matrix = kvcache::Matrix<float>;
const kvcache::CacheShape shape{.layers = 1, .kv_heads = 1, .head_dim = 64};
const int tokens = 512;

Matrix random_rows(int rows, float outliers) {
  kvcache::Random random(7);
  Matrix m(rows, shape.head_dim);
  for (float& x : m.reshaped()) x = float(random.uniform(-1, 1));
  m.col(11) *= outliers, m.col(40) *= outliers;  // in real models a few channels of the keys are large in every token
  return m;
}

/// Root mean square of the errors of all scores.
template <class Rows>
void show(const char* name, typename Rows::Options options = {}) {
  double error[2];
  std::size_t bytes = 0;
  for (const int outliers : {0, 1}) {
    const Matrix keys = random_rows(tokens, outliers ? 20 : 1), queries = random_rows(32, 1);
    kvcache::GrowingCache<Rows> cache(shape, 0, options);
    for (int p = 0; p < tokens; ++p)
      cache.append(0, p, kvcache::in(keys.middleRows(p, 1)), kvcache::in(keys.middleRows(p, 1)));
    Matrix scores(32, tokens);
    cache.for_each_block(0, 0, [&](const auto& block) { block.score(kvcache::in(queries), kvcache::out(scores)); });
    error[outliers] = std::sqrt((scores - queries * keys.transpose()).squaredNorm() / double(scores.size()));
    bytes = cache.memory().used_bytes;
  }
  std::printf("%-24s %7.1f bytes a key and value %10.4f %12.4f\n", name, double(bytes) / tokens, error[0], error[1]);
}

int main() {
  std::printf("%66s\n%-50s %10s %12s\n", "error of a score", "format", "even", "outliers");
  for (const kvcache::RowFormat* format : kvcache::row_formats::all)
    show<kvcache::AnyRows>(format->name, {format, format});
  show<kvcache::KiviRows>("kivi, 4 bits", {});
  show<kvcache::KiviRows>("kivi, 2 bits", {.keys = {2, true}, .values = {2, false}});
  show<kvcache::KiviRows>("4 bits, keys per token", {.keys = {4, false}, .values = {4, false}});
  std::printf(
      "\nWith a scale for each token, two large channels cost all others their precision. KIVI's keys have a scale "
      "for\n"
      "each channel of 32 tokens. (Its bytes here count 32 to 64 whole tokens.)\n");
}
