#include "kvcache/cache/rows/kivi_rows.hpp"

#include "cache_laws.hpp"
#include "common/instances.hpp"
#include "kvcache/cache/contiguous_cache.hpp"
#include "kvcache/core/random.hpp"

using namespace kvcache;

namespace {

constexpr CacheShape shape{.layers = 2, .kv_heads = 2, .head_dim = 8};

KiviOptions options_of(int bits, int group, int residual, bool keys_per_channel = true,
                       bool values_per_channel = false) {
  return {{bits, keys_per_channel}, {bits, values_per_channel}, group, residual};
}
/// Fills a cache of one layer and one head with rows; returns what attention reads of them.
Matrix<float> keys_back(const Matrix<float>& rows, KiviOptions options) {
  const int dim = int(rows.cols());
  GrowingCache<KiviRows> cache({1, 1, dim}, 0, options);
  for (int t = 0; t < rows.rows(); ++t) cache.append(0, t, in(rows.middleRows(t, 1)), in(rows.middleRows(t, 1)));
  Matrix<float> back(dim, rows.rows());
  const Matrix<float> units = Matrix<float>::Identity(dim, dim);
  cache.for_each_block(0, 0, [&](const auto& block) { block.score(in(units), out(back)); });
  return back.transpose();
}

}  // namespace

TEST_CASE("KIVI's rows keep the laws, for every width, group and side") {
  for (const int bits : {2, 4, 8})
    for (const auto& [rows, residual] : {std::pair{4, 6}, {8, 0}, {1, 3}, {5, 5}})
      for (const bool per_channel : {true, false}) {
        CAPTURE(bits);
        const int group = rows;
        CAPTURE(group);
        const KiviOptions options = options_of(bits, group, residual, per_channel, !per_channel);
        check_cache_laws(
            [&] { return GrowingCache<KiviRows>(shape, 0, options); },
            {.row_tolerance = 1.03 / ((1 << bits) - 1) + 0.001, .rows_stand_alone = false});
      }
}

TEST_CASE("the newest tokens are whole, the older ones packed, and bytes are the formula") {
  GrowingCache<KiviRows> cache({1, 2, 8}, 0, options_of(4, 4, 3));
  Random random(1);
  const std::size_t whole = 2 * 4 * 16, key_group = 2 * (4 * 8 + 4 * 4), value_group = 2 * 4 * (4 + 4);
  for (int t = 0; t < 30; ++t) {
    Matrix<float> row(1, 16);
    for (float& x : row.reshaped()) x = float(random.uniform(-1, 1));
    cache.append(0, t, in(row), in(row));
    const int groups = t < 7 ? 0 : (t - 3) / 4;
    CHECK(cache.memory().used_bytes ==
          std::size_t(groups) * (key_group + value_group) + std::size_t(t + 1 - 4 * groups) * whole);
    Matrix<float> back(8, t + 1);
    const Matrix<float> units = Matrix<float>::Identity(8, 8);
    cache.for_each_block(0, 1, [&](const auto& block) { block.score(in(units), out(back)); });
    CHECK(back.col(t).transpose() == row.rightCols(8));  // exact
  }
}

TEST_CASE("channels of very different size lose little per channel, and much per token") {
  Random random(2);
  Matrix<float> rows(64, 32);
  for (int t = 0; t < 64; ++t)
    for (int d = 0; d < 32; ++d) rows(t, d) = float(random.uniform(-1, 1)) * (d == 5 ? 50.f : 1.f);
  const auto error = [&](bool per_channel) {
    Matrix<float> difference = keys_back(rows, options_of(4, 16, 0, per_channel)) - rows;
    difference.col(5).setZero();
    return difference.topRows(48).norm();
  };
  CHECK(error(false) > 10 * error(true));
}

