// simt_host.h - run CUDA-C++ kernels on the CPU, for tests on machines without a GPU.
//
// Include this (through simt.h) when the compiler is not nvcc.  Every CUDA thread is a fiber;
// a block is a set of fibers driven by one OS thread; blocks run one after another, or are
// dealt to several OS threads.  __syncthreads / __syncwarp / __shfl_*_sync / votes follow the
// CUDA rules and report their misuse (divergent barrier, lane missing from a mask, read from a
// lane that is not in the mask, dead lock) as simt::error from the launch.
//
// Build options
//   SIMT_FIBER_UCONTEXT   use <ucontext.h> instead of the built-in x86-64 / AArch64 switch
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define SIMT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIMT_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define SIMT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SIMT_TSAN 1
#endif
#endif
#ifdef SIMT_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef SIMT_TSAN
#include <sanitizer/tsan_interface.h>
extern "C" void AnnotateIgnoreReadsBegin(const char*, int);
extern "C" void AnnotateIgnoreReadsEnd(const char*, int);
extern "C" void AnnotateIgnoreWritesBegin(const char*, int);
extern "C" void AnnotateIgnoreWritesEnd(const char*, int);
#endif
#if !defined(__x86_64__) && !defined(__aarch64__) && !defined(SIMT_FIBER_UCONTEXT)
#define SIMT_FIBER_UCONTEXT 1
#endif
#ifdef SIMT_FIBER_UCONTEXT
#include <ucontext.h>
#endif

// ------------------------------------------------------------------ vector and launch types
struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

namespace simt {

struct error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class order { forward, reverse, random };

struct options {
  order thread_order = order::forward;  // order in which runnable threads of a block are resumed
  order block_order = order::forward;
  std::uint64_t seed = 1;
  unsigned os_threads = 1;     // blocks in flight at the same time
  bool strict_barrier = true;  // all threads must meet at the same __syncthreads() line
  std::size_t stack_bytes = 64 * 1024;
  int devices = 1;
  unsigned most_blocks = 65535;         // along y and along z of a grid; tests make it less
  std::size_t device_bytes = SIZE_MAX;  // more at once than that is refused, as by a device that is full
  // Streams do what they are asked for at once, or, held, only when somebody waits for it. CUDA promises no order but
  // that of waits, so a result must be the same either way.
  bool hold_streams = false;              // those that wait for the default stream, and it for them
  bool hold_independent_streams = false;  // those made with cudaStreamNonBlocking
};
inline options& config() {
  static options o;
  return o;
}

// ------------------------------------------------------------------ fibers
extern "C" void simt_switch(void** save_sp, void* load_sp);  // defined below by asm

struct fiber {
  void* sp = nullptr;
  char* stack = nullptr;
  std::size_t bytes = 0;
#ifdef SIMT_FIBER_UCONTEXT
  ucontext_t uc;
#endif
  void* fake_stack = nullptr;  // ASan
  void* tsan = nullptr;        // TSan
};

#ifndef SIMT_FIBER_UCONTEXT
#if defined(__x86_64__)
asm(R"(
.pushsection .text.simt_switch,"axG",@progbits,simt_switch,comdat
.weak simt_switch
.type simt_switch,@function
simt_switch:
  .cfi_startproc
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  popq %rcx
  jmp *%rcx
  .cfi_endproc
.size simt_switch,.-simt_switch
.popsection
)");
inline void* fiber_prepare(char* top, void (*entry)()) {
  auto* p = reinterpret_cast<std::uint64_t*>(reinterpret_cast<std::uintptr_t>(top) & ~std::uintptr_t{15});
  *--p = 0;                                       // keeps (%rsp + 8) 16-byte aligned at entry
  *--p = reinterpret_cast<std::uint64_t>(entry);  // where the first switch jumps to
  for (int i = 0; i < 6; ++i) *--p = 0;
  return p;
}
#else  // AArch64: x19-x30, d8-d15
asm(R"(
.pushsection .text.simt_switch,"axG",@progbits,simt_switch,comdat
.weak simt_switch
.type simt_switch,@function
simt_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size simt_switch,.-simt_switch
.popsection
)");
inline void* fiber_prepare(char* top, void (*entry)()) {
  auto* p = reinterpret_cast<std::uint64_t*>((reinterpret_cast<std::uintptr_t>(top) & ~std::uintptr_t{15}) - 160);
  std::memset(p, 0, 160);
  p[11] = reinterpret_cast<std::uint64_t>(entry);  // x30
  return p;
}
#endif
#endif  // !SIMT_FIBER_UCONTEXT

// ThreadSanitizer: every CUDA thread is a TSan fiber of its own, and only barriers and warp
// operations order fibers, so TSan reports exactly the accesses that no barrier separates.
// The shim's own bookkeeping is hidden from it.
#ifdef SIMT_TSAN
inline void tsan_hide() {
  AnnotateIgnoreReadsBegin("", 0);
  AnnotateIgnoreWritesBegin("", 0);
}
inline void tsan_show() {
  AnnotateIgnoreReadsEnd("", 0);
  AnnotateIgnoreWritesEnd("", 0);
}
inline void tsan_release(void* p) { __tsan_release(p); }
inline void tsan_acquire(void* p) { __tsan_acquire(p); }
#else
inline void tsan_hide() {}
inline void tsan_show() {}
inline void tsan_release(void*) {}
inline void tsan_acquire(void*) {}
#endif
struct tsan_quiet {
  tsan_quiet() { tsan_hide(); }
  ~tsan_quiet() { tsan_show(); }
  tsan_quiet(const tsan_quiet&) = delete;
};

// ------------------------------------------------------------------ block scheduler
struct source {
  const char* file = "";
  int line = 0;
  const char* what = "";
};
inline std::string str(const source& s) { return std::string(s.what) + " at " + s.file + ":" + std::to_string(s.line); }

enum class state : unsigned char { ready, block_barrier, warp_wait, done };

struct thread_ctx {
  fiber f;
  uint3 tid{};
  unsigned linear = 0;
  state st = state::ready;
  source where{};
  unsigned mask = 0;        // warp collective: declared mask
  unsigned src_lane = 0;    // lane this thread wants to read
  unsigned char value[16];  // published operand
  unsigned char result[16];
  int vote = 0;  // operand / result of barrier reductions
  struct copy {
    void* dst;
    const void* src;
    std::size_t n, zfill;
    unsigned group;
  };
  std::vector<copy> copies;  // asynchronous copies in flight (cuda_pipeline.h primitives)
  unsigned group = 0;
};

struct warp_ctx {
  unsigned waiting = 0, exited = 0;
  unsigned gen[32] = {};  // per lowest lane of a mask: completed operations (their parity picks sync[])
  char sync[32][2] = {};  // TSan sync objects
};

class block_runner;
inline thread_local block_runner* current_block = nullptr;

}  // namespace simt

