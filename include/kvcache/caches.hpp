// The umbrella of all caches and formats, and of the choice among them by name. Needs no library but Eigen, and POSIX
// for the cache that offloads to a file.
#pragma once

#include "kvcache/cache/make_cache.hpp"
#include "kvcache/cache/prefix_tree.hpp"
