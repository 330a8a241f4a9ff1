#include "fuzz/chat_template.hpp"

#include "fuzz/memory_watch.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // texts of at most 64 MiB, in a few copies
  return kvcache_test::run_watched(data, size, 512 << 20, 4096, kvcache_test::fuzz_chat_template);
}
