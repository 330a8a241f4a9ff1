// The threads that work together on one call: started once, asleep when there is nothing to do. Whoever calls works
// too, and waits only for jobs that another thread has begun. So where the processors are busy with other programs, the
// threads that do run take over the work of those that do not.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif
#ifdef __unix__
#include <unistd.h>
#endif

#include "kvcache/core/check.hpp"

namespace kvcache::detail {

/// Tells the processor that this thread only waits.
inline void pause_briefly() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Waits until `value` is no longer `old`: awake for a fifth of a millisecond, for most waits of a step are shorter,
/// and a thread that sleeps wakes late where others want its processor; then asleep, so that nobody is kept from it for
/// long.
inline void wait_while(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::microseconds(200);
  do {
    for (int i = 0; i < 32; ++i) {
      if (value.load(std::memory_order_acquire) != old) return;
      pause_briefly();
    }
  } while (Clock::now() < end);
  while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

/// While it lives, Eigen starts no threads of its own here: a program built with -fopenmp would have it do so.
class OneThreadOfEigen {
 public:
#ifdef _OPENMP
  OneThreadOfEigen() { omp_set_num_threads(1); }
  ~OneThreadOfEigen() { omp_set_num_threads(before_); }

 private:
  int before_ = omp_get_max_threads();
#endif
};

class ThreadTeam {
 public:
  /// More than this is a number in the wrong place.
  static constexpr int most_threads = 1024;

  /// The program's team.
  static ThreadTeam& instance() {
    static ThreadTeam team;
    return team;
  }
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;
  ~ThreadTeam() {
#ifdef __unix__
    if (getpid() != process_) {  // the child of a fork has none of these threads: nobody to wait for
      for (std::thread& worker : workers_) worker.detach();
      return;
    }
#endif
    end_workers(0);
  }

  int size() const { return size_.load(std::memory_order_relaxed); }
  void resize(int threads) {
    while (in_use_.test_and_set(std::memory_order_acquire)) std::this_thread::yield();
    size_ = threads;
    end_workers(std::size_t(threads - 1));  // new ones are started by the next call that needs them
    in_use_.clear(std::memory_order_release);
  }

  /// Calls work(job, thread) once for each job in [0, jobs), thread in [0, size()). A call from within a job, or while
  /// another thread uses the team, is done by the caller alone, in order. Jobs that were not begun when one threw are
  /// left out, and the caller gets the first exception.
  template <class Work>
  void run(std::uint32_t jobs, Work& work) {
    if (jobs <= 1 || size() == 1 || in_use_.test_and_set(std::memory_order_acquire)) {
      for (std::uint32_t job = 0; job < jobs; ++job) work(int(job), 0);
      return;
    }
    const Released released{in_use_};
    start_workers();
    call_ = [](void* with, std::uint32_t job, int thread) { (*static_cast<Work*>(with))(int(job), thread); };
    work_ = &work, jobs_ = jobs, thrown_ = nullptr;
    has_thrown_.store(false, std::memory_order_relaxed);
    done_.store(0, std::memory_order_relaxed);
    open_.store((open_.load(std::memory_order_relaxed) & ~left_mask) + one_call + jobs, std::memory_order_release);
    calls_.fetch_add(1);
    calls_.notify_all();
    {
      [[maybe_unused]] const OneThreadOfEigen here;
      while (take_job(0)) {
      }
    }
    for (std::uint32_t done; (done = done_.load(std::memory_order_acquire)) != jobs;) wait_while(done_, done);
    if (thrown_) std::rethrow_exception(thrown_);
  }

 private:
  // open_: in the upper half a number of the call, so that nobody takes a job of a call that is over; in the lower one
  // the jobs that nobody has taken yet.
  static constexpr std::uint64_t one_call = std::uint64_t(1) << 32, left_mask = one_call - 1;

  struct Released {
    std::atomic_flag& flag;
    ~Released() { flag.clear(std::memory_order_release); }
  };

  ThreadTeam() = default;

  /// How many threads a program begins with: OMP_NUM_THREADS, if that is a number, as programs of this kind are told;
  /// else the processors that this process may use.
  static int usual_size() {
    if (const char* asked = std::getenv("OMP_NUM_THREADS")) {
      const long threads = std::strtol(asked, nullptr, 10);
      if (threads >= 1) return int(threads < most_threads ? threads : most_threads);
    }
    const unsigned processors = std::thread::hardware_concurrency();
    return processors == 0 ? 1 : int(processors < most_threads ? processors : most_threads);
  }

  /// Takes a job and does it. False: nobody is needed.
  bool take_job(int thread) {
    std::uint64_t open = open_.load(std::memory_order_acquire);
    do {
      if ((open & left_mask) == 0) return false;
    } while (!open_.compare_exchange_weak(open, open - 1, std::memory_order_acq_rel, std::memory_order_acquire));
    // From here on the caller waits for this job, so what belongs to the call does not change.
    if (!has_thrown_.load(std::memory_order_relaxed)) {
      try {
        call_(work_, jobs_ - std::uint32_t(open & left_mask), thread);
      } catch (...) {
        if (!has_thrown_.exchange(true)) thrown_ = std::current_exception();
      }
    }
    const std::uint32_t jobs = jobs_;
    if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 == jobs) done_.notify_all();
    return true;
  }

  void live(int thread) {
    [[maybe_unused]] const OneThreadOfEigen here;
    for (;;) {
      const std::uint32_t seen = calls_.load(std::memory_order_acquire);
      while (take_job(thread)) {
      }
      if (thread >= leaving_.load(std::memory_order_acquire)) return;
      wait_while(calls_, seen);
    }
  }

  void start_workers() {
    leaving_.store(size(), std::memory_order_relaxed);
    try {
      while (int(workers_.size()) < size() - 1)
        workers_.emplace_back([this, thread = int(workers_.size()) + 1] { live(thread); });
    } catch (const std::system_error& error) {
      fail("only ", workers_.size() + 1, " of ", size(), " threads could be started (", error.what(),
           "); ask for fewer with set_thread_count");
    }
  }
  void end_workers(std::size_t left) {
    if (workers_.size() <= left) return;
    leaving_.store(int(left) + 1, std::memory_order_release);
    calls_.fetch_add(1);
    calls_.notify_all();
    for (std::size_t i = left; i < workers_.size(); ++i) workers_[i].join();
    workers_.resize(left);
  }

  std::atomic<int> size_ = usual_size(), leaving_ = most_threads;
  std::atomic_flag in_use_ = ATOMIC_FLAG_INIT;
  std::vector<std::thread> workers_;  // thread 1 and on; whoever calls is thread 0
#ifdef __unix__
  pid_t process_ = getpid();
#endif
  // Of the call that is being worked on.
  void (*call_)(void*, std::uint32_t job, int thread) = nullptr;
  void* work_ = nullptr;
  std::uint32_t jobs_ = 0;
  std::exception_ptr thrown_;
  std::atomic<bool> has_thrown_ = false;
  // What threads wait for, each on a cache line of its own.
  alignas(64) std::atomic<std::uint64_t> open_ = 0;
  alignas(64) std::atomic<std::uint32_t> calls_ = 0;
  alignas(64) std::atomic<std::uint32_t> done_ = 0;
};

}  // namespace kvcache::detail
