#include "kvcache/core/parallel.hpp"

#include <doctest/doctest.h>
#ifdef __unix__
#include <sys/wait.h>
#include <unistd.h>
#endif

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
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

TEST_CASE("what was not begun when a job threw is left out") {
  const Threads scope(1);
  int done = 0;
  CHECK_THROWS(parallel_jobs(8, true, [&](int job, int) {
    check(job != 3, "stop");
    ++done;
  }));
  CHECK(done == 3);
  const Threads two(2);
  std::atomic<int> begun = 0;
  CHECK_THROWS(parallel_jobs(40, true, [&](int job, int) {
    ++begun;
    check(job != 0, "stop");
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }));
  CHECK(begun < 40);
}

TEST_CASE("a thread that is held up holds up its own job alone") {
  for (const int threads : {2, 3}) {
    const Threads scope(threads);
    std::atomic<int> others = 0;
    parallel_jobs(20, true, [&](int job, int) {
      if (job != 0)
        ++others;
      else
        while (others < 19) std::this_thread::yield();  // ends only if somebody else does all other jobs
    });
    CHECK(others == 19);
  }
}

TEST_CASE("jobs that run at one time have different thread numbers") {
  const Threads scope(3);
  for (int round = 0; round < 20; ++round) {
    std::vector<std::atomic<int>> jobs_of(3);
    std::atomic<int> running = 0;
    parallel_jobs(3, true, [&](int, int thread) {
      ++jobs_of[std::size_t(thread)], ++running;
      while (running < 3) std::this_thread::yield();  // all three at one time
    });
    for (const auto& jobs : jobs_of) CHECK(jobs == 1);
  }
}

TEST_CASE("a call from within a job is done by that thread, in order") {
  const Threads scope(2);
  std::atomic<int> sum = 0;
  std::atomic<bool> in_order = true;
  parallel_jobs(4, true, [&](int, int) {
    int next = 0;
    parallel_jobs(10, true, [&](int job, int thread) {
      if (thread != 0 || job != next++) in_order = false;
      sum += job;
    });
  });
  CHECK(sum == 4 * 45);
  CHECK(in_order);
}

TEST_CASE("several threads of a program may call at one time") {
  const Threads scope(2);
  std::atomic<int> sum = 0;
  {
    std::vector<std::jthread> callers;
    for (int i = 0; i < 3; ++i)
      callers.emplace_back([&] {
        for (int round = 0; round < 300; ++round) parallel_jobs(5, true, [&](int job, int) { sum += job; });
      });
  }
  CHECK(sum == 3 * 300 * 10);
}

TEST_CASE("threads that sleep wake up, and their number may change at any time between calls") {
  const int before = thread_count();
  std::atomic<int> sum = 0;
  for (const int threads : {4, 1, 3, 2, 5}) {
    set_thread_count(threads);
    CHECK(thread_count() == threads);
    for (int round = 0; round < 5; ++round) {
      std::this_thread::sleep_for(std::chrono::microseconds(500));  // longer than a thread stays awake
      std::atomic<int> together = 0;                                // ends only if all of them come
      parallel_jobs(threads, true, [&](int, int) {
        ++together, ++sum;
        while (together < threads) std::this_thread::yield();
      });
    }
  }
  CHECK(sum == 5 * (4 + 1 + 3 + 2 + 5));
  set_thread_count(before);
}

#ifdef __unix__
TEST_CASE("the child of a fork computes on, alone, and ends") {
  const Threads scope(2);
  parallel_jobs(4, true, [](int, int) {});  // starts the threads
  const pid_t child = fork();
  if (child == 0) {
    std::atomic<int> sum = 0;
    parallel_jobs(8, true, [&](int job, int) { sum += job; });
    _exit(sum == 28 ? 0 : 1);
  }
  int status = 1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}
#endif

TEST_CASE("set_thread_count refuses numbers of threads that nobody can mean") {
  const int before = thread_count();
  CHECK_THROWS_WITH_AS(set_thread_count(0), "set_thread_count: 0 threads asked for; at least 1 is needed", Error);
  CHECK_THROWS_WITH_AS(set_thread_count(-3), "set_thread_count: -3 threads asked for; at least 1 is needed", Error);
  CHECK_THROWS_WITH_AS(set_thread_count(100000),
                       doctest::Contains("set_thread_count: 100000 threads asked for; at most 1024 can be had"), Error);
  CHECK(thread_count() == before);
}
