// Eigen takes its aligned memory from malloc, not from operator new; and operator new ends in malloc. So malloc and its
// relatives are replaced: every allocation of the process passes here.
#include "allocations.hpp"

#include <atomic>
#include <cerrno>
#include <cstdlib>  // defines __GLIBC__ where there is one

#include "sanitized.hpp"

#if defined(__GLIBC__) && !KVCACHE_TESTS_SANITIZED
#define KVCACHE_TESTS_COUNT 1
#else
#define KVCACHE_TESTS_COUNT 0
#endif

namespace {

// What a Ledger saw. Plain arrays: nothing here may allocate.
constexpr int room = 1 << 14;
struct Entry {
  void* memory;
  std::size_t bytes;
};
[[maybe_unused]] Entry entries[room];  // live allocations since the ledger's construction
int entry_count = 0;
long allocation_count = 0;
std::size_t live = 0;
bool active = false;
std::atomic_flag lock = ATOMIC_FLAG_INIT;

struct Locked {
  Locked() {
    while (lock.test_and_set(std::memory_order_acquire)) {
    }
  }
  ~Locked() { lock.clear(std::memory_order_release); }
};

#if KVCACHE_TESTS_COUNT
void* taken(void* memory, std::size_t bytes) {
  const Locked locked;
  if (!active || !memory) return memory;
  if (entry_count == room) std::abort();  // raise `room`
  ++allocation_count;
  entries[entry_count++] = {memory, bytes};
  live += bytes;
  return memory;
}
void given_back(void* memory) {
  const Locked locked;
  if (!active || !memory) return;
  for (int i = entry_count - 1; i >= 0; --i)
    if (entries[i].memory == memory) {
      live -= entries[i].bytes;
      entries[i] = entries[--entry_count];
      return;
    }
}
#endif

}  // namespace

namespace allocations {

bool counting() { return KVCACHE_TESTS_COUNT; }
Ledger::Ledger() {
  const Locked locked;
  entry_count = 0, allocation_count = 0, live = 0, active = true;
}
Ledger::~Ledger() {
  const Locked locked;
  active = false;
}
long Ledger::count() const {
  const Locked locked;
  return allocation_count;
}
std::size_t Ledger::live_bytes() const {
  const Locked locked;
  return live;
}

}  // namespace allocations

#if KVCACHE_TESTS_COUNT
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);

void* malloc(std::size_t bytes) { return taken(__libc_malloc(bytes), bytes); }
void* calloc(std::size_t count, std::size_t bytes) { return taken(__libc_calloc(count, bytes), count * bytes); }
void* realloc(void* memory, std::size_t bytes) {
  given_back(memory);
  return taken(__libc_realloc(memory, bytes), bytes);
}
void* memalign(std::size_t alignment, std::size_t bytes) { return taken(__libc_memalign(alignment, bytes), bytes); }
void* aligned_alloc(std::size_t alignment, std::size_t bytes) { return memalign(alignment, bytes); }
int posix_memalign(void** memory, std::size_t alignment, std::size_t bytes) {
  *memory = memalign(alignment, bytes);
  return *memory ? 0 : ENOMEM;
}
void free(void* memory) {
  given_back(memory);
  __libc_free(memory);
}
}
#endif
