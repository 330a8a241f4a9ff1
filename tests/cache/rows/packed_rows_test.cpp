#include "kvcache/cache/rows/packed_rows.hpp"

#include <map>

#include "cache_laws.hpp"
#include "common/instances.hpp"
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
std::size_t row_bytes(const RowFormat& format, int head_dim = shape.head_dim) { return 2 * format.row_bytes(head_dim); }
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
    check_cache_laws([&] { return GrowingCache<AnyRows>(shape, 0, both); },
                     {.row_tolerance = half_step(*format), .row_bytes = row_bytes(*format)});
    check_cache_laws([&] { return SlidingWindowCache<AnyRows>(shape, {.sinks = 2, .recent = 5}, both); },
                     {.keeps = [](int p, int length) { return p < 2 || p >= length - 5; },
                      .row_tolerance = half_step(*format),
                      .row_bytes = row_bytes(*format)});
  }
}

TEST_CASE("formats that are known when the program is compiled are the same") {
  using row_formats::int8, row_formats::int4;
  check_cache_laws([] { return GrowingCache<Int8Rows>(shape); },
                   {.row_tolerance = half_step(int8), .row_bytes = row_bytes(int8)});
  check_cache_laws([] { return GrowingCache<Int4Rows>(shape); },
                   {.row_tolerance = half_step(int4), .row_bytes = row_bytes(int4)});
  check_cache_laws([] { return PreallocatedCache<PackedRows<FixedFormats<int8, int4>>>(shape, 41); },
                   {.row_tolerance = half_step(int4), .row_bytes = (row_bytes(int8) + row_bytes(int4)) / 2});
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
    // Where registers are wider than what malloc aligns to, Eigen asks for so much more, for keys and for values.
    const std::size_t padding = EIGEN_MALLOC_ALREADY_ALIGNED ? 0 : EIGEN_DEFAULT_ALIGN_BYTES;
    const std::size_t structures = std::size_t(shape.layers) * (sizeof(AnyRows) + sizeof(int) + 2 * padding);
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
      CHECK(scores_of(rows.saved_block(saved.data(), 5, head, 1, 3, 0)) == expected);
      CHECK(scores_of(others.block(head, 2, 3, 0)) == expected);
    }
  }
}

TEST_CASE("slots that are not there are refused, whatever the format") {
  Random random(4);
  for (const RowFormat* format : row_formats::all) {
    AnyRows rows(shape, {format, format});
    rows.resize(4, 0);
    const Matrix<float> five = random_rows(5, 64, random);
    CHECK_THROWS_WITH_AS(rows.write(0, in(five), in(five)),
                         doctest::Contains("PackedRows: 5 rows do not fit at slot 0 of 4; resize() first"), Error);
    CHECK_THROWS_WITH_AS(rows.copy(0, 3, 2), doctest::Contains("cannot be copied"), Error);
    CHECK_THROWS_WITH_AS(rows.resize(9, 5), doctest::Contains("with the first 5 of 4"), Error);
    CHECK_THROWS_WITH_AS(rows.block(0, 0, 5, 0), doctest::Contains("5 slots at 0 asked for"), Error);
    std::vector<std::byte> bytes(5 * rows.bytes_per_slot());
    CHECK_THROWS_AS(rows.save(0, 5, bytes.data()), Error);
    CHECK_THROWS_AS(rows.load(0, 5, bytes.data()), Error);
  }
}

TEST_CASE("packed formats refuse what they have no code for, and nothing has changed; the others show it") {
  Random random(5);
  const Matrix<float> good = random_rows(2, 64, random), unit = Matrix<float>::Identity(32, 32);
  for (const RowFormat* format : row_formats::all)
    for (const float bad : {NAN, INFINITY, -INFINITY})
      for (const bool in_keys : {true, false}) {
        CAPTURE(std::string(format->name));
        CAPTURE(bad);
        AnyRows rows(shape, {format, format});
        rows.resize(2, 0);
        rows.write(0, in(good), in(good));
        const auto first_row = [&](int d) {  // what attention reads of it, in head 1
          Matrix<float> scores(32, 1), output = Matrix<float>::Zero(1, 32), one = Matrix<float>::Ones(1, 1);
          const auto block = rows.block(1, 0, 1, 0);
          if (in_keys) return block.score(in(unit), out(scores)), scores(d, 0);
          return block.accumulate(in(one), out(output)), output(0, d);
        };
        const float before = first_row(31);
        Matrix<float> broken = random_rows(2, 64, random);
        broken(1, 32 + 7) = bad;
        const auto write = [&] { rows.write(0, in(in_keys ? broken : good), in(in_keys ? good : broken)); };
        const bool shows = format == &row_formats::f32 || format == &row_formats::f16 || format == &row_formats::bf16;
        if (!shows) {
          const std::string side = in_keys ? "key" : "value";
          CHECK_THROWS_WITH_AS(
              write(), doctest::Contains(("PackedRows: number 39 of the " + side + " for slot 1 is ").c_str()), Error);
          CHECK_THROWS_WITH_AS(write(), doctest::Contains("the model's weights are broken"), Error);
          CHECK(first_row(31) == before);
        } else {
          write();
          Matrix<float> scores(32, 1), output = Matrix<float>::Zero(1, 32), one = Matrix<float>::Ones(1, 1);
          const auto block = rows.block(1, 1, 1, 0);
          block.score(in(unit), out(scores)), block.accumulate(in(one), out(output));
          CHECK(!std::isfinite(in_keys ? scores(7, 0) : output(0, 7)));
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
