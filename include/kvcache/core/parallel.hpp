// Work split over threads. Two ways: equal runs of neighbours, and jobs of any size. Nothing else here starts a thread.
#pragma once

#include <algorithm>

#include "kvcache/core/check.hpp"
#include "kvcache/core/thread_team.hpp"

namespace kvcache {

/// How many threads a parallel call may use: at first OMP_NUM_THREADS, or as many as there are processors.
inline int thread_count() { return detail::ThreadTeam::instance().size(); }

/// Sets it, for the whole program. Errors: fewer than 1; more than any machine could use.
inline void set_thread_count(int threads) {
  check(threads >= 1, "set_thread_count: ", threads, " threads asked for; at least 1 is needed");
  check(threads <= detail::ThreadTeam::most_threads, "set_thread_count: ", threads, " threads asked for; at most ",
        detail::ThreadTeam::most_threads, " can be had, and more than the processors (",
        std::thread::hardware_concurrency(), " here) make nothing faster");
  detail::ThreadTeam::instance().resize(threads);
}

/// Calls work(job, thread) for every job in [0, jobs), whichever thread is free; thread is below thread_count(). For
/// unequal pieces of work. The first exception arrives at the caller, and jobs that were not begun are left out. Not
/// parallel: in order, thread 0. So are calls from within a job.
template <class Work>
void parallel_jobs(int jobs, bool parallel, Work&& work) {
  if (parallel && jobs > 1) return detail::ThreadTeam::instance().run(std::uint32_t(jobs), work);
  for (int job = 0; job < jobs; ++job) work(job, 0);
}

/// Splits [0, count) into one run of neighbours per thread and calls work(first, run length) for each.
/// For equal pieces of work. Not parallel: one call, work(0, count).
template <class Work>
void parallel_runs(long count, bool parallel, Work&& work) {
  const long runs = parallel ? std::min<long>(thread_count(), count) : std::min(1L, count);
  parallel_jobs(int(runs), parallel, [&](long run, int /*thread*/) {
    const long first = count * run / runs, end = count * (run + 1) / runs;
    work(first, end - first);
  });
}

}  // namespace kvcache
