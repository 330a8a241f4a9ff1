#include "kvcache/cache/rows/float_rows.hpp"

#include "cache_laws.hpp"
#include "common/instances.hpp"
#include "kvcache/cache/contiguous_cache.hpp"
#include "kvcache/core/random.hpp"

using namespace kvcache;

namespace {

using HalfRows = FloatRows<float, Eigen::half>;
constexpr CacheShape shape{.layers = 2, .kv_heads = 2, .head_dim = 10};

template <class Scalar>
Matrix<Scalar> numbers(int tokens, int columns, double first) {
  Matrix<Scalar> m(tokens, columns);
  for (Eigen::Index i = 0; i < m.size(); ++i) m.data()[i] = Scalar(first + double(i));
  return m;
}
/// Everything a block says: keys, then values, through unit queries and unit weights.
template <class Block>
std::pair<Matrix<double>, Matrix<double>> read(const Block& block, int head_dim) {
  using Scalar = typename Block::Scalar;
  const Matrix<Scalar> units = Matrix<Scalar>::Identity(head_dim, head_dim),
                       picks = Matrix<Scalar>::Identity(block.rows(), block.rows());
  Matrix<Scalar> keys(head_dim, block.rows()), values = Matrix<Scalar>::Zero(block.rows(), head_dim);
  block.score(in(units), out(keys));
  block.accumulate(in(picks), out(values));
  return {keys.transpose().template cast<double>(), values.template cast<double>()};
}

}  // namespace

// FloatRows<double> goes through the laws in contiguous_cache_test.cpp, FloatRows<float> in packed_rows_test.cpp.
TEST_CASE("halves read back with eleven bits, in every cache") {
  const cache_laws::Policy policy{.row_tolerance = 0x1p-12, .row_bytes = 2 * 10 * 2};  // of up to 1
  check_cache_laws([] { return GrowingCache<HalfRows>(shape); }, policy);
  check_cache_laws([] { return PreallocatedCache<HalfRows>(shape, 41); }, policy);
  check_cache_laws([] { return ConcatenatingCache<HalfRows>(shape); }, policy);
}

TEST_CASE_TEMPLATE("a slot may be written, overwritten, copied and moved to larger storage", Rows, FloatRows<float>,
                   HalfRows) {
  using Scalar = typename Rows::Scalar;
  const CacheShape one{.layers = 1, .kv_heads = 2, .head_dim = 3};
  Rows rows(one);
  CHECK(rows.slots() == 0);
  CHECK(rows.bytes_per_slot() == 2 * 2 * 3 * (std::same_as<Rows, HalfRows> ? 2 : 4));
  rows.resize(4, 0);
  const Matrix<Scalar> keys = numbers<Scalar>(4, 6, 1), values = numbers<Scalar>(4, 6, 101);
  rows.write(0, in(keys), in(values));
  rows.copy(/*from*/ 0, /*to*/ 3, 1);
  const Matrix<Scalar> new_key = numbers<Scalar>(1, 6, 51), new_value = numbers<Scalar>(1, 6, 151);
  rows.write(1, in(new_key), in(new_value));
  rows.resize(9, 4);
  CHECK(rows.slots() == 9);
  for (int head = 0; head < 2; ++head) {
    const auto block = rows.block(head, 0, 4, /*first position*/ 20);
    const auto [k, v] = read(block, 3);
    const int sources[] = {0, -1, 2, 0};  // -1: the row written over it
    for (int r = 0; r < 4; ++r) {
      CHECK(block.position(r) == 20 + r);
      for (int d = 0; d < 3; ++d) {
        const int c = head * 3 + d;
        CHECK(k(r, d) == double(sources[r] < 0 ? new_key(0, c) : keys(sources[r], c)));
        CHECK(v(r, d) == double(sources[r] < 0 ? new_value(0, c) : values(sources[r], c)));
      }
    }
    const auto two = rows.block(head, 2, 2, 7);  // from another slot
    CHECK(read(two, 3).first == k.bottomRows(2));
    CHECK(two.slice(1, 1).position(0) == 8);
    CHECK(read(two.slice(1, 1), 3).second == v.bottomRows(1));
  }
  rows.resize(2, 2);  // smaller
  CHECK(read(rows.block(1, 0, 2, 0), 3).first(0, 0) == double(keys(0, 3)));
  CHECK(read(rows.block(1, 0, 2, 0), 3).second(1, 2) == double(new_value(0, 5)));
}

