#include "kvcache/observe/read_rows.hpp"

#include <doctest/doctest.h>

#include "common/instances.hpp"
#include "kvcache/cache/contiguous_cache.hpp"
#include "kvcache/core/random.hpp"
#include "student_cache.hpp"

using namespace kvcache;

namespace {

constexpr CacheShape shape{2, 3, 5};

template <class Scalar>
struct Sides {  // [rows, ...]
  Matrix<Scalar> keys, values;
  explicit Sides(int rows, int columns, std::uint64_t seed = 0) : keys(rows, columns), values(rows, columns) {
    Random random(seed);
    for (auto* side : {&keys, &values})
      for (Scalar& x : side->reshaped()) x = Scalar(random.uniform(-3, 3));
  }
  static Sides untouched(int rows) {
    Sides sides(rows, shape.head_dim);
    sides.keys.setConstant(99), sides.values.setConstant(-99);
    return sides;
  }
};

/// Reads `rows` from `first` on, of every head, and compares with what was appended; `kept(position)` says what is
/// there at all.
template <class Scalar>
void check_rows(const auto& cache, const std::vector<Sides<Scalar>>& texts, int first, int rows, const auto& kept) {
  for (int l = 0; l < shape.layers; ++l)
    for (int h = 0; h < shape.kv_heads; ++h) {
      auto read = Sides<Scalar>::untouched(rows);
      read_rows(cache, l, h, first, out(read.keys), out(read.values));
      auto expected = Sides<Scalar>::untouched(rows);
      for (int r = 0; r < rows; ++r)
        if (kept(first + r)) {
          const auto& text = texts[std::size_t(l)];
          expected.keys.row(r) = text.keys.row(first + r).segment(h * shape.head_dim, shape.head_dim);
          expected.values.row(r) = text.values.row(first + r).segment(h * shape.head_dim, shape.head_dim);
        }
      CHECK(read.keys == expected.keys);
      CHECK(read.values == expected.values);
    }
}
template <class Scalar, class Cache>
std::vector<Sides<Scalar>> fill(Cache& cache, int tokens, int piece) {
  std::vector<Sides<Scalar>> texts;
  for (int l = 0; l < shape.layers; ++l) {
    texts.emplace_back(tokens, shape.row_size(), std::uint64_t(l) + 1);
    for (int done = 0, n; done < tokens; done += n) {
      n = std::min(piece, tokens - done);
      cache.append(l, done, in(texts.back().keys.middleRows(done, n)), in(texts.back().values.middleRows(done, n)));
    }
  }
  return texts;
}

}  // namespace

TEST_CASE_TEMPLATE("rows come back as they were appended, to the last bit, in any range", Scalar, float, double) {
  GrowingCache<FloatRows<Scalar>> cache(shape);
  constexpr int tokens = 150;  // more than are read at once
  const auto texts = fill<Scalar>(cache, tokens, 40);
  const auto kept = [](int position) { return position < tokens; };
  check_rows<Scalar>(cache, texts, 0, tokens, kept);
  for (const auto& [first, rows] : {std::pair{0, 1}, {tokens - 1, 1}, {17, 64}, {17, 65}, {63, 3}, {5, 0}})
    check_rows<Scalar>(cache, texts, first, rows, kept);
  check_rows<Scalar>(cache, texts, tokens - 3, 10, kept);  // there are only three more
  check_rows<Scalar>(cache, texts, tokens + 5, 4, kept);
}

TEST_CASE("rows that are stored in a narrower format come back as attention sees them") {
  GrowingCache<FloatRows<float, Eigen::half>> cache(shape);
  auto texts = fill<float>(cache, 20, 20);
  for (auto& text : texts)
    for (auto* side : {&text.keys, &text.values})
      for (float& x : side->reshaped()) x = float(Eigen::half(x));
  check_rows<float>(cache, texts, 3, 11, [](int) { return true; });
}

TEST_CASE("blocks may be many and run backwards, and tokens may be forgotten") {
  StudentCache all(shape), window(shape, 7);
  const auto texts = fill<double>(all, 20, 20);
  fill<double>(window, 20, 1);
  check_rows<double>(all, texts, 0, 20, [](int) { return true; });
  check_rows<double>(all, texts, 4, 9, [](int) { return true; });
  check_rows<double>(window, texts, 0, 20, [](int position) { return position >= 13; });
  check_rows<double>(window, texts, 10, 5, [](int position) { return position >= 13; });
}

TEST_CASE("an empty cache has no rows to read") {
  const GrowingCache<FloatRows<double>> cache(shape);
  check_rows<double>(cache, {}, 0, 3, [](int) { return false; });
}
