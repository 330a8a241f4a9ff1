#include "instances.hpp"

KVCACHE_TESTS_INSTANCES(, float)
KVCACHE_TESTS_INSTANCES(, double)
