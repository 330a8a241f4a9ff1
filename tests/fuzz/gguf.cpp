#include "fuzz/gguf.hpp"

#include "fuzz/memory_watch.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // PCRE2 may take 16 MiB for a match; values of 1 byte become JSON of 16; Q4_0 becomes doubles
  return kvcache_test::run_watched(data, size, 24 << 20, 48, kvcache_test::fuzz_gguf);
}