TEST_CASE("slots that are not there are refused, whoever asks, and nothing is written") {
  FloatRows<float> rows({.layers = 1, .kv_heads = 2, .head_dim = 3});
  rows.resize(4, 0);
  const Matrix<float> zero = Matrix<float>::Zero(4, 6);
  rows.write(0, in(zero), in(zero));
  const auto write = [&](int slot, int tokens, int columns) {
    const Matrix<float> ones = Matrix<float>::Ones(tokens, columns);
    rows.write(slot, in(ones), in(ones));
  };
  const char* room =
      "; resize() first, or let chunk_limit() promise no more than there is room for, and cut chunks where a ring ends";
  CHECK_THROWS_WITH_AS(write(2, 3, 6), ("FloatRows: 3 rows do not fit at slot 2 of 4" + std::string(room)).c_str(),
                       Error);
  CHECK_THROWS_WITH_AS(write(4, 1, 6), ("FloatRows: 1 rows do not fit at slot 4 of 4" + std::string(room)).c_str(),
                       Error);
  CHECK_THROWS_WITH_AS(write(-1, 1, 6), ("FloatRows: 1 rows do not fit at slot -1 of 4" + std::string(room)).c_str(),
                       Error);
  CHECK_THROWS_WITH_AS(write(INT_MAX, 1, 6), doctest::Contains("do not fit at slot 2147483647"), Error);
  CHECK_THROWS_WITH_AS(write(0, 1, 3), doctest::Contains("keys [1, 3] and values [1, 3] must both be [tokens, 6]"),
                       Error);
  CHECK_THROWS_WITH_AS(rows.copy(0, 3, 2),
                       "FloatRows: 2 slots cannot be copied from slot 0 to slot 3, for there are 4; resize() first",
                       Error);
  CHECK_THROWS_WITH_AS(rows.copy(-1, 2, 2), doctest::Contains("cannot be copied from slot -1"), Error);
  CHECK_THROWS_WITH_AS(rows.copy(0, 1, 2), doctest::Contains("2 slots at 0 and as many at 1 overlap"), Error);
  CHECK_THROWS_WITH_AS(
      rows.resize(9, 5),
      "FloatRows: 9 slots asked for, with the first 5 of 4 moved to them; ask for at least 0, and keep "
      "no more than there are and will be",
      Error);
  CHECK_THROWS_AS(rows.resize(3, 4), Error);
  CHECK_THROWS_AS(rows.resize(-1, 0), Error);
  CHECK_THROWS_WITH_AS(rows.block(0, 2, 3, 0),
                       "FloatRows: 3 slots at 2 asked for, but there are 4; ask for those that were written", Error);
  std::vector<std::byte> bytes(5 * rows.bytes_per_slot());
  CHECK_THROWS_AS(rows.save(0, 5, bytes.data()), Error);
  CHECK_THROWS_AS(rows.load(0, 5, bytes.data()), Error);
  CHECK(rows.slots() == 4);
  CHECK(read(rows.block(0, 0, 4, 0), 3).first.isZero());
  CHECK(read(rows.block(1, 0, 4, 0), 3).second.isZero());
  write(3, 1, 6), rows.copy(0, 2, 2), rows.copy(2, 0, 2), rows.resize(4, 4);  // right at the ends
}

TEST_CASE("a slice keeps its block's position_gap") {
  FloatRows<float> rows(CacheShape{1, 1, 2});
  rows.resize(4, 0);
  auto block = rows.block(0, 0, 4, 20);
  CHECK(block.position_gap == 0);
  block.position_gap = 5;
  CHECK(block.slice(1, 2).position_gap == 5);
}

TEST_CASE("a copy of rows is a copy") {
  FloatRows<float> rows(CacheShape{1, 1, 2});
  rows.resize(1, 0);
  const Matrix<float> before = numbers<float>(1, 2, 1), after = numbers<float>(1, 2, 9);
  rows.write(0, in(before), in(before));
  const FloatRows<float> copy = rows;
  rows.write(0, in(after), in(after));
  CHECK(read(copy.block(0, 0, 1, 0), 2).first(0, 0) == 1);
}

TEST_CASE_TEMPLATE("both products are sums over all rows, for few queries and many, in pieces and whole", Rows,
                   FloatRows<double>, FloatRows<float>, HalfRows) {
  using Scalar = typename Rows::Scalar;
  const double tolerance = sizeof(Scalar) == 8 ? 1e-11 : 1e-3;  // sums of up to 1500 numbers of up to 8 * 8
  for (const auto& [dim, count] : {std::pair{4, 1500}, {6, 700}, {1000, 9}, {4096, 3}}) {  // 4096 numbers are a piece
    Rows rows(CacheShape{1, 1, dim});
    rows.resize(count, 0);
    Random generator(5);
    const auto small = [&](int r, int c) {  // whole numbers: exact in half
      Matrix<Scalar> m(r, c);
      for (Scalar& x : m.reshaped()) x = Scalar(generator.below(17) - 8);
      return m;
    };
    const Matrix<Scalar> keys = small(count, dim), values = small(count, dim);
    rows.write(0, in(keys), in(values));
    const auto block = rows.block(0, 0, count, 0).slice(1, count - 1);
    for (const int m : {1, 3, 8, 9, 20}) {
      const Matrix<Scalar> queries = small(m, dim), weights = small(m, count - 1) / Scalar(8);
      Matrix<Scalar> scores(m, count - 1), output = small(m, dim), before = output;
      block.score(in(queries), out(scores));
      block.accumulate(in(weights), out(output));
      const Matrix<double> k = keys.bottomRows(count - 1).template cast<double>(),
                           v = values.bottomRows(count - 1).template cast<double>();
      double wrong = 0;
      for (int i = 0; i < m; ++i) {
        for (int r = 0; r < count - 1; ++r) {
          double sum = 0;
          for (int d = 0; d < dim; ++d) sum += double(queries(i, d)) * k(r, d);
          wrong = std::max(wrong, std::abs(double(scores(i, r)) - sum));
        }
        for (int d = 0; d < dim; ++d) {
          double sum = double(before(i, d));
          for (int r = 0; r < count - 1; ++r) sum += double(weights(i, r)) * v(r, d);
          wrong = std::max(wrong, std::abs(double(output(i, d)) - sum));
        }
      }
      CHECK(wrong < tolerance);
    }
  }
}
