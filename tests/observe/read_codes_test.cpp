#include "kvcache/observe/read_codes.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cstdint>

#include "common/instances.hpp"
#include "kvcache/cache/rows/float_rows.hpp"
#include "recorded.hpp"
#include "student_cache.hpp"
#include "threads.hpp"

using namespace kvcache;
using recorded::Run, recorded::Wish, recorded::record;

namespace {

ModelConfig wide_llama() {  // blocks of 32 numbers fit into its heads twice
  ModelConfig config = small_llama();
  config.head_dim = 64;
  return config;
}

/// What the codes say, by the formula of their format: the documentation's, not the library's code.
float by_formula(const RowCodes& row, int d) {
  const float code = row.codes[std::size_t(d)];
  if (row.format.name == "f16") return float(Eigen::numext::bit_cast<Eigen::half>(std::uint16_t(code)));
  if (row.format.name == "bf16") return std::bit_cast<float>(std::uint32_t(code) << 16);
  const int range = d / row.format.share;
  return row.minima.at(std::size_t(range)) + row.scales.at(std::size_t(range)) * code;
}
/// How many numbers of a row share a scale, and the largest code.
std::pair<int, float> share_and_most(const std::string& format, int head_dim) {
  if (format == "f16" || format == "bf16") return {0, 65535.f};
  if (format == "int8") return {head_dim, 127.f};
  if (format == "int4" || format == "q4_0") return {32, 15.f};
  if (format == "q8_0") return {32, 127.f};
  REQUIRE(format.substr(0, 6) == "kivi, ");
  return {format.ends_with("a channel") ? 1 : std::min(32, head_dim), float((1 << (format[6] - '0')) - 1)};
}
void check_row(const RowCodes& row, const auto& read) {
  const int head_dim = int(read.size());
  const auto [share, most] = share_and_most(row.format.name, head_dim);
  REQUIRE(row.format.share == share);
  REQUIRE(int(row.codes.size()) == head_dim);
  REQUIRE(int(row.scales.size()) == (share == 0 ? 0 : (head_dim + share - 1) / share));
  REQUIRE(row.minima.size() == row.scales.size());
  const bool is_signed = row.format.name == "int8" || row.format.name == "q8_0";
  int off = 0;
  for (int d = 0; d < head_dim; ++d) {
    const float code = row.codes[std::size_t(d)];
    off += by_formula(row, d) != read[d] || code > most || code < (is_signed ? -most : 0) || code != std::floor(code);
  }
  REQUIRE(off == 0);
}

/// Records a run of `spec` and holds every code of every step to what attention reads then. Returns how many keys and
/// values had codes in the last step, and how many were kept.
struct Counts {
  int keys = 0, values = 0, kept = 0;
};
Counts check_codes_of(const char* spec, const ModelConfig& config, bool use_cache = true) {
  CAPTURE(std::string(spec));
  Wish wish{.config = config, .cache = spec, .use_cache = use_cache, .prompt = 11, .tokens = 9};
  wish.trace.codes = true;
  Counts counts;
  record(random_model<float>(config), wish, [&](const auto& decoding, const Timeline& timeline) {
    counts = {};
    const int step = timeline.steps() - 1, length = timeline.length_after(step), dim = config.head_dim;
    Matrix<float> keys(length, dim), values(length, dim);
    for (int l = 0; l < config.layers; ++l)
      for (int h = 0; h < config.kv_heads; ++h) {
        read_rows(decoding.cache(), l, h, 0, out(keys), out(values));
        for (int p = use_cache ? 0 : timeline.step(step).first_position; p < length; ++p) {
          if (timeline.step(step).layout(l).slot_of(p) < 0) continue;  // forgotten
          ++counts.kept;
          const RowCodes key = timeline.key_codes(l, h, p, step), value = timeline.value_codes(l, h, p, step);
          if (key.format.has_codes()) check_row(key, keys.row(p)), ++counts.keys;
          if (value.format.has_codes()) check_row(value, values.row(p)), ++counts.values;
        }
      }
  });
  return counts;
}

/// One row in a store of one head; how its key lies there.
RowCodes codes_of(const char* format, const std::vector<float>& numbers) {
  AnyRows rows({1, 1, int(numbers.size())}, {&find_row_format(format), &row_formats::f32});
  rows.resize(3, 0);
  const Eigen::Map<const Matrix<float>> row(numbers.data(), 1, std::ssize(numbers));
  rows.write(1, in(row), in(row));
  RowCodes codes, none{{"left over", 1}, {7}, {7}, {7}};
  rows.block(0, 0, 3, 0).key_codes(1, codes);
  rows.block(0, 0, 3, 0).value_codes(1, none);
  CHECK(none == RowCodes{});  // f32 has nothing to show
  return codes;
}
using Floats = std::vector<float>;

}  // namespace

