#include "kvcache/cache/rows/packed_rows.hpp"

#include <map>

#include "cache_laws.hpp"
#include "instances.hpp"
#include "kvcache/cache/contiguous_cache.hpp"
#include "kvcache/cache/sliding_window_cache.hpp"
#include "kvcache/core/random.hpp"

using namespace kvcache;

namespace {

constexpr CacheShape shape{.layers = 2, .kv_heads = 2, .head_dim = 32};

/// Half a step of a row whose numbers lie in [-1, 1].
double half_step(const RowFormat& format) {
  const std::map<std::string, double> steps{{"f32", 0},          {"f16", 0x1p-11},  {"bf16", 0x1p-8},
                                            {"int8", 0.5 / 127}, {"int4", 1. / 15}, {"q8_0", 0.5 / 127 + 0x1p-11},
                                            {"q4_0", 1. / 8}};
  return 1.02 * steps.at(format.name);
}
Matrix<float> random_rows(int rows, int columns, Random& random) {
  Matrix<float> m(rows, columns);
  for (float& x : m.reshaped()) x = float(random.uniform(-1, 1));
  return m;
}

}  // namespace

TEST_CASE("every format keeps the laws, in a cache that grows and in one that forgets") {
  for (const RowFormat* format : row_formats::all) {
    CAPTURE(std::string(format->name));
    const ChosenFormats both{format, format};
    check_cache_laws([&] { return GrowingCache<AnyRows>(shape, 0, both); }, {.row_tolerance = half_step(*format)});
    check_cache_laws(
        [&] { return SlidingWindowCache<AnyRows>(shape, {.sinks = 2, .recent = 5}, both); },
        {.keeps = [](int p, int length) { return p < 2 || p >= length - 5; }, .row_tolerance = half_step(*format)});
  }
}

TEST_CASE("formats that are known when the program is compiled are the same") {
  check_cache_laws([] { return GrowingCache<Int8Rows>(shape); }, {.row_tolerance = half_step(row_formats::int8)});
  check_cache_laws([] { return GrowingCache<Int4Rows>(shape); }, {.row_tolerance = half_step(row_formats::int4)});
  check_cache_laws(
      [] { return PreallocatedCache<PackedRows<FixedFormats<row_formats::int8, row_formats::int4>>>(shape, 41); },
      {.row_tolerance = half_step(row_formats::int4)});
  static_assert(sizeof(Int8Rows) < sizeof(AnyRows), "fixed formats take no room");
}

TEST_CASE("keys and values have each their own format, and bytes are the formula of both") {
  for (const RowFormat* keys : row_formats::all)
    for (const RowFormat* values : row_formats::all) {
      AnyRows rows(shape, {keys, values});
      rows.resize(10, 0);
      CHECK(rows.bytes_per_slot() == 2 * (keys->row_bytes(32) + values->row_bytes(32)));
    }
  CHECK(row_formats::f32.row_bytes(64) == 256);
  CHECK(row_formats::f16.row_bytes(64) == 128);
  CHECK(row_formats::bf16.row_bytes(64) == 128);
  CHECK(row_formats::int8.row_bytes(64) == 64 + 4);
  CHECK(row_formats::int4.row_bytes(64) == 2 * (16 + 4));
  CHECK(row_formats::q8_0.row_bytes(64) == 2 * (32 + 2));
  CHECK(row_formats::q4_0.row_bytes(64) == 2 * (16 + 2));
}

TEST_CASE("the bytes that are counted are those that were allocated") {
  if (!allocations::counting()) return;
  for (const RowFormat* format : row_formats::all) {
    const allocations::Ledger ledger;
    PreallocatedCache<AnyRows> cache(shape, 100, {format, &row_formats::f16});
    const std::size_t structures = std::size_t(shape.layers) * (sizeof(AnyRows) + sizeof(int));
    CHECK(ledger.live_bytes() == cache.memory().reserved_bytes + structures);
    CHECK(cache.memory().reserved_bytes == 2 * 100 * 2 * (format->row_bytes(32) + 64));
  }
}

TEST_CASE("rows that are saved can be read where they lie, and come back") {
  Random random(3);
  for (const RowFormat* format : row_formats::all) {
    AnyRows rows(shape, {format, &row_formats::bf16}), others(shape, {format, &row_formats::bf16});
    rows.resize(12, 0), others.resize(7, 0);
    const Matrix<float> keys = random_rows(9, 64, random), values = random_rows(9, 64, random);
    rows.write(2, in(keys), in(values));
    Numbers<std::byte> saved(5 * rows.bytes_per_slot());
    rows.save(/*first*/ 4, 5, saved.data());
    others.load(/*first*/ 1, 5, saved.data());
    const Matrix<float> queries = random_rows(3, 32, random);
    for (int head = 0; head < 2; ++head) {
      const auto scores_of = [&](const AnyRows::Block& block) {
        Matrix<float> scores(3, block.rows()), output = Matrix<float>::Zero(3, 32);
        block.score(in(queries), out(scores));
        block.accumulate(in(scores), out(output));
        return output;
      };
      const Matrix<float> expected = scores_of(rows.block(head, 5, 3, 0));
      CHECK(scores_of(rows.saved_block(saved.data(), 5, head, 1, 3)) == expected);
      CHECK(scores_of(others.block(head, 2, 3, 0)) == expected);
    }
  }
}

TEST_CASE("what a format cannot hold is refused with a sentence") {
  CHECK_THROWS_WITH_AS(AnyRows({1, 1, 24}, {&row_formats::q8_0, &row_formats::f32}),
                       "PackedRows: head_dim is 24, but q8_0 packs 32 numbers together; take f32, f16, bf16 or int8",
                       Error);
  CHECK_THROWS_WITH_AS(AnyRows({1, 1, 5000}), doctest::Contains("at most 4096 numbers"), Error);
  const AnyRows odd({1, 1, 7}, {&row_formats::int8, &row_formats::f16});
  CHECK(odd.bytes_per_slot() == 7 + 4 + 14);
  CHECK_THROWS_WITH_AS(find_row_format("int3"), doctest::Contains("known are f32, f16, bf16, int8"), Error);
}
