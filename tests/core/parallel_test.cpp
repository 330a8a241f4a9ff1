#include "kvcache/core/parallel.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

#include "threads.hpp"

using namespace kvcache;

TEST_CASE("runs cover every number once, in neighbours, whatever the number of threads") {
  for (const int threads : {1, 2, 3})
    for (const bool parallel : {false, true})
      for (const long count : {0, 1, 2, 3, 7, 64}) {
        const Threads scope(threads);
        std::vector<std::atomic<int>> visits(static_cast<std::size_t>(count));
        std::atomic<int> calls = 0;
        parallel_runs(count, parallel, [&](long first, long length) {
          CHECK(length > 0);
          ++calls;
          for (long i = first; i < first + length; ++i) ++visits[std::size_t(i)];
        });
        for (const auto& v : visits) CHECK(v == 1);
        CHECK(calls <= std::max(1L, std::min<long>(count, parallel ? threads : 1)));
      }
}

TEST_CASE("jobs are done once each, by a thread with a number below thread_count") {
  for (const int threads : {1, 2, 3})
    for (const int jobs : {0, 1, 5, 40}) {
      const Threads scope(threads);
      std::vector<std::atomic<int>> done(static_cast<std::size_t>(jobs));
      std::atomic<bool> in_range = true;
      parallel_jobs(jobs, true, [&](int job, int thread) {
        ++done[std::size_t(job)];
        if (thread < 0 || thread >= thread_count()) in_range = false;
      });
      for (const auto& d : done) CHECK(d == 1);
      CHECK(in_range);
    }
}

TEST_CASE("jobs that are not parallel come in order and on thread 0") {
  std::vector<int> order;
  parallel_jobs(5, false, [&](int job, int thread) {
    CHECK(thread == 0);
    order.push_back(job);
  });
  CHECK(order == std::vector<int>{0, 1, 2, 3, 4});
}

TEST_CASE("an exception thrown inside a worker arrives as what it was") {
  for (const int threads : {1, 2})
    for (const bool parallel : {false, true}) {
      const Threads scope(threads);
      CHECK_THROWS_WITH_AS(parallel_runs(8, parallel, [](long first, long) { check(first != 0, "run at ", first); }),
                           "run at 0", Error);
      CHECK_THROWS_WITH_AS(parallel_runs(8, parallel,
                                         [](long first, long length) {
                                           if (first + length == 8) throw std::out_of_range("the last run");
                                         }),
                           "the last run", std::out_of_range);
      CHECK_THROWS_WITH_AS(parallel_jobs(8, parallel, [](int job, int) { check(job != 5, "job ", job); }), "job 5",
                           Error);
      CHECK_THROWS_AS(parallel_jobs(8, parallel, [](int, int) { throw 7; }), int);  // all fail: one arrives
    }
}

TEST_CASE("after an exception the threads work on") {
  const Threads scope(2);
  CHECK_THROWS(parallel_jobs(8, true, [](int, int) { throw 7; }));
  std::atomic<int> sum = 0;
  parallel_jobs(8, true, [&](int job, int) { sum += job; });
  CHECK(sum == 28);
}

TEST_CASE("set_thread_count refuses numbers below 1") {
  const int before = thread_count();
  CHECK_THROWS_WITH_AS(set_thread_count(0), "set_thread_count: 0 threads asked for; at least 1 is needed", Error);
  CHECK_THROWS_WITH_AS(set_thread_count(-3), "set_thread_count: -3 threads asked for; at least 1 is needed", Error);
  CHECK(thread_count() == before);
}

TEST_CASE("set_thread_count sets what a build with OpenMP uses, and says what a build without needs") {
  const int before = thread_count();
  CHECK_NOTHROW(set_thread_count(1));
  CHECK(thread_count() == 1);
  if (has_threads()) {
    set_thread_count(3);
    CHECK(thread_count() == 3);
  } else {
    CHECK_THROWS_WITH_AS(set_thread_count(2), doctest::Contains("build it with -fopenmp, or ask for 1"), Error);
    CHECK(thread_count() == 1);
  }
  set_thread_count(before);
}
