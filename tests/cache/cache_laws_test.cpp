#include "cache_laws.hpp"

#include "cache/wrong_cache.hpp"
#include "student_cache.hpp"

using namespace kvcache;

namespace {

constexpr CacheShape shape{.layers = 2, .kv_heads = 2, .head_dim = 6};

/// Obeys every law, but anybody may copy it without knowing.
struct CopiedInSilence : StudentCache {
  explicit CopiedInSilence(StudentCache cache) : StudentCache(std::move(cache)) {}
  CopiedInSilence(CopiedInSilence&&) = default;
  CopiedInSilence& operator=(CopiedInSilence&&) = default;
  CopiedInSilence(const CopiedInSilence& other) : StudentCache(other.StudentCache::clone()) {}  // and no assignment
  CopiedInSilence clone() const { return *this; }
};
static_assert(KeyValueCache<StudentCache> && !std::copyable<CopiedInSilence> && !KeyValueCache<CopiedInSilence>);

struct AssignedInSilence : StudentCache {
  explicit AssignedInSilence(StudentCache cache) : StudentCache(std::move(cache)) {}
  AssignedInSilence(AssignedInSilence&&) = default;
  AssignedInSilence& operator=(AssignedInSilence&&) = default;
  AssignedInSilence& operator=(const AssignedInSilence&) { return *this; }
  AssignedInSilence clone() const { return AssignedInSilence(StudentCache::clone()); }
};
static_assert(!KeyValueCache<AssignedInSilence>);

}  // namespace

TEST_CASE("a cache with another layout and blocks that run backwards keeps the laws") {
  check_cache_laws([] { return StudentCache(shape); });
}

TEST_CASE("a cache that forgets keeps the laws if its policy is told") {
  for (const int window : {1, 8, 40})
    check_cache_laws([=] { return StudentCache(shape, window); },
                     {.keeps = [=](int position, int length) { return position >= length - window; }});
}

TEST_CASE("a cache that forgets other tokens than it says is refused") {
  const auto breaches = cache_laws::broken_laws([] { return StudentCache(shape, 8); });
  REQUIRE(breaches.size() == 1);
  CHECK(breaches[0].law == 6);
  CHECK(breaches[0].how == "position 0 should be kept after 9 tokens, but is not; visited positions are 1 to 8");
}

TEST_CASE("the cache that faults are planted in keeps the laws without one") {
  check_cache_laws([] { return WrongCache(shape, Fault::none); });
}

TEST_CASE("each law refuses the caches that break it") {
  struct Case {
    Fault fault;
    int law;
    const char* how;
  };
  for (const Case& c : {
           Case{Fault::hides_newest, 1,
                "the token just appended is not visited: position 1, in layer 0 by head 0; visited positions are 0"},
           {Fault::visits_twice, 2, "visited twice"},
           {Fault::visits_empty_blocks, 2, "a block of 0 rows"},
           {Fault::invents_a_row, 2, "never appended"},
           {Fault::swaps_keys_and_values, 3, "written"},
           {Fault::reads_first_head, 3, "head 1"},
           {Fault::allocates, 4, "reading allocated 4 times"},  // 2 layers, 2 heads
           {Fault::uses_more_than_it_has, 5, "reserved"},
           {Fault::clear_keeps_bytes, 5, "after clear()"},
           {Fault::clear_keeps_rows, 5, "rows are still visited"},
           {Fault::forgets, 6, "position 0 should be kept after 21 tokens"},
           {Fault::shares_rows, 7, "beside another cache"},
           {Fault::shallow_clone, 7, "holds 21 tokens"},
           {Fault::mixes_chunks, 8, "in chunks of 2"},
           {Fault::takes_no_chunk, 8, "chunk_limit is 0"},
           {Fault::rewind_keeps_rows, 9, "after rewind(40), length says 41"},
           {Fault::rewind_miscounts, 9, "after rewind(1), length says 2"},
           {Fault::rewind_promises_less, 9, "rewind(20) was taken, but least_rewind() says 21"},
           {Fault::prepare_forgets, 14, "after 1 tokens and prepare(), length says 0"},
           {Fault::prepare_takes_nothing, 14, "prepare(41) after 0 tokens reserved 0 bytes, but with these tokens"},
           {Fault::one_reader_only, 10, "several threads at once"},
           {Fault::shares_slots, 11, "lie in slot 0"},
           {Fault::slots_beyond_room, 11, "but there are only"},
           {Fault::load_keeps_rows, 12, "after loading 0 tokens, length says 13"},
           {Fault::load_loses_a_row, 12, "after loading 1 tokens, length says 0"},
           {Fault::load_takes_any_bytes, 12, "0 eighths of the saved bytes were loaded without an error"},
           {Fault::counts_half, 13,
            "after 1 tokens memory().used_bytes is 192, but 4 rows are visited, in all heads and layers, of 96 bytes "
            "for key and value: 384; if they are not stored as plain numbers, say so in Policy::row_bytes"},
           {Fault::counts_nothing, 13, "after 1 tokens memory().used_bytes is 0, but 4 rows are visited"},
           {Fault::counts_one_layer, 13, "after 1 tokens memory().used_bytes is 192, but 4 rows are visited"},
       }) {
    if (c.law == 4 && !allocations::counting()) {
      MESSAGE("law 4 not checked: allocations cannot be counted in this build");
      continue;
    }
    CAPTURE(c.law);
    CAPTURE(std::string(c.how));
    const cache_laws::Report report = cache_laws::trial([&] { return WrongCache(shape, c.fault); });
    REQUIRE(report.breaches.size() == 1);  // a fault is one sentence
    CHECK(report.breaches[0].law == c.law);
    CHECK(report.breaches[0].how.find(c.how) != std::string::npos);
    CHECK(report.skipped.back() == "what comes after law " + std::to_string(c.law) + ", which does not hold");
  }
}