// The CUDA built-in variables.  They are plain thread-locals, reloaded at every fiber switch.
inline constinit thread_local uint3 threadIdx{0, 0, 0};
inline constinit thread_local uint3 blockIdx{0, 0, 0};
inline constinit thread_local dim3 blockDim{1, 1, 1};
inline constinit thread_local dim3 gridDim{1, 1, 1};
inline constexpr int warpSize = 32;

namespace simt {

#if defined(__GNUC__)
#define SIMT_NO_SANITIZE __attribute__((no_sanitize("address", "thread", "undefined")))
#endif

// The stacks of a block's threads, with a guard page below each: who overflows one faults. Kept from launch to launch,
// for making them costs more than most kernels of a test.
class stack_arena {
 public:
  ~stack_arena() {
    if (memory_) munmap(memory_, bytes_);
  }
  // n stacks of stack_bytes (whole pages), `step` apart; the first byte of each lies a page above its guard.
  char* take(unsigned n, std::size_t stack_bytes) {
    const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE)), step = stack_bytes + page;
    if (n > stacks_ || stack_bytes != stack_bytes_) {
      if (memory_) munmap(memory_, bytes_);
      stacks_ = n, stack_bytes_ = stack_bytes, bytes_ = step * n;
      memory_ = static_cast<char*>(
          mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
      if (memory_ == MAP_FAILED) {
        memory_ = nullptr, stacks_ = 0;
        throw std::bad_alloc();
      }
      for (unsigned i = 0; i < n; ++i) mprotect(memory_ + i * step, page, PROT_NONE);
    }
    return memory_;
  }
#ifdef SIMT_TSAN
  // The sanitizer knows a limited number of threads in the life of a program, so they are kept too.
  void* tsan_fiber(unsigned i) {
    while (fibers_.size() <= i) fibers_.push_back(__tsan_create_fiber(0));
    return fibers_[i];
  }
#endif
  static stack_arena& of_this_thread() {
    static thread_local stack_arena arena;
    return arena;
  }

 private:
  char* memory_ = nullptr;
  std::size_t bytes_ = 0, stack_bytes_ = 0;
  unsigned stacks_ = 0;
#ifdef SIMT_TSAN
  std::vector<void*> fibers_;
#endif
};

