// The caches that a program chooses by name. Every policy there is takes long to compile, so it is done once:
// caches.cpp.
#pragma once

#include "common/instances.hpp"
#include "kvcache/caches.hpp"

namespace kvcache {

extern template NamedCache<AnyRows> make_cache<AnyRows>(std::string_view, CacheShape, int, MaybeObserver);
extern template NamedCache<FloatRows<double>> make_cache<FloatRows<double>>(std::string_view, CacheShape, int,
                                                                            MaybeObserver);
extern template CachePlan plan_cache<AnyRows>(std::string_view, CacheShape, int, int);

}  // namespace kvcache
