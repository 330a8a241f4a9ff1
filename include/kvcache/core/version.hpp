// The version of the library, for the preprocessor and for people.
#pragma once

#define KVCACHE_VERSION_MAJOR 0
#define KVCACHE_VERSION_MINOR 1
#define KVCACHE_VERSION_PATCH 0
#define KVCACHE_VERSION "0.1.0"  // CMakeLists.txt reads it from here
