// Threads: OpenMP where the user's build has it (-fopenmp), one thread else. No other file names OpenMP.
#pragma once

#include <atomic>
#include <exception>

#include "kvcache/core/check.hpp"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace kvcache {

/// True if this build can use more than one thread.
constexpr bool has_threads() {
#ifdef _OPENMP
  return true;
#else
  return false;
#endif
}

/// How many threads the next parallel call may use.
inline int thread_count() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

/// Sets it. Errors: fewer than 1; more than 1 in a build without OpenMP.
inline void set_thread_count(int threads) {
  check(threads >= 1, "set_thread_count: ", threads, " threads asked for; at least 1 is needed");
  check(threads == 1 || has_threads(), "set_thread_count: ", threads,
        " threads asked for, but this program was built without OpenMP; build it with -fopenmp, or ask for 1");
#ifdef _OPENMP
  omp_set_num_threads(threads);
#endif
}

namespace detail {
/// Calls work(thread, threads) once in every thread. An exception may not leave an OpenMP region, so the first one is
/// carried out of it and thrown again by the caller's thread.
template <class Work>
void in_every_thread(bool parallel, Work&& work) {
#ifdef _OPENMP
  if (parallel && thread_count() > 1) {
    std::exception_ptr thrown;
#pragma omp parallel
    {
      try {
        work(omp_get_thread_num(), omp_get_num_threads());
      } catch (...) {
#pragma omp critical(kvcache_exception)
        if (!thrown) thrown = std::current_exception();
      }
    }
    if (thrown) std::rethrow_exception(thrown);
    return;
  }
#endif
  static_cast<void>(parallel);
  work(0, 1);
}
}  // namespace detail

/// Splits [0, count) into one run of neighbours per thread and calls work(first, run length) for each.
/// For equal pieces of work. Not parallel: one call, work(0, count).
template <class Work>
void parallel_runs(long count, bool parallel, Work&& work) {
  detail::in_every_thread(parallel, [&](long thread, long threads) {
    const long first = count * thread / threads, end = count * (thread + 1) / threads;
    if (end > first) work(first, end - first);
  });
}

/// Calls work(job, thread) for every job in [0, jobs), whichever thread is free. For unequal pieces of work. A thread
/// whose job throws takes no other. Not parallel: in order, thread 0.
template <class Work>
void parallel_jobs(int jobs, bool parallel, Work&& work) {
  std::atomic<int> next = 0;
  detail::in_every_thread(parallel && jobs > 1, [&](int thread, int /*threads*/) {
    for (int job; (job = next.fetch_add(1, std::memory_order_relaxed)) < jobs;) work(job, thread);
  });
}

}  // namespace kvcache
