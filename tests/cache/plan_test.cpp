// What a cache takes, COMPUTED without making it, against what one that was made and filled says itself.
#include <doctest/doctest.h>

#include <climits>

#include "cache/named_caches.hpp"
#include "common/instances.hpp"
#include "kvcache/cache/cache_plan.hpp"
#include "kvcache/core/slow_memory.hpp"

using namespace kvcache;
using named_caches::shape;

namespace {

std::vector<std::string> specs() {
  std::vector<std::string> specs;
  for (const auto& named : named_caches::cases()) specs.push_back(named.spec);
  for (const std::string policy :
       {"growing:", "preallocated:", "concatenating:", "window:sinks=2,recent=9,", "paged:page=7,", "random:budget=12,",
        "heavy-hitter:budget=12,recent=4,", "offloaded:block=5,recent=2,"})
    for (const RowFormat* format : row_formats::all)
      for (const char* side : {"format=", "values="}) specs.push_back(policy + side + format->name);
  for (const char* spec :
       {"paged", "window", "offloaded", "growing:format=kivi", "growing:format=kivi,group=3,residual=5,bits=2",
        "paged:format=kivi,group=3,residual=5,keys-per=token,pages=60", "paged:format=kivi,group=3,residual=0",
        "layers:0=heavy-hitter:budget=9,recent=3;1=paged:page=3,keys=int8,values=q4_0",
        "layers:rest=growing:format=kivi,group=4,residual=3"})
    specs.push_back(spec);
  return specs;
}

}  // namespace

TEST_CASE("the computed bytes are the measured ones, for every policy and format, at every length") {
  const Matrix<float> row = Matrix<float>::Ones(1, shape.row_size());
  for (const std::string& spec : specs()) {
    CAPTURE(spec);
    constexpr int most = 100;
    auto cache = make_cache(spec, shape, most);
    const MemoryUse made = cache.memory();
    const CachePlan first = plan_cache(spec, shape, most, 0);
    if (spec.find("paged") == std::string::npos)  // which say what the text takes; the pool takes more
      CHECK(first.first_bytes == made.reserved_bytes + made.bookkeeping_bytes);
    for (int length = 0; length <= most; ++length) {
      const MemoryUse measured = cache.memory(), computed = plan_cache(spec, shape, most, length).memory;
      CAPTURE(length);
      REQUIRE(computed.used_bytes == measured.used_bytes);
      REQUIRE(computed.reserved_bytes == measured.reserved_bytes);
      REQUIRE(computed.slow_bytes == measured.slow_bytes);
      REQUIRE(computed.bookkeeping_bytes == measured.bookkeeping_bytes);
      if (length == most) break;
      for (int l = 0; l < shape.layers; ++l) cache.append(l, length, in(row), in(row));
    }
    ByteWriter saved;
    cache.save(saved);
    CHECK(ByteReader(saved.written()).text() == first.saved_kind);
  }
}

TEST_CASE("a pool takes all its pages at once") {
  CHECK(plan_cache("paged:page=4,pages=40", shape, 8, 5).first_bytes == shape.bytes_per_token(4) * 160);
  CHECK(plan_cache("paged:page=4", shape, 9, 5).first_bytes == shape.bytes_per_token(4) * 12);  // as many as fit
  const CachePlan kivi = plan_cache("paged:format=kivi,bits=4,group=32,residual=32,pages=3", {1, 1, 64}, 8, 5);
  // Keys per channel: 64 ranges of 4 bytes, 32 x 64 codes of 4 bits. Values per token: 2 ranges, 64 codes, 32 times.
  CHECK(kivi.first_bytes == 3 * (64 * 4 + 32 * 32 + 32 * (8 + 32)) + 64 * 2 * 64 * 4);
  CHECK_THROWS_WITH_AS(plan_cache("paged:page=4,pages=2", shape, 8, 9),
                       doctest::Contains("a text of 9 tokens does not fit in 2 pages of 4"), Error);
  CHECK_THROWS_WITH_AS(plan_cache("paged:format=kivi,group=8,residual=0,pages=1", shape, 8, 100),
                       doctest::Contains("needs 12 pages of one group of 8, but there are 1"), Error);
}

