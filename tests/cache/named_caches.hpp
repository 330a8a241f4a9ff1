// Every policy and format by name, with what the laws should expect of it: for tests that go through all of them.
#pragma once

#include <vector>

#include "cache_laws.hpp"
#include "common/caches.hpp"

namespace named_caches {

inline constexpr kvcache::CacheShape shape{.layers = 2, .kv_heads = 2, .head_dim = 32};

/// A text of 41 tokens, thrice in pages.
struct Case {
  const char* spec;
  cache_laws::Policy policy = {};
};
/// Bytes of a key and a value of 32 numbers.
inline constexpr std::size_t int8_bytes = 2 * 36, int8_and_int4_bytes = 36 + 20;
inline cache_laws::Policy rounding(double tolerance, std::size_t row_bytes) {
  return {.row_tolerance = tolerance, .row_bytes = row_bytes};
}
inline cache_laws::Policy in_groups(double tolerance) {
  return {.row_tolerance = tolerance, .rows_stand_alone = false};
}
inline std::vector<Case> cases() {
  const auto window = [](int sinks, int recent, double tolerance = 0, std::size_t row_bytes = 0) {
    return cache_laws::Policy{.keeps = [=](int p, int length) { return p < sinks || p >= length - recent; },
                              .row_tolerance = tolerance,
                              .row_bytes = row_bytes};
  };
  const auto budget = [](double tolerance = 0, std::size_t row_bytes = 0) {
    return cache_laws::Policy{.keeps = [](int p, int length) { return p >= length - 4; },
                              .how_many = [](int length) { return std::min(length, 12); },
                              .row_tolerance = tolerance,
                              .row_bytes = row_bytes};
  };
  constexpr double int8 = 0.0041, int4 = 0.069, kivi = 0.07;
  return {{"growing"},
          {"preallocated"},
          {"concatenating"},
          {"window:sinks=2,recent=9", window(2, 9)},
          {"window:sinks=0,recent=9", window(0, 9)},
          {"paged:page=4,pages=40"},
          {"heavy-hitter:budget=12,recent=4", budget()},
          {"random:budget=12,recent=4", budget()},
          {"offloaded:block=4,recent=2"},
          {"offloaded:block=4,recent=2,cold=yes"},
          {"layers:0=growing;1=offloaded:block=4,recent=1"},
          {"growing:format=int8", rounding(int8, int8_bytes)},
          {"preallocated:format=int8", rounding(int8, int8_bytes)},
          {"concatenating:keys=int8,values=int4", rounding(int4, int8_and_int4_bytes)},
          {"window:sinks=2,recent=9,format=int8", window(2, 9, int8, int8_bytes)},
          {"paged:page=4,pages=40,format=int8", rounding(int8, int8_bytes)},
          {"heavy-hitter:budget=12,recent=4,format=int8", budget(int8, int8_bytes)},
          {"random:budget=12,recent=4,format=int8", budget(int8, int8_bytes)},
          {"offloaded:block=4,recent=2,format=int8", rounding(int8, int8_bytes)},
          {"layers:rest=growing:format=int8", rounding(int8, int8_bytes)},
          {"growing:format=kivi,group=8,residual=8", in_groups(kivi)},
          {"growing:format=kivi,key-bits=8,value-bits=2,group=4,residual=0", in_groups(0.36)},
          {"paged:format=kivi,group=8,residual=8,pages=40", in_groups(kivi)},
          {"paged:format=kivi,bits=8,group=4,residual=0,pages=40", in_groups(0.006)}};
}

}  // namespace named_caches
