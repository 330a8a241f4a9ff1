#include "cache_laws.hpp"

#include "cache/wrong_cache.hpp"
#include "student_cache.hpp"

using namespace kvcache;

namespace {
constexpr CacheShape shape{.layers = 2, .kv_heads = 2, .head_dim = 6};
}

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
  CHECK(breaches[0].how == "position 0 should be kept after 9 tokens, but is not");
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
           Case{Fault::hides_newest, 1, "the token just appended is not visited"},
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
           {Fault::one_reader_only, 10, "several threads at once"},
           {Fault::shares_slots, 11, "lie in slot 0"},
           {Fault::slots_beyond_room, 11, "but there are only"},
           {Fault::load_keeps_rows, 12, "after loading 0 tokens, length says 13"},
           {Fault::load_loses_a_row, 12, "after loading 1 tokens, length says 0"},
           {Fault::load_takes_any_bytes, 12, "0 eighths of the saved bytes were loaded without an error"},
       }) {
    if (c.law == 4 && !allocations::counting()) {
      MESSAGE("law 4 not checked: allocations cannot be counted in this build");
      continue;
    }
    std::string told;
    for (const auto& breach : cache_laws::broken_laws([&] { return WrongCache(shape, c.fault); }))
      if (breach.law == c.law) told = breach.how;
    CAPTURE(c.law);
    CAPTURE(std::string(c.how));
    CAPTURE(told);
    CHECK(told.find(c.how) != std::string::npos);
    CHECK(told != "");
  }
}