TEST_CASE("a chunk limit that promises too much is a sentence, and no memory is written that is somebody else's") {
  const auto how = [](int recent, int promised) {
    const auto breaches =
        cache_laws::broken_laws([=] { return PromisingRing(shape, recent, promised); },
                                {.keeps = [=](int position, int length) { return position >= length - recent; }});
    REQUIRE(breaches.size() == 1);
    CHECK(breaches[0].law == 8);
    return breaches[0].how;
  };
  CHECK(
      how(8, unlimited) ==
      "in chunks of 41 tokens an exception came: FloatRows: 41 rows do not fit at slot 0 of 8; resize() first, or let "
      "chunk_limit() promise no more than there is room for, and cut chunks where a ring ends");
  CHECK(how(8, 9).find("in chunks of 41 tokens an exception came: FloatRows: 9 rows do not fit at slot 0 of 8") == 0);
  CHECK(how(8, 8).find("in chunks of 41, attention differs by ") == 0);  // written where tokens lie that it must see
  check_cache_laws([] { return PromisingRing(shape, 8, 1); },
                   {.keeps = [](int position, int length) { return position >= length - 8; }});
}

TEST_CASE("what cannot be tried, or was not, is said") {
  using Skipped = std::vector<std::string>;
  const auto skipped = [](const auto& make, const cache_laws::Policy& policy = {}) {
    const cache_laws::Report report = cache_laws::trial(make, policy);
    CHECK(report.breaches.empty());
    Skipped skipped = report.skipped;
    std::erase_if(skipped, [](const std::string& what) { return what.starts_with("law 4"); });  // in sanitized builds
    return skipped;
  };
  CHECK(skipped([] { return WrongCache(shape, Fault::none); }).empty());
  CHECK(skipped([] { return WrongCache(shape, Fault::none); }, {.rows_stand_alone = false}) ==
        Skipped{"law 13, for Policy::rows_stand_alone is false"});
  CHECK(skipped([] { return StudentCache(shape, 100); }) ==
        Skipped{"law 9, for the cache has no rewind()", "law 12, for the cache has no save() and load()",
                "law 14, for the cache has no prepare()",
                "whatever happens after 100 tokens, for the text has 41: give Policy::tokens more"});
}

TEST_CASE("bytes are held against the format that rows are said to have") {
  using Halves = GrowingCache<FloatRows<float, Eigen::half>>;
  const auto breaches = cache_laws::broken_laws([] { return Halves(shape); }, {.row_tolerance = 0x1p-12});
  REQUIRE(breaches.size() == 1);
  CHECK(breaches[0].law == 13);
  CHECK(cache_laws::broken_laws([] { return Halves(shape); }, {.row_tolerance = 0x1p-12, .row_bytes = 2 * 6 * 2})
            .empty());
}

TEST_CASE("looking for allocations adds up nothing that overflows") {  // where sanitizers watch
  cache_laws::SubjectOf<GrowingCache<FloatRows<double>>> cache{GrowingCache<FloatRows<double>>(shape)};
  CHECK(cache.allocations_of_reading() <= 0);  // an empty one, that takes any chunk: INT_MAX
}
