// The caches that programs choose by name, for help texts and tables.
#pragma once

#include <array>

namespace kvcache {

/// The names that make_cache knows, with what each does.
struct CacheName {
  const char* name;
  const char* what;
};
inline constexpr std::array<CacheName, 3> cache_names{{
    {"growing", "keeps every token; doubles its room when full"},
    {"preallocated", "keeps every token; all room at the start"},
    {"concatenating", "keeps every token; new storage and a full copy for each token"},
}};

}  // namespace kvcache
