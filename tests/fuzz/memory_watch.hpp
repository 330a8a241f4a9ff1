// What libFuzzer calls for each input: runs a target, and holds it to an amount of memory that goes with the input.
#pragma once

#include <sanitizer/allocator_interface.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace kvcache_test {

/// Bytes in use now, and the most since it was last asked to start. Counts every malloc of the process.
struct MemoryWatch {
  static inline std::atomic<std::ptrdiff_t> now = 0, most = 0;

  static void start() {
    static const bool installed =
        __sanitizer_install_malloc_and_free_hooks([](const volatile void* memory, std::size_t) { add(memory, 1); },
                                                  [](const volatile void* memory) { add(memory, -1); }) != 0;
    if (!installed) std::abort();
    now = most = 0;
  }
  static void add(const volatile void* memory, int sign) {
    if (memory == nullptr) return;
    const auto bytes = std::ptrdiff_t(__sanitizer_get_allocated_size(const_cast<const void*>(memory)));
    const std::ptrdiff_t sum = now += sign * bytes;
    if (sum > most) most = sum;
  }
};

/// Ends the program where the target took more than `constant` + `multiple` * size bytes at once.
int run_watched(const std::uint8_t* data, std::size_t size, std::ptrdiff_t constant, std::ptrdiff_t multiple,
                auto&& target) {
  MemoryWatch::start();
  target(std::string_view(reinterpret_cast<const char*>(data), size));
  const std::ptrdiff_t most = MemoryWatch::most, allowed = constant + multiple * std::ptrdiff_t(size);
  if (most > allowed) {
    std::fprintf(stderr, "%td bytes of memory for an input of %zu; allowed are %td\n", most, size, allowed);
    std::abort();
  }
  return 0;
}

}  // namespace kvcache_test