class block_runner {
 public:
  block_runner(dim3 block, std::size_t smem_bytes, const options& o)
      : dim_(block), n_(block.x * block.y * block.z), smem_bytes_(smem_bytes), opt_(o), rng_(o.seed) {
    threads_ = std::make_unique<thread_ctx[]>(n_);
    order_.resize(n_);
    std::iota(order_.begin(), order_.end(), 0u);
    if (o.thread_order == order::reverse) std::reverse(order_.begin(), order_.end());
    const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    stack_bytes_ = (o.stack_bytes + page - 1) / page * page;
#ifdef SIMT_ASAN
    stack_bytes_ *= 4;
#endif
    arena_bytes_ = (stack_bytes_ + page) * n_;
    arena_ = stack_arena::of_this_thread().take(n_, stack_bytes_);
    for (unsigned i = 0; i < n_; ++i) {
      auto& t = threads_[i];
      char* lo = arena_ + i * (stack_bytes_ + page);
      t.f.stack = lo + page;
      t.f.bytes = stack_bytes_;
      t.linear = i;
      t.tid = {i % block.x, i / block.x % block.y, i / (block.x * block.y)};
#ifdef SIMT_TSAN
      t.f.tsan = stack_arena::of_this_thread().tsan_fiber(i);
#endif
    }
#ifdef SIMT_TSAN
    main_.tsan = __tsan_get_current_fiber();
#endif
  }
  ~block_runner() {
#ifdef SIMT_ASAN
    __asan_unpoison_memory_region(arena_, arena_bytes_);
#endif
  }
  block_runner(const block_runner&) = delete;

  template <class Body>
  void run(uint3 bid, dim3 grid, const Body& body) {
    body_ = [](const void* b) { (*static_cast<const Body*>(b))(); };
    body_arg_ = &body;
    current_block = this;
    blockIdx = bid;
    blockDim = dim_;
    gridDim = grid;
    // dynamic shared memory: exact size, fresh and filled with a NaN pattern for every block
    arrays_.clear();
    smem_ = allocate(smem_bytes_);
    for (unsigned i = 0; i < n_; ++i) {
      threads_[i].st = state::ready;
      threads_[i].copies.clear();
      threads_[i].group = 0;
      start_fiber(threads_[i]);
    }
    warps_.assign((n_ + 31) / 32, {});
    live_ = n_;
    at_barrier_ = 0;
    tsan_release(&start_);
    const tsan_quiet quiet;
    while (live_ != 0) {
      if (opt_.thread_order == order::random) std::shuffle(order_.begin(), order_.end(), rng_);
      bool progress = false;
      for (unsigned i : order_) {
        auto& t = threads_[i];
        if (t.st != state::ready) continue;
        progress = true;
        cur_ = &t;
        threadIdx = t.tid;
        to_fiber(t);
        if (!failure_.empty()) {
          current_block = nullptr;
          throw error(failure_);
        }
        if (t.st == state::done) {
          --live_;
          check_warp_exit(t);
        }
        if (live_ != 0 && at_barrier_ == live_) release_barrier();
      }
      if (!progress && live_ != 0) {
        current_block = nullptr;
        throw error("dead lock: " + describe_waiters());
      }
    }
    tsan_acquire(&join_);
    current_block = nullptr;
  }

  // ---- called from inside fibers -------------------------------------------------------
  int block_barrier(source w, int vote, int op) {  // op 0 none, 1 count, 2 and, 3 or
    const tsan_quiet quiet;
    auto& t = *cur_;
    t.where = w;
    t.vote = vote;
    t.st = state::block_barrier;
    if (at_barrier_ == 0) {
      barrier_src_ = w;
      barrier_op_ = op;
    } else if (op != barrier_op_ ||
               (opt_.strict_barrier && (w.line != barrier_src_.line || std::strcmp(w.file, barrier_src_.file))))
      fail("divergent barrier: thread " + std::to_string(t.linear) + " is at " + str(w) + " while another is at " +
           str(barrier_src_));
    ++at_barrier_;
    char* sync = &barrier_sync_[barrier_gen_ & 1];  // two objects: the next barrier must not order this interval
    tsan_release(sync);
    yield_fiber(t);
    tsan_acquire(sync);
    return t.vote;
  }