TEST_CASE("the recorded codes are what attention reads, by each format's formula, for every format and policy") {
  const Threads one(1);
  for (const char* format : {"f16", "bf16", "int8", "int4", "q8_0", "q4_0"}) {
    const Counts counts = check_codes_of((std::string("growing:format=") + format).c_str(), wide_llama());
    CHECK(counts.keys == 3 * 2 * 19);  // layers, kv heads, positions
    CHECK(counts.values == counts.keys);
  }
  for (const char* spec : {"paged:page=4,pages=40,format=int8", "offloaded:block=2,recent=2,format=int4",
                           "window:sinks=2,recent=6,format=q8_0", "heavy-hitter:budget=8,recent=3,format=f16"}) {
    const Counts counts = check_codes_of(spec, wide_llama());
    CHECK(counts.keys == counts.kept);
    CHECK(counts.values == counts.kept);
    CHECK(counts.kept >= 3 * 2 * 8);
  }
  const Counts without = check_codes_of("growing:format=int8", wide_llama(), /*use_cache*/ false);
  CHECK(without.keys == 3 * 2);  // the newest position: what is computed again is not recorded again
}

TEST_CASE("rows that KIVI packs have codes from then on, whole rows have none") {
  const Threads one(1);
  for (const char* bits : {"2", "4", "8"})
    for (const char* rest : {"", ",keys-per=token,values-per=channel"})
      for (const char* policy : {"growing:", "paged:pages=40,"}) {
        const std::string spec = policy + std::string("format=kivi,group=4,residual=2,bits=") + bits + rest;
        for (const ModelConfig& config : {small_llama(), wide_llama()}) {  // less than 32 numbers, and more
          const Counts counts = check_codes_of(spec.c_str(), config);
          CHECK(counts.keys == 3 * 2 * 16);  // of 19 rows
          CHECK(counts.values == counts.keys);
          CHECK(counts.kept == 3 * 2 * 19);
        }
      }
}

TEST_CASE("a picture of an earlier step shows the rows of then: not packed yet") {
  const Threads one(1);
  Wish wish{.cache = "growing:format=kivi,bits=2,group=4,residual=2", .prompt = 11, .tokens = 9};
  wish.trace.codes = true;
  const Timeline timeline = record(random_model<float>(wish.config), wish).timeline;
  int packed = 0;
  for (int step = 0; step < timeline.steps(); ++step) {
    for (const RewrittenRows& rows : timeline.step(step).rewritten) packed = rows.first_position + rows.rows;
    if (step == 0) packed = 8;
    for (int p = 0; p < timeline.length_after(step); ++p) {
      CHECK(timeline.key_codes(1, 1, p, step).format.has_codes() == (p < packed));
      CHECK(timeline.value_codes(1, 1, p, step).format.has_codes() == (p < packed));
    }
  }
  CHECK(packed == 16);
}

TEST_CASE("keys, values and layers have each their own format, or none") {
  const Threads one(1);
  const Counts counts = check_codes_of("growing:keys=int8", wide_llama());
  CHECK(counts.keys == counts.kept);
  CHECK(counts.values == 0);
  const Counts mixed = check_codes_of(
      "layers:0=growing:values=int4;1=growing:format=kivi,group=4,residual=2;rest=growing", wide_llama());
  CHECK(mixed.keys == 2 * 16);
  CHECK(mixed.values == 2 * (19 + 16));
  CHECK(check_codes_of("growing", wide_llama()).keys == 0);
}

