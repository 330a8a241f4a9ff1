#include "kvcache/cache/any_cache.hpp"

#include "cache_laws.hpp"
#include "instances.hpp"

using namespace kvcache;

namespace {
constexpr CacheShape shape{.layers = 2, .kv_heads = 2, .head_dim = 8};
}

TEST_CASE("caches chosen by name keep the laws") {
  for (const CacheName& name : cache_names) {
    CAPTURE(std::string(name.name));
    check_cache_laws([&] { return make_cache(name.name, shape, 41); });
  }
}

TEST_CASE("each name gives the cache of that name") {
  const Matrix<float> row = Matrix<float>::Ones(1, shape.row_size());
  const auto reserved = [&](const char* name) {  // slots after three tokens in one layer
    auto cache = make_cache(name, shape, 10);
    for (int p = 0; p < 3; ++p) cache.append(0, p, in(row), in(row));
    return cache.memory().reserved_bytes / (2 * 2 * 8 * sizeof(float));
  };
  CHECK(reserved("growing") == 4);
  CHECK(reserved("concatenating") == 3);
  CHECK(reserved("preallocated") == 2 * 10);
  CHECK(cache_names.size() == 3);
}

TEST_CASE("the names are those of the classes") {
  const Matrix<float> row = Matrix<float>::Ones(1, 3);
  CHECK_THROWS_WITH_AS(make_cache("growing", shape, 9).append(0, 0, in(row), in(row)),
                       doctest::Contains("GrowingCache: keys"), Error);
  CHECK_THROWS_WITH_AS(make_cache("preallocated", shape, 9).append(0, 0, in(row), in(row)),
                       doctest::Contains("PreallocatedCache: keys"), Error);
  CHECK_THROWS_WITH_AS(make_cache("concatenating", shape, 9).append(0, 0, in(row), in(row)),
                       doctest::Contains("ConcatenatingCache: keys"), Error);
}

TEST_CASE("an unknown name is refused, with those that are known") {
  CHECK_THROWS_WITH_AS(make_cache("groing", shape, 1),
                       "cache \"groing\" is unknown; known are growing, preallocated, concatenating", Error);
  CHECK_THROWS_AS(make_cache("", shape, 1), Error);
  CHECK_THROWS_AS(make_cache("Growing", shape, 1), Error);
}