  // Publishes `v`, waits for every lane of `mask`, then hands back lane `src`'s value.
  // kind distinguishes operations so that mixing them is reported.
  template <class T>
  T warp_exchange(source w, unsigned mask, T v, unsigned src) {
    static_assert(sizeof(T) <= 16 && std::is_trivially_copyable_v<T>);
    const tsan_quiet quiet;
    auto& t = *cur_;
    std::memcpy(t.value, &v, sizeof(T));
    warp_arrive(w, mask, src);
    T r;
    std::memcpy(&r, t.result, sizeof(T));
    return r;
  }
  unsigned ballot(source w, unsigned mask, bool pred) {
    const tsan_quiet quiet;
    auto& t = *cur_;
    t.value[0] = pred;
    warp_arrive(w, mask, ballot_lane);
    unsigned r;
    std::memcpy(&r, t.result, 4);
    return r;
  }
  void syncwarp(source w, unsigned mask) {
    const tsan_quiet quiet;
    warp_arrive(w, mask, no_lane);
  }
  // Asynchronous copies happen as late as the rules allow (in the wait), so a missing wait shows.
  void copy_async(void* dst, const void* src, std::size_t n, std::size_t zfill) {
    const tsan_quiet quiet;
    if ((n != 4 && n != 8 && n != 16) || reinterpret_cast<std::uintptr_t>(dst) % n ||
        reinterpret_cast<std::uintptr_t>(src) % n)
      fail("asynchronous copy: size or alignment");
    cur_->copies.push_back({dst, src, n, zfill, cur_->group});
  }
  void copy_commit() {
    const tsan_quiet quiet;
    ++cur_->group;
  }
  void copy_wait(unsigned prior) {
    std::vector<thread_ctx::copy> due;
    {
      const tsan_quiet quiet;
      auto& c = cur_->copies;
      const auto mid =
          std::stable_partition(c.begin(), c.end(), [&](const auto& x) { return x.group + prior < cur_->group; });
      due.assign(c.begin(), mid);
      c.erase(c.begin(), mid);
    }
    for (const auto& x : due) {
      std::memcpy(x.dst, x.src, x.n - x.zfill);
      std::memset(static_cast<char*>(x.dst) + (x.n - x.zfill), 0, x.zfill);
    }
  }
  unsigned lane() const {
    const tsan_quiet quiet;
    return cur_->linear % 32;
  }
  // One array per block and per declaration: exact size for AddressSanitizer, NaN pattern at first use.
  template <class T>
  T& shared_array(const void* key) {
    const tsan_quiet quiet;
    for (auto& a : arrays_)
      if (a.first == key) return *reinterpret_cast<T*>(a.second.get());
    arrays_.emplace_back(key, allocate(sizeof(T)));
    return *reinterpret_cast<T*>(arrays_.back().second.get());
  }
  void* dynamic_shared() const {
    const tsan_quiet quiet;
    return smem_.get();
  }
  [[noreturn]] void fail(std::string m) {
    failure_ = std::move(m) + " [block (" + std::to_string(blockIdx.x) + "," + std::to_string(blockIdx.y) + "," +
               std::to_string(blockIdx.z) + ")]";
    for (;;) yield_fiber(*cur_);
  }

 private:
  static constexpr unsigned no_lane = 64, ballot_lane = 65;

  void warp_arrive(source w, unsigned mask, unsigned src) {
    auto& t = *cur_;
    const unsigned base = t.linear / 32 * 32, me = t.linear % 32;
    if (!(mask >> me & 1u)) fail(str(w) + ": lane " + std::to_string(me) + " is not in its own mask");
    const unsigned present = n_ - base >= 32 ? ~0u : (1u << (n_ - base)) - 1u;
    mask &= present;  // lanes beyond the block do not exist
    if (src < 32 && !(mask >> src & 1u))
      fail(str(w) + ": lane " + std::to_string(me) + " reads lane " + std::to_string(src) +
           ", which is not in the mask");
    warp_ctx& wc = warps_[t.linear / 32];
    if (wc.exited & mask)
      fail(str(w) + ": lane " + std::to_string(std::countr_zero(wc.exited & mask)) + " named in the mask has exited");
    t.where = w;
    t.mask = mask;
    t.src_lane = src;
    t.st = state::warp_wait;
    wc.waiting |= 1u << me;
    const int low = std::countr_zero(mask) & 31;
    char* sync = &wc.sync[low][wc.gen[low] & 1];
    tsan_release(sync);
    if ((wc.waiting & mask) == mask) {  // the last lane completes the operation for all of them
      for (unsigned m = mask; m; m &= m - 1) {
        const auto& o = threads_[base + static_cast<unsigned>(std::countr_zero(m))];
        if (o.mask != mask) fail(str(w) + ": lanes disagree about the mask");
        if (std::strcmp(o.where.what, w.what)) fail(str(w) + ": another lane of the mask is in " + str(o.where));
      }
      wc.waiting &= ~mask;
      ++wc.gen[low];
      unsigned votes = 0;
      for (unsigned m = mask; m; m &= m - 1) {
        const unsigned l = static_cast<unsigned>(std::countr_zero(m));
        if (threads_[base + l].value[0]) votes |= 1u << l;
      }
      for (unsigned m = mask; m; m &= m - 1) {
        auto& o = threads_[base + static_cast<unsigned>(std::countr_zero(m))];
        if (o.src_lane < 32)
          std::memcpy(o.result, threads_[base + o.src_lane].value, 16);
        else if (o.src_lane == ballot_lane)
          std::memcpy(o.result, &votes, 4);
        o.st = state::ready;
      }
    }
    yield_fiber(t);
    tsan_acquire(sync);
  }

