// Exercise 7: a format with a scale for each 16 numbers. Three functions make it, and every policy takes it.
// g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/solutions/07_scales_of_16.cpp && ./a.out
#include <cmath>
#include <cstdio>
#include <kvcache/cache/contiguous_cache.hpp>
#include <kvcache/cache/rows/packed_rows.hpp>
#include <kvcache/core/random.hpp>

constexpr int group = 16, group_bytes = group + int(sizeof(float));  // 16 whole numbers, then their scale

std::size_t row_bytes(int head_dim) { return std::size_t(head_dim / group * group_bytes); }
void pack(const float* numbers, int head_dim, std::byte* row) {
  for (int g = 0; g < head_dim / group; ++g, numbers += group, row += group_bytes) {
    float largest = 0;
    for (int i = 0; i < group; ++i) largest = std::max(largest, std::abs(numbers[i]));
    const float scale = largest / 127, inverse = scale > 0 ? 1 / scale : 0;
    for (int i = 0; i < group; ++i) row[i] = std::byte(std::int8_t(std::lrint(numbers[i] * inverse)));
    std::memcpy(row + group, &scale, sizeof scale);
  }
}
void unpack(const std::byte* bytes, int rows, int head_dim, float* numbers) {
  for (int g = 0; g < rows * head_dim / group; ++g, bytes += group_bytes, numbers += group) {
    float scale;
    std::memcpy(&scale, bytes + group, sizeof scale);
    for (int i = 0; i < group; ++i) numbers[i] = scale * float(std::int8_t(bytes[i]));
  }
}
constexpr kvcache::RowFormat int8_of_16{"int8 of 16", "a scale, f32, for 16 numbers", group, row_bytes, pack, unpack};

/// Root mean square of the errors of the scores of 32 queries with 512 keys.
double error(const kvcache::RowFormat& format, float outliers, std::size_t& bytes) {
  const kvcache::CacheShape shape{.layers = 1, .kv_heads = 1, .head_dim = 64};
  kvcache::Random random(7);
  kvcache::Matrix<float> keys(512, shape.head_dim), queries(32, shape.head_dim), scores(32, 512);
  for (auto* matrix : {&keys, &queries})
    for (float& x : matrix->reshaped()) x = float(random.uniform(-1, 1));
  keys.col(11) *= outliers, keys.col(40) *= outliers;
  kvcache::GrowingCache<kvcache::AnyRows> cache(shape, 0, {&format, &format});
  cache.append(0, 0, kvcache::in(keys), kvcache::in(keys));
  cache.for_each_block(0, 0, [&](const auto& block) { block.score(kvcache::in(queries), kvcache::out(scores)); });
  bytes = cache.memory().used_bytes / 1024;  // of one row: a key, or a value
  return std::sqrt((scores - queries * keys.transpose()).squaredNorm() / double(scores.size()));
}

int main() {
  std::printf("%-12s %14s %17s\n%-12s %14s %8s %8s\n", "", "", "error of a score", "format", "bytes of a row", "even",
              "outliers");
  for (const kvcache::RowFormat* format : {&kvcache::row_formats::int8, &kvcache::row_formats::q8_0, &int8_of_16}) {
    std::size_t bytes = 0;
    const double even = error(*format, 1, bytes), outliers = error(*format, 20, bytes);
    std::printf("%-12s %14zu %8.4f %8.4f\n", format->name, bytes, even, outliers);
  }
}
