#include "common/instances.hpp"

namespace kvcache {

KVCACHE_INSTANCES(, float)
KVCACHE_INSTANCES(, double)

}  // namespace kvcache
