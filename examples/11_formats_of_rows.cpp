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
const int tokens = 4096;

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
  std::printf("%-26s %14.1f %12.4f %12.4f\n", name, double(bytes) / tokens, error[0], error[1]);
}

int main() {
  std::printf("%-26s %14s %25s\n", "", "bytes of a key", "error of a score");
  std::printf("%-26s %14s %12s %12s\n", "format", "and its value", "even", "outliers");
  const auto plain = [](const kvcache::RowFormat& format) { show<kvcache::AnyRows>(format.name, {&format, &format}); };
  using namespace kvcache::row_formats;
  std::printf("-- 32 and 16 bits a number\n");
  plain(f32), plain(f16), plain(bf16);
  std::printf("-- 8 bits\n");
  plain(int8), plain(q8_0);
  show<kvcache::KiviRows>("kivi", {.keys = {8, true}, .values = {8, false}});
  std::printf("-- 4 bits\n");
  plain(int4), plain(q4_0);
  show<kvcache::KiviRows>("kivi", {.keys = {4, true}, .values = {4, false}});
  show<kvcache::KiviRows>("kivi, but keys per token", {.keys = {4, false}, .values = {4, false}});
  std::printf("-- 2 bits\n");
  show<kvcache::KiviRows>("kivi", {.keys = {2, true}, .values = {2, false}});
  std::printf(
      "\nCompare formats of as many bits. With a scale for each token, two large channels cost all others their\n"
      "precision. KIVI's keys have a scale for each channel of 32 tokens. Its newest 32 to 64 tokens are whole: of\n"
      "%d tokens they are few, so they add little to the bytes above.\n",
      tokens);
}