  void release_barrier() {
    int count = 0, all = 1, any = 0;
    for (unsigned i = 0; i < n_; ++i)
      if (threads_[i].st == state::block_barrier) {
        count += threads_[i].vote != 0;
        all &= threads_[i].vote != 0;
        any |= threads_[i].vote != 0;
      }
    for (unsigned i = 0; i < n_; ++i)
      if (threads_[i].st == state::block_barrier) {
        threads_[i].vote = barrier_op_ == 1 ? count : barrier_op_ == 2 ? all : any;
        threads_[i].st = state::ready;
      }
    at_barrier_ = 0;
    ++barrier_gen_;
  }
  void check_warp_exit(thread_ctx& t) {
    const unsigned base = t.linear / 32 * 32, me = t.linear % 32;
    warps_[t.linear / 32].exited |= 1u << me;
    if (warps_[t.linear / 32].waiting == 0) return;
    for (unsigned i = base; i < n_ && i < base + 32; ++i)
      if (threads_[i].st == state::warp_wait && (threads_[i].mask >> me & 1u)) {
        current_block = nullptr;
        throw error(str(threads_[i].where) + ": lane " + std::to_string(me) + " named in the mask has exited");
      }
  }
  std::string describe_waiters() const {
    std::string s;
    source last{};
    for (unsigned i = 0; i < n_; ++i) {
      const auto& t = threads_[i];
      if (t.st == state::done || (t.where.line == last.line && t.where.what == last.what)) continue;
      s += (s.empty() ? "thread " : "; thread ") + std::to_string(i) + " waits in " + str(t.where);
      last = t.where;
    }
    return s;
  }

  // ---- fiber plumbing ------------------------------------------------------------------
  SIMT_NO_SANITIZE static void entry() {
    block_runner* b = current_block;
#ifdef SIMT_ASAN
    __sanitizer_finish_switch_fiber(nullptr, &b->main_bottom_, &b->main_size_);
#endif
    tsan_acquire(&b->start_);
    b->body_(b->body_arg_);
    tsan_release(&b->join_);
    b->cur_->st = state::done;
    b->yield_fiber(*b->cur_);
    std::abort();
  }
  void start_fiber(thread_ctx& t) {
#ifdef SIMT_ASAN
    __asan_unpoison_memory_region(t.f.stack, t.f.bytes);
#endif
#ifdef SIMT_FIBER_UCONTEXT
    getcontext(&t.f.uc);
    t.f.uc.uc_stack.ss_sp = t.f.stack;
    t.f.uc.uc_stack.ss_size = t.f.bytes;
    t.f.uc.uc_link = nullptr;
    makecontext(&t.f.uc, &block_runner::entry, 0);
#else
    t.f.sp = fiber_prepare(t.f.stack + t.f.bytes, &block_runner::entry);
#endif
  }
  SIMT_NO_SANITIZE void to_fiber(thread_ctx& t) {
#ifdef SIMT_ASAN
    __sanitizer_start_switch_fiber(&main_.fake_stack, t.f.stack, t.f.bytes);
#endif
#ifdef SIMT_TSAN
    __tsan_switch_to_fiber(t.f.tsan, __tsan_switch_to_fiber_no_sync);
#endif
#ifdef SIMT_FIBER_UCONTEXT
    swapcontext(&main_.uc, &t.f.uc);
#else
    simt_switch(&main_.sp, t.f.sp);
#endif
#ifdef SIMT_ASAN
    __sanitizer_finish_switch_fiber(main_.fake_stack, nullptr, nullptr);
#endif
  }
  SIMT_NO_SANITIZE void yield_fiber(thread_ctx& t) {
#ifdef SIMT_ASAN
    __sanitizer_start_switch_fiber(t.st == state::done ? nullptr : &t.f.fake_stack, main_bottom_, main_size_);
#endif
#ifdef SIMT_TSAN
    __tsan_switch_to_fiber(main_.tsan, __tsan_switch_to_fiber_no_sync);
#endif
#ifdef SIMT_FIBER_UCONTEXT
    swapcontext(&t.f.uc, &main_.uc);
#else
    simt_switch(&t.f.sp, main_.sp);
#endif
#ifdef SIMT_ASAN
    __sanitizer_finish_switch_fiber(t.f.fake_stack, &main_bottom_, &main_size_);
#endif
  }

