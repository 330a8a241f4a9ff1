#include "fuzz/utf8_stream.hpp"

#include "fuzz/memory_watch.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // strings that grow
  return kvcache_test::run_watched(data, size, 1 << 16, 32, kvcache_test::fuzz_utf8_stream);
}