TEST_CASE("rows that are out of order, or where no room is, are refused") {
  KiviRows rows(shape, options_of(4, 4, 2));
  rows.resize(8, 0);
  const auto write = [&](int slot, int tokens) {
    const Matrix<float> ones = Matrix<float>::Ones(tokens, 16);
    rows.write(slot, in(ones), in(ones));
  };
  CHECK_THROWS_WITH_AS(write(0, 9), doctest::Contains("KiviRows: 9 rows do not fit at slot 0 of 8; resize() first"),
                       Error);
  CHECK_THROWS_WITH_AS(write(7, 1),
                       "KiviRows: slot 7 given, but only 6 rows after the 0 packed ones are whole; write rows in order",
                       Error);
  write(0, 8);
  CHECK(rows.packed() == 4);
  CHECK_THROWS_WITH_AS(rows.block(0, 0, 9, 0), doctest::Contains("9 slots at 0 asked for, but there are 8"), Error);
  CHECK_THROWS_WITH_AS(rows.resize(12, 9), doctest::Contains("with the first 9 of 8"), Error);

  KiviGroups groups(shape, options_of(4, 4, 2));
  groups.resize(2, 0);
  const Matrix<float> four = Matrix<float>::Ones(4, 16), three = Matrix<float>::Ones(3, 16);
  CHECK_THROWS_WITH_AS(groups.write(2, in(four), in(four)),
                       doctest::Contains("1 slots at 2 asked for, but there are 2"), Error);
  CHECK_THROWS_WITH_AS(groups.write(0, in(three), in(four)), doctest::Contains("a group is 4 tokens of 16 numbers"),
                       Error);
  CHECK_THROWS_AS(groups.copy(0, 2, 1), Error);
  CHECK_THROWS_AS(groups.block(0, 2, 1, 0), Error);
}

TEST_CASE("whole rows show what is no number; packing refuses it") {
  for (const bool per_channel : {true, false})
    for (const float bad : {NAN, INFINITY, -INFINITY})
      for (const int place : {0, 3})  // of the first group, or the last
        for (const bool in_keys : {true, false}) {
          GrowingCache<KiviRows> cache({1, 2, 8}, 0, options_of(4, 4, 2, per_channel, per_channel));
          const Matrix<float> good = Matrix<float>::Ones(1, 16);
          Matrix<float> broken = good;
          broken(0, 11) = bad;
          for (int t = 0; t < 6; ++t)
            cache.append(0, t, in(in_keys && t == place ? broken : good), in(!in_keys && t == place ? broken : good));
          Matrix<float> keys(8, 6), values = Matrix<float>::Zero(6, 8);
          const Matrix<float> units = Matrix<float>::Identity(8, 8), picks = Matrix<float>::Identity(6, 6);
          cache.for_each_block(0, 1, [&](const auto& block) {
            block.score(in(units), out(keys)), block.accumulate(in(picks), out(values));
          });
          CHECK(!std::isfinite(in_keys ? keys(3, place) : values(place, 3)));
          CHECK_THROWS_WITH_AS(cache.append(0, 6, in(good), in(good)),
                               doctest::Contains("which has no code; the model's weights are broken"), Error);
          CHECK(cache.length(0) == 6);
        }
}

TEST_CASE("rewinding stops where rows are packed, with a sentence, and stays possible after it") {
  GrowingCache<KiviRows> cache(shape, 0, options_of(4, 4, 2));
  const Matrix<float> row = Matrix<float>::Ones(1, 16);
  for (int t = 0; t < 20; ++t)
    for (int l = 0; l < 2; ++l) cache.append(l, t, in(row), in(row));
  CHECK_THROWS_WITH_AS(cache.rewind(15),
                       "GrowingCache: rewind to 15 tokens asked for, but the first 16 are forgotten or packed for good; rewind "
                       "no further than that, or to 0, or take a cache that keeps them whole",
                       Error);
  CHECK(cache.length(0) == 20);
  cache.rewind(17);
  CHECK(cache.length(1) == 17);
  cache.append(0, 17, in(row), in(row));
  cache.clear();
  CHECK(cache.memory().used_bytes == 0);
  cache.append(0, 0, in(row), in(row));
}

TEST_CASE("impossible options are refused with a sentence") {
  const char* remedy = "give 2, 4 or 8 bits, a group of at least 1 and a head_dim that fills its bytes";
  for (const KiviOptions& wrong : {options_of(3, 4, 4), options_of(4, 0, 4), options_of(4, 4, -1)})
    CHECK_THROWS_WITH_AS(KiviRows(shape, wrong), doctest::Contains(remedy), Error);
  CHECK_THROWS_WITH_AS(KiviRows({1, 1, 6}, options_of(2, 4, 4)), doctest::Contains(remedy), Error);
}