  struct free_aligned {
    void operator()(unsigned char* p) const { ::operator delete (p, std::align_val_t{128}); }
  };
  using buffer = std::unique_ptr<unsigned char, free_aligned>;
  static buffer allocate(std::size_t n) {
    if (n == 0) return nullptr;
    buffer b(static_cast<unsigned char*>(::operator new (n, std::align_val_t{128})));
    std::memset(b.get(), 0xff, n);
    return b;
  }
  dim3 dim_;
  unsigned n_;
  std::size_t smem_bytes_;
  options opt_;
  std::mt19937_64 rng_;
  std::unique_ptr<thread_ctx[]> threads_;
  std::vector<unsigned> order_;
  std::vector<warp_ctx> warps_;
  std::size_t stack_bytes_ = 0, arena_bytes_ = 0;
  char* arena_ = nullptr;
  fiber main_;
  const void* main_bottom_ = nullptr;
  std::size_t main_size_ = 0;
  thread_ctx* cur_ = nullptr;
  void (*body_)(const void*) = nullptr;
  const void* body_arg_ = nullptr;
  buffer smem_;
  std::vector<std::pair<const void*, buffer>> arrays_;
  unsigned live_ = 0, at_barrier_ = 0;
  source barrier_src_{};
  int barrier_op_ = 0;
  unsigned barrier_gen_ = 0;
  // Addresses that stand for what the thread sanitizer is told of. Start and join are two: or a thread that is done
  // would seem to come before one that begins later.
  char barrier_sync_[2] = {}, start_ = 0, join_ = 0;
  std::string failure_;
};

// A test may send launches elsewhere, for example to a PTX interpreter.  `kernel` is the address of
// the host compilation of the kernel; its mangled symbol is also the .entry name in nvcc's PTX.
using launch_hook = void (*)(const void* kernel, dim3 grid, dim3 block, std::size_t smem, int n,
                             const void* const* args, const std::size_t* sizes);
inline launch_hook external_launch = nullptr;

template <class... P, class... A>
void run_grid(void (*kernel)(P...), dim3 grid, dim3 block, std::size_t smem, A&&... a) {
  static_assert(sizeof...(P) == sizeof...(A), "kernel argument count");
  const std::tuple<P...> args{static_cast<P>(std::forward<A>(a))...};
  if (external_launch) {
    std::apply(
        [&](const P&... p) {
          const void* ptr[] = {&p..., nullptr};
          const std::size_t size[] = {sizeof(P)..., 0};
          external_launch(reinterpret_cast<const void*>(kernel), grid, block, smem, static_cast<int>(sizeof...(P)), ptr,
                          size);
        },
        args);
    return;
  }
  const auto body = [&] { std::apply(kernel, args); };
  const options& o = config();
  const std::size_t per_block = std::size_t{block.x} * block.y * block.z;
  if (per_block == 0 || per_block > 1024 || grid.x == 0 || grid.y == 0 || grid.y > o.most_blocks || grid.z == 0 ||
      grid.z > o.most_blocks)
    throw error("invalid launch configuration");
  const std::size_t blocks = std::size_t{grid.x} * grid.y * grid.z;
  std::vector<std::size_t> seq(blocks);
  std::iota(seq.begin(), seq.end(), std::size_t{0});
  if (o.block_order == order::reverse) std::reverse(seq.begin(), seq.end());
  if (o.block_order == order::random) {
    std::mt19937_64 g(o.seed ^ 0x9e3779b97f4a7c15ull);
    std::shuffle(seq.begin(), seq.end(), g);
  }
  unsigned workers = o.os_threads ? o.os_threads : 1;
  std::atomic<std::size_t> next{0};
  std::vector<std::string> errors(workers);
  const auto work = [&](unsigned w) {
    try {
      block_runner r(block, smem, o);
      for (std::size_t i; errors[w].empty() && (i = next.fetch_add(1, std::memory_order_relaxed)) < blocks;) {
        const std::size_t b = seq[i];
        r.run({static_cast<unsigned>(b % grid.x), static_cast<unsigned>(b / grid.x % grid.y),
               static_cast<unsigned>(b / (std::size_t{grid.x} * grid.y))},
              grid, body);
      }
    } catch (const std::exception& e) {
      errors[w] = e.what();
      next = blocks;
    }
  };
  if (workers == 1)
    work(0);
  else {
    std::vector<std::thread> pool;
    for (unsigned w = 0; w < workers; ++w) pool.emplace_back(work, w);
    for (auto& t : pool) t.join();
  }
  for (auto& e : errors)
    if (!e.empty()) throw error(e);
}

