#include "fuzz/tokenizer_json.hpp"

#include "fuzz/memory_watch.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // PCRE2 may take 16 MiB for a match; JSON in memory takes tens of bytes for one in the file
  return kvcache_test::run_watched(data, size, 24 << 20, 64, kvcache_test::fuzz_tokenizer_json);
}
