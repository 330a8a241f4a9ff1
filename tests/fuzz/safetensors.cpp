#include "fuzz/safetensors.hpp"

#include "fuzz/memory_watch.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // JSON in memory takes tens of bytes for one in the file: "{}," is 3 bytes and a map
  return kvcache_test::run_watched(data, size, 1 << 18, 64, kvcache_test::fuzz_safetensors);
}
