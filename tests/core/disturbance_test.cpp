#include "kvcache/core/disturbance.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

using namespace kvcache;

TEST_CASE("repeats agree if they take about the same time") {
  CHECK(repeats_agree({1}));
  CHECK(repeats_agree({1.00, 1.04, 0.97, 1.02, 1.10}));
  CHECK(repeats_agree({2, 2, 2}));
  CHECK_FALSE(repeats_agree({1.0, 1.0, 1.9}));
  CHECK_FALSE(repeats_agree({1.0, 1.6}));
  CHECK_FALSE(repeats_agree({0.06, 0.31, 0.06, 0.29, 0.07}));
}

TEST_CASE("what disturbed a measurement is said in words, and nothing where nothing was seen") {
  CHECK(disturbed_by({{1, 1.02}, {0.1, 0.101}}, 0.01) == "");
  CHECK(disturbed_by({{1, 1.02}, {0.1, 0.101}}, 0.483) == "for 48 % of the time other programs had the processor");
  CHECK(disturbed_by({{1, 1.02}, {0.1, 0.2}}, 0) == "the repeats of the same work disagree");
  CHECK(disturbed_by({{1, 2}}, 0.5) ==
        "for 50 % of the time other programs had the processor, and the repeats of the same work disagree");
}

TEST_CASE("a thread that is kept from the processors sees it, where the system tells") {
  if (seconds_waited_for_a_processor() == 0) {
    MESSAGE("SKIPPED: this system does not tell how long a thread waited for a processor");
    return;
  }
  const DisturbanceWatch asleep;
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(asleep.share_waited() < 0.9);  // sleep is no waiting for a processor
  std::atomic<bool> stop = false;
  {
    std::vector<std::jthread> others;
    for (unsigned i = 0; i < 4 * std::thread::hardware_concurrency(); ++i)
      others.emplace_back([&] {
        while (!stop) {
        }
      });
    const DisturbanceWatch watch;
    const auto start = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - start < std::chrono::milliseconds(300)) {
    }
    CHECK(watch.share_waited() > 0.2);  // four busy threads on each processor leave this one about a fifth
    stop = true;
  }
}