TEST_CASE("a row that one layer has forgotten within its step has no codes there, though another layer keeps it") {
  const Threads one(1);
  Wish wish{
      .cache = "layers:0=growing:format=int8;rest=window:sinks=1,recent=4,format=int8", .prompt = 11, .tokens = 1};
  wish.trace.codes = true;
  const Timeline timeline = record(random_model<float>(wish.config), wish).timeline;
  for (int p = 0; p < 11; ++p) {
    CHECK(timeline.key_codes(0, 1, p).format.has_codes());
    CHECK(timeline.key_codes(1, 1, p).format.has_codes() == (timeline.step(0).layout(1).slot_of(p) >= 0));
  }
  CHECK(!timeline.key_codes(1, 1, 3).format.has_codes());
}

TEST_CASE("codes, scales and minima by hand") {
  const RowCodes int8 = codes_of("int8", {63.5f, -32, 0, 0.5f, -63.5f});
  CHECK(int8.codes == Floats{127, -64, 0, 1, -127});
  CHECK(int8.scales == Floats{0.5f});
  CHECK(int8.minima == Floats{0});
  CHECK(codes_of("f16", {1, -2}).codes == Floats{0x3c00, 0xc000});
  CHECK(codes_of("bf16", {1, -2}).codes == Floats{0x3f80, 0xc000});
  Floats row(64, 0.25f);
  row[1] = -1.75f, row[31] = 2, row[32] = 8, row[63] = -1;
  const RowCodes int4 = codes_of("int4", row);
  CHECK(int4.scales == Floats{0.25f, float(Eigen::half(0.6f))});
  CHECK(int4.minima == Floats{-1.75f, -1});
  CHECK(Floats(int4.codes.begin(), int4.codes.begin() + 3) == Floats{8, 0, 8});
  CHECK(int4.codes[31] == 15);
  CHECK(int4.codes[63] == 0);
  const RowCodes q8_0 = codes_of("q8_0", [&] {
    Floats r(32, -1.5f);
    r[7] = 63.5f;
    return r;
  }());
  CHECK(q8_0.scales == Floats{0.5f});
  CHECK(q8_0.codes[0] == -3);
  CHECK(q8_0.codes[7] == 127);
  const RowCodes q4_0 = codes_of("q4_0", row);
  CHECK(q4_0.scales == Floats{-0.25f, -1});  // so that the number farthest from 0 has code 0
  CHECK(q4_0.minima == Floats{2, 8});
  CHECK(q4_0.codes[31] == 0);
  CHECK(q4_0.codes[1] == 15);
  CHECK(q4_0.codes[63] == 9);
}

TEST_CASE("codes take about as much memory as the numbers beside them, but for KIVI's channels") {
  const Threads one(1);
  Wish wish{.config = wide_llama(), .cache = "growing:format=int4"};
  const Timeline without = record(random_model<float>(wish.config), wish).timeline;
  wish.trace.codes = true;
  const Timeline with = record(random_model<float>(wish.config), wish).timeline;
  for (int step = 0; step < with.steps(); ++step) {
    const StepRecord& record = with.step(step);
    CHECK(without.step(step).codes.bytes() == 0);
    const std::size_t numbers = 2 * std::size_t(record.rows) * 3 * 2 * 64;
    CHECK(record.codes.bytes() == numbers * sizeof(float) * (32 + 2) / 32 + 3 * sizeof(CodedRows));
    CHECK(record.bytes() == without.step(step).bytes() + record.codes.bytes());
  }
}

TEST_CASE("a cache whose blocks show nothing is recorded without codes") {
  static_assert(CodedBlock<AnyRows::Block> && CodedBlock<KiviRows::Block> && CodedBlock<NamedCache<>::Block>);
  static_assert(CodedBlock<AnyBlock<Int8Rows::Block, FloatRows<>::Block>>);
  static_assert(!CodedBlock<AnyBlock<FloatRows<>::Block>>);
  static_assert(!CodedBlock<FloatRows<>::Block> && !CodedBlock<StudentCache::Block>);
  const Model<double> model = random_model<double>(small_llama());
  Transformer<double> transformer(model);
  const std::vector<int> prompt = some_tokens(9);
  TracedDecoding<double, StudentCache> decoding(transformer, StudentCache(model.config.cache_shape(), 5), prompt,
                                                {.tokens = 2}, {.codes = true});
  CHECK(decoding.next().codes.runs.empty());
}
