#include "cache/named_caches.hpp"
#include "cache_laws.hpp"
#include "common/caches.hpp"
#include "common/instances.hpp"

using namespace kvcache;
using named_caches::Case, named_caches::cases, named_caches::shape;

TEST_CASE("every policy, plain and with int8, keeps the laws when it is chosen by name") {
  for (const Case& one : cases()) {
    CAPTURE(std::string(one.spec));
    MESSAGE("laws: " << one.spec);
    check_cache_laws([&] { return make_cache(one.spec, shape, 41); }, one.policy);
  }
}

TEST_CASE("each name gives the cache of that name") {
  const Matrix<float> row = Matrix<float>::Ones(1, shape.row_size());
  const auto reserved = [&](const char* name) {  // slots after three tokens in one layer
    auto cache = make_cache(name, shape, 10);
    for (int p = 0; p < 3; ++p) cache.append(0, p, in(row), in(row));
    return cache.memory().reserved_bytes / (2 * 2 * 32 * sizeof(float));
  };
  CHECK(reserved("growing") == 4);
  CHECK(reserved("concatenating") == 3);
  CHECK(reserved("preallocated") == 2 * 10);
  CHECK(reserved("window") == 2 * 256);
  CHECK(reserved("paged") == 2 * 16);
  CHECK(reserved("paged:page=2") == 2 * 4);  // two pages, which hold both layers
  CHECK(reserved("heavy-hitter:budget=20") == 2 * 20);
  CHECK(reserved("offloaded:block=2,recent=3") == 2 * 6);
  for (const CacheName& name : cache_names) make_cache(name.name, shape, 10);  // every name in the list is known
}

TEST_CASE("errors name the class that refused") {
  const Matrix<float> row = Matrix<float>::Ones(1, 3);
  for (const auto& [name, sentence] : {std::pair{"growing", "GrowingCache: keys"},
                                       {"preallocated", "PreallocatedCache: keys"},
                                       {"concatenating", "ConcatenatingCache: keys"},
                                       {"window", "SlidingWindowCache: keys"},
                                       {"paged", "PagedCache: keys"},
                                       {"heavy-hitter", "HeavyHitterCache: keys"},
                                       {"random", "RandomCache: keys"},
                                       {"offloaded", "OffloadedCache: keys"}})
    CHECK_THROWS_WITH_AS(make_cache(name, shape, 9).append(0, 0, in(row), in(row)), doctest::Contains(sentence), Error);
}

TEST_CASE("what cannot be understood, or makes no sense, is refused with a sentence") {
  for (const auto& [spec, sentence] : {
           std::pair{"groing",
                     "cache \"groing\" is unknown; known are growing, preallocated, concatenating, window, paged, "
                     "heavy-hitter, random, offloaded, layers"},
           {"", "cache \"\" is unknown"},
           {"Growing", "cache \"Growing\" is unknown"},
           {"window:", "nothing follows the colon; write window alone, or window:option=value"},
           {"window:sinks", "\"sinks\" is no option; write name=value"},
           {"window:sinks=", "\"sinks=\" is no option"},
           {"window:sinks=4,,", "\"\" is no option"},
           {"window:sinks=4,sinks=5", "the option sinks stands twice"},
           {"window:sinks=x", "sinks is \"x\"; it must be a whole number of at least 0"},
           {"window:sinks=-1", "sinks is \"-1\"; it must be a whole number of at least 0"},
           {"window:recent=0", "it must be a whole number of at least 1 and at most 1073741824"},
           {"window:recent=99999999999", "it must be a whole number"},
           {"window:positions=new", "positions is \"new\"; it must be original or shifted"},
           {"window:sink=4", "the option sink is unknown; window knows sinks, recent, positions, format, keys, values"},
           {"growing:pages=4", "the option pages is unknown; growing knows format, keys, values"},
           {"window:format=kivi",
            "kivi packs rows in groups and for good, while this policy writes single slots again"},
           {"offloaded:format=kivi", "take growing:format=kivi, paged:format=kivi, or another format"},
           {"growing:format=int3", "row format \"int3\" is unknown; known are f32"},
           {"growing:keys=kivi", "row format \"kivi\" is unknown"},
           {"growing:format=kivi,bits=3", "give 2, 4 or 8 bits"},
           {"growing:format=kivi,keys=int8", "the option keys is unknown; growing knows format, bits"},
           {"heavy-hitter:budget=4,recent=4", "the budget must exceed the recent tokens"},
           {"offloaded:cold=maybe", "it must be no or yes"},
       })
    CHECK_THROWS_WITH_AS(make_cache(spec, shape, 1), doctest::Contains(sentence), Error);
}

TEST_CASE("formats are a choice of AnyRows alone") {
  CHECK_THROWS_WITH_AS(make_cache<FloatRows<double>>("growing:format=int8", shape, 1),
                       doctest::Contains("the option format is unknown; growing has none"), Error);
  make_cache<FloatRows<double>>("window:sinks=1,recent=2", shape, 1);
}

TEST_CASE("a cache that forgot cannot go back, and says so") {
  auto cache = make_cache("window", shape, 1);
  CHECK(!cache.keeps_every_token());
  CHECK(make_cache("paged", shape, 1).keeps_every_token());
  const Matrix<float> row = Matrix<float>::Ones(1, shape.row_size());
  for (int p = 0; p < 3; ++p)
    for (int l = 0; l < shape.layers; ++l) cache.append(l, p, in(row), in(row));
  CHECK(cache.least_rewind() == 3);
  CHECK_THROWS_WITH_AS(cache.rewind(2), doctest::Contains("but the first 3 are forgotten"), Error);
  cache.rewind(3);  // nothing is taken back
  CHECK(cache.length(0) == 3);
  cache.rewind(0);  // which is to clear
  CHECK(cache.length(0) == 0);
}