TEST_CASE("a text of a thousand million tokens is computed at once") {
  const CacheShape large{.layers = 32, .kv_heads = 8, .head_dim = 128};  // 256 KiB a token in f32
  constexpr int most = 1 << 30;
  const std::size_t all = std::size_t(1) << 48;
  CHECK(memory_of("growing", large, most).used_bytes == all);
  CHECK(memory_of("growing", large, most).reserved_bytes == all);
  CHECK(memory_of("growing", large, most - 1).reserved_bytes == all);
  CHECK(memory_of("concatenating", large, most - 1).reserved_bytes == all - (1 << 18));
  CHECK(memory_of("preallocated:format=f16", large, most).reserved_bytes == all / 2);
  CHECK(memory_of("paged:page=1073741824", large, 1).reserved_bytes == all);
  CHECK(memory_of("window", large, most).used_bytes == 256u << 18);
  CHECK(memory_of("heavy-hitter:budget=1000000000", large, most).reserved_bytes == std::size_t(1000000000) << 18);
  CHECK(memory_of("offloaded:block=64,recent=4", large, most).slow_bytes == all - (256u << 18));
  CHECK(memory_of("growing:format=kivi", large, most).used_bytes < all / 6);
  CHECK_THROWS_WITH_AS(memory_of("growing", {1024, 4096, 4096}, most), doctest::Contains("more than any memory has"),
                       Error);
  CHECK_THROWS_WITH_AS(memory_of("growing", large, INT_MAX), doctest::Contains("2147483647 slots asked for"), Error);
}

TEST_CASE("sizes that cannot be counted are refused with a sentence, made or computed") {
  struct Case {
    const char *spec, *sentence;
  };
  for (const auto& [spec, sentence] :
       {Case{"paged:page=256,pages=16777217", "pages and tokens of a page: 16777217 x 256 make 4294967552 slots"},
        {"paged:page=65536,pages=65536", "65536 x 65536 make 4294967296 slots"},
        {"offloaded:block=65536,recent=65536", "blocks in memory: 65536 x 65536 make 4294967296 slots"},
        {"window:sinks=1073741824,recent=1073741824", "recent tokens: 1073741824 + 1073741824 make 2147483648 slots"},
        {"heavy-hitter:budget=1073741825", "must be a whole number of at least 2 and at most 1073741824"},
        {"growing:format=kivi,group=1073741824", "tokens of a group and head_dim: 1073741824 x 32"},
        {"growing:format=kivi,residual=1073741824", "whole rows and two groups: 1073741824 + 64"},
        {"paged:format=kivi,group=2,pages=1073741824", "pages and tokens of a group: 1073741824 x 2"},
        {"layers:rest=layers:rest=growing", "names layers for a layer"}}) {
    const std::string named = spec;  // clang captures no bindings
    CAPTURE(named);
    CHECK_THROWS_WITH_AS(make_cache(spec, shape, 8), doctest::Contains(sentence), Error);
    CHECK_THROWS_WITH_AS(plan_cache(spec, shape, 8, 8), doctest::Contains(sentence), Error);
  }
  CHECK_THROWS_WITH_AS(make_cache("preallocated", shape, INT_MAX), doctest::Contains("2147483647 slots asked for"),
                       Error);
  CHECK_THROWS_WITH_AS(make_cache("growing", {1, 1 << 20, 1 << 20}, 1),
                       doctest::Contains("1048576 kv heads of 1048576"), Error);
  CHECK_THROWS_WITH_AS(make_cache("window", {0, 2, 32}, 1), doctest::Contains("0 layers, 2 kv heads of 32"), Error);
}

TEST_CASE("a text may be as long as can be counted, and no longer") {
  CHECK(GrowByDoubling::room(1 << 29, (1 << 29) + 1) == most_slots);
  CHECK(GrowByDoubling::room((1 << 29) + 1, (1 << 29) + 2) == most_slots);  // twice as many would wrap
  struct {
    int length(int) const { return most_slots - 1; }
    int chunk_limit(int) const { return unlimited; }
    CacheShape shape() const { return {1, 1, 1}; }
  } const full;
  const Matrix<float> one = Matrix<float>::Ones(1, 1), two = Matrix<float>::Ones(2, 1);
  check_append("Full", full, 0, most_slots - 1, one, one);
  CHECK_THROWS_WITH_AS(check_append("Full", full, 0, most_slots - 1, two, two),
                       "Full: 2 tokens after 1073741823 given, but a text has at most 1073741824; clear the cache",
                       Error);
}

TEST_CASE("a spec of a million characters is refused with a short sentence") {
  std::string deep = "growing";
  for (int i = 0; i < 100000; ++i) deep = "layers:rest=" + deep;
  for (const std::string& spec : {deep, "window:" + std::string(1000000, 'a'), std::string(1000000, 'b'),
                                  "window:sinks=" + std::string(1000000, '1')}) {
    std::string sentence;
    try {
      make_cache(spec, shape, 1);
    } catch (const Error& error) {
      sentence = error.what();
    }
    CHECK(!sentence.empty());
    CHECK(sentence.size() < 1000);
  }
}
