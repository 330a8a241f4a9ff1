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
inline cache_laws::Policy rounding(double tolerance, bool rewinds = true) {
  return {.row_tolerance = tolerance, .rewinds = rewinds};
}
inline std::vector<Case> cases() {
  const auto window = [](int sinks, int recent, double tolerance = 0) {
    return cache_laws::Policy{.keeps = [=](int p, int length) { return p < sinks || p >= length - recent; },
                              .row_tolerance = tolerance,
                              .rewinds = false};
  };
  const auto budget = [](double tolerance = 0) {
    return cache_laws::Policy{.keeps = [](int p, int length) { return p >= length - 4; },
                              .how_many = [](int length) { return std::min(length, 12); },
                              .row_tolerance = tolerance,
                              .rewinds = false};
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
          {"growing:format=int8", rounding(int8)},
          {"preallocated:format=int8", rounding(int8)},
          {"concatenating:keys=int8,values=int4", rounding(int4)},
          {"window:sinks=2,recent=9,format=int8", window(2, 9, int8)},
          {"paged:page=4,pages=40,format=int8", rounding(int8)},
          {"heavy-hitter:budget=12,recent=4,format=int8", budget(int8)},
          {"random:budget=12,recent=4,format=int8", budget(int8)},
          {"offloaded:block=4,recent=2,format=int8", rounding(int8)},
          {"layers:rest=growing:format=int8", rounding(int8)},
          {"growing:format=kivi,group=8,residual=8", rounding(kivi, false)},
          {"growing:format=kivi,key-bits=8,value-bits=2,group=4,residual=0", rounding(0.36, false)},
          {"paged:format=kivi,group=8,residual=8,pages=40", rounding(kivi, false)},
          {"paged:format=kivi,bits=8,group=4,residual=0,pages=40", rounding(0.006, false)}};
}

}  // namespace named_caches