// ------------------------------------------------------------------ half
inline float half_bits_to_float(std::uint16_t h) {
  const std::uint32_t s = std::uint32_t{h & 0x8000u} << 16, e = h >> 10 & 31u, m = h & 0x3ffu;
  if (e == 31) return std::bit_cast<float>(s | 0x7f800000u | m << 13);
  if (e == 0) {
    const float f = static_cast<float>(m) * 0x1p-24f;
    return s ? -f : f;
  }
  return std::bit_cast<float>(s | (e + 112u) << 23 | m << 13);
}
inline std::uint16_t float_to_half_bits(float f) {  // round to nearest even
  const std::uint32_t u = std::bit_cast<std::uint32_t>(f), a = u & 0x7fffffffu;
  const auto s = static_cast<std::uint16_t>(u >> 16 & 0x8000u);
  if (a > 0x7f800000u) return 0x7fff;
  if (a >= 0x477ff000u) return static_cast<std::uint16_t>(s | 0x7c00u);
  if (a < 0x38800000u)  // subnormal half: let the FPU round at 2^-24
    return static_cast<std::uint16_t>(s | (std::bit_cast<std::uint32_t>(std::bit_cast<float>(a) + 0.5f) - 0x3f000000u));
  return static_cast<std::uint16_t>(s | (a - 0x38000000u + 0xfffu + (a >> 13 & 1u)) >> 13);
}
template <class F>
F atomic_update(F* p, auto op) {
  std::atomic_ref<F> r(*p);
  F old = r.load(std::memory_order_relaxed);
  while (!r.compare_exchange_weak(old, op(old), std::memory_order_relaxed)) {
  }
  return old;
}
inline block_runner& blk() { return *current_block; }
}  // namespace simt

struct __half {
  std::uint16_t bits;
  __half() = default;
  __half(float f) : bits(simt::float_to_half_bits(f)) {}
  operator float() const { return simt::half_bits_to_float(bits); }
};
using half = __half;
struct alignas(4) __half2 {
  __half x, y;
};
using half2 = __half2;
inline float __half2float(__half h) { return h; }
inline __half __float2half(float f) { return __half(f); }
inline __half __float2half_rn(float f) { return __half(f); }
inline __half2 __floats2half2_rn(float a, float b) { return {__half(a), __half(b)}; }
inline float2 __half22float2(__half2 h) { return {h.x, h.y}; }
inline __half __hadd(__half a, __half b) { return __half(float(a) + float(b)); }
inline __half __hmul(__half a, __half b) { return __half(float(a) * float(b)); }
inline __half2 __hadd2(__half2 a, __half2 b) { return {__hadd(a.x, b.x), __hadd(a.y, b.y)}; }
inline __half2 __hmul2(__half2 a, __half2 b) { return {__hmul(a.x, b.x), __hmul(a.y, b.y)}; }

// ------------------------------------------------------------------ language extensions
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __constant__ static
#define __align__(n) __attribute__((aligned(n)))
#define __shared__ static thread_local  // plain CUDA; SIMT_SHARED (simt.h) is the guarded form

