// The caches that programs choose by name, for help texts and tables.
#pragma once

#include <array>

namespace kvcache {

/// The names that make_cache knows, with what each does.
struct CacheName {
  const char* name;
  const char* what;     // which tokens it keeps
  const char* options;  // with what they are if left out; beside format, keys and values
  const char* file;     // to read
};
inline constexpr std::array<CacheName, 8> cache_names{{
    {"growing", "every token; doubles its room when full", "", "cache/contiguous_cache.hpp"},
    {"preallocated", "every token; all room at the start", "", "cache/contiguous_cache.hpp"},
    {"concatenating", "every token; new storage and a full copy for each token", "", "cache/contiguous_cache.hpp"},
    {"window", "the first few tokens and the most recent ones", "sinks=4,recent=252,positions=original|shifted",
     "cache/sliding_window_cache.hpp"},
    {"paged", "every token, in pages from a pool that texts can share", "page=16,pages=as many as fit the text",
     "cache/paged_cache.hpp"},
    {"heavy-hitter", "the most recent tokens, and those that got the most attention", "budget=256,recent=128",
     "cache/evicting_cache.hpp"},
    {"random", "the most recent tokens, and others by lot: what heavy-hitter must beat", "budget=256,recent=128",
     "cache/evicting_cache.hpp"},
    {"offloaded", "every token; the newest blocks in memory, the older ones in a file", "block=64,recent=4,cold=no|yes",
     "cache/offloaded_cache.hpp"},
}};
/// A cache made of the others: "layers:0-9=growing;10,12=window:sinks=0,recent=64;rest=paged".
inline constexpr CacheName cache_of_layers{"layers", "in each layer what the cache named for it keeps",
                                           "0-9=CACHE;10,12=CACHE;rest=CACHE", "cache/per_layer_cache.hpp"};

}  // namespace kvcache
