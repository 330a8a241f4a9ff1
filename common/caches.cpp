#include "common/caches.hpp"

namespace kvcache {

template NamedCache<AnyRows> make_cache<AnyRows>(std::string_view, CacheShape, int, MaybeObserver);
template NamedCache<FloatRows<double>> make_cache<FloatRows<double>>(std::string_view, CacheShape, int, MaybeObserver);
template CachePlan plan_cache<AnyRows>(std::string_view, CacheShape, int, int);

}  // namespace kvcache