#define SIMT_HERE const char *file_ = __builtin_FILE(), int line_ = __builtin_LINE()
inline void __syncthreads(SIMT_HERE) { simt::blk().block_barrier({file_, line_, "__syncthreads"}, 0, 0); }
inline int __syncthreads_count(int p, SIMT_HERE) {
  return simt::blk().block_barrier({file_, line_, "__syncthreads_count"}, p, 1);
}
inline int __syncthreads_and(int p, SIMT_HERE) {
  return simt::blk().block_barrier({file_, line_, "__syncthreads_and"}, p, 2);
}
inline int __syncthreads_or(int p, SIMT_HERE) {
  return simt::blk().block_barrier({file_, line_, "__syncthreads_or"}, p, 3);
}
inline void __syncwarp(unsigned mask = ~0u, SIMT_HERE) { simt::blk().syncwarp({file_, line_, "__syncwarp"}, mask); }
inline unsigned __ballot_sync(unsigned mask, int p, SIMT_HERE) {
  return simt::blk().ballot({file_, line_, "__ballot_sync"}, mask, p != 0);
}
inline int __any_sync(unsigned mask, int p, SIMT_HERE) {
  return simt::blk().ballot({file_, line_, "__any_sync"}, mask, p != 0) != 0;
}
inline int __all_sync(unsigned mask, int p, SIMT_HERE) {
  return simt::blk().ballot({file_, line_, "__all_sync"}, mask, p == 0) == 0;
}
template <class T>
T __shfl_sync(unsigned mask, T v, int src, int width = 32, SIMT_HERE) {
  const unsigned l = simt::blk().lane(), w = static_cast<unsigned>(width);
  return simt::blk().warp_exchange({file_, line_, "__shfl_sync"}, mask, v,
                                   (l & ~(w - 1)) | (static_cast<unsigned>(src) & (w - 1)));
}
template <class T>
T __shfl_up_sync(unsigned mask, T v, unsigned d, int width = 32, SIMT_HERE) {
  const unsigned l = simt::blk().lane(), w = static_cast<unsigned>(width);
  return simt::blk().warp_exchange({file_, line_, "__shfl_up_sync"}, mask, v, (l & (w - 1)) < d ? l : l - d);
}
template <class T>
T __shfl_down_sync(unsigned mask, T v, unsigned d, int width = 32, SIMT_HERE) {
  const unsigned l = simt::blk().lane(), w = static_cast<unsigned>(width);
  return simt::blk().warp_exchange({file_, line_, "__shfl_down_sync"}, mask, v, (l & (w - 1)) + d >= w ? l : l + d);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T v, int x, int width = 32, SIMT_HERE) {
  const unsigned l = simt::blk().lane(), w = static_cast<unsigned>(width), s = l ^ static_cast<unsigned>(x);
  // PTX shfl.bfly: a source above the own segment's end is out of range and yields the own value
  return simt::blk().warp_exchange({file_, line_, "__shfl_xor_sync"}, mask, v, s > (l | (w - 1)) ? l : s);
}
inline void __pipeline_memcpy_async(void* dst, const void* src, std::size_t n, std::size_t zfill = 0) {
  simt::blk().copy_async(dst, src, n, zfill);
}
inline void __pipeline_commit() { simt::blk().copy_commit(); }
inline void __pipeline_wait_prior(unsigned n) { simt::blk().copy_wait(n); }
inline void __threadfence() { std::atomic_thread_fence(std::memory_order_seq_cst); }
inline void __threadfence_block() { std::atomic_thread_fence(std::memory_order_seq_cst); }
template <class T>
T __ldg(const T* p) {
  return *p;
}
template <class T>
T atomicAdd(T* p, std::type_identity_t<T> v) {
  return simt::atomic_update(p, [v](T o) { return static_cast<T>(o + v); });
}
template <class T>
T atomicMax(T* p, std::type_identity_t<T> v) {
  return simt::atomic_update(p, [v](T o) { return o < v ? v : o; });
}
template <class T>
T atomicMin(T* p, std::type_identity_t<T> v) {
  return simt::atomic_update(p, [v](T o) { return v < o ? v : o; });
}
template <class T>
T atomicExch(T* p, std::type_identity_t<T> v) {
  return simt::atomic_update(p, [v](T) { return v; });
}
template <class T>
T atomicCAS(T* p, std::type_identity_t<T> cmp, std::type_identity_t<T> v) {
  return simt::atomic_update(p, [=](T o) { return o == cmp ? v : o; });
}
inline unsigned atomicInc(unsigned* p, unsigned lim) {
  return simt::atomic_update(p, [lim](unsigned o) { return o >= lim ? 0u : o + 1u; });
}

// Fast-math intrinsics.  glibc already declares some of these names, hence macros.
namespace simt {
inline float fast_expf(float x) { return std::exp2(x * 1.44269504f); }  // same formula as ex2.approx(x*log2e)
}  // namespace simt
#define __expf(x) ::simt::fast_expf(x)
#define __logf(x) ::std::log(static_cast<float>(x))
#define __fdividef(a, b) (static_cast<float>(a) / static_cast<float>(b))
#define rsqrtf(x) (1.0f / ::std::sqrt(static_cast<float>(x)))
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __int_as_float(int i) { return std::bit_cast<float>(i); }
inline int __float_as_int(float f) { return std::bit_cast<int>(f); }
inline int __float2int_rn(float x) { return static_cast<int>(std::lrint(x)); }
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline int __ffs(int x) { return x ? std::countr_zero(static_cast<unsigned>(x)) + 1 : 0; }
inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }

#include "runtime_host.hpp"
