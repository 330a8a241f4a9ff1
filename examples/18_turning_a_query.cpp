// Rope: a score depends on the difference of two positions alone. So one query can be turned back instead of n keys on.
// g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/18_turning_a_query.cpp && ./a.out
#include <cstdio>
#include <kvcache/core/random.hpp>
#include <kvcache/position/rope.hpp>

using Row = kvcache::Matrix<double>;  // [1, head_dim]
constexpr int head_dim = 8;
const kvcache::Rope<double> rope(head_dim);

Row random_row(int seed) {
  kvcache::Random random{std::uint64_t(seed)};
  Row row(1, head_dim);
  for (double& x : row.reshaped()) x = random.uniform(-1, 1);
  return row;
}
Row turned(Row row, int position) {
  rope.turn_all(kvcache::out(row), position);
  return row;
}
double score(const Row& query, const Row& key) { return query.row(0).dot(key.row(0)); }

int main() {
  const Row query = random_row(1), key = random_row(2);
  std::printf("A query and a key, each turned to its position:\n");
  std::printf("query at  key at  difference   score\n");
  for (const auto& [q, k] : {std::pair{5, 2}, {105, 102}, {9005, 9002}, {5, 4}, {105, 104}, {5, 5}})
    std::printf("%8d %7d %11d %7.4f\n", q, k, q - k, score(turned(query, q), turned(key, k)));

  // A window at position 1000 reads a sink, stored at position 2, as if it stood at 702: 700 tokens are forgotten.
  const int now = 1000, gap = 700;
  const Row stored = turned(key, 2);
  std::printf("\nA sink that was stored at 2 is read as if it stood at %d:\n", 2 + gap);
  std::printf("  its key turned on by %d:       score %.4f\n", gap, score(turned(query, now), turned(stored, gap)));
  std::printf("  the query turned back by %d:   score %.4f, and the key stays as it is\n", gap,
              score(turned(turned(query, now), -gap), stored));

  Row again = stored;  // what a cache of 16-bit numbers would do to its sinks, one position on in each step
  for (int step = 0; step < gap; ++step) again = turned(again, 1).cast<Eigen::half>().cast<double>();
  std::printf("  its key turned on by 1, %d times, and rounded to f16 each time: score %.4f\n", gap,
              score(turned(query, now), again));
}
