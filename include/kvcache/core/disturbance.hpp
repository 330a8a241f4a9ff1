// Whether other programs disturbed a measurement. Two signs: the measuring thread had to wait for a processor, and
// repeats of the same work disagree.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "kvcache/core/statistics.hpp"

namespace kvcache {

/// How long the calling thread has been ready to run, but had to wait because other threads had the processors, since
/// it began. In seconds; 0 where the system does not tell. Linux does, in /proc/thread-self/schedstat (the second
/// number, in nanoseconds). [MEASURED, by the system]
inline double seconds_waited_for_a_processor() {
  unsigned long long ran = 0, waited = 0;
  if (std::FILE* file = std::fopen("/proc/thread-self/schedstat", "r")) {
    if (std::fscanf(file, "%llu %llu", &ran, &waited) != 2) waited = 0;
    std::fclose(file);
  }
  return 1e-9 * double(waited);
}

/// Looks at one thread while it measures.
class DisturbanceWatch {
 public:
  /// Of the time since this object was made, by the thread that made it: which share it waited for a processor.
  double share_waited() const {
    const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    return seconds > 0 ? std::clamp((seconds_waited_for_a_processor() - waited_) / seconds, 0.0, 1.0) : 0;
  }

 private:
  using Clock = std::chrono::steady_clock;
  double waited_ = seconds_waited_for_a_processor();
  Clock::time_point start_ = Clock::now();
};

/// True if repeats of the same work took about the same time: from the 10th to the 90th percentile they differ by at
/// most a third of the median. On an idle machine they differ by a tenth. One repeat agrees with itself, which says
/// nothing. Errors: no repeats.
inline bool repeats_agree(const std::vector<double>& seconds) {
  return quantile(seconds, 0.9) - quantile(seconds, 0.1) <= median(seconds) / 3;
}

/// Why figures of this kind are no measurements of the program alone; empty: nothing was seen that speaks against them.
/// `ways`: the seconds of the repeats of each thing that was measured, in turns; share_waited: of a DisturbanceWatch.
inline std::string disturbed_by(const std::vector<std::vector<double>>& ways, double share_waited) {
  constexpr double much = 0.1;  // on an idle machine it is a hundredth
  std::string reasons;
  if (share_waited > much)
    reasons =
        "for " + std::to_string(int(100 * share_waited + 0.5)) + " % of the time other programs had the processor";
  bool agree = true;
  for (const auto& seconds : ways) agree = agree && repeats_agree(seconds);
  if (!agree) reasons += std::string(reasons.empty() ? "" : ", and ") + "the repeats of the same work disagree";
  return reasons;
}

}  // namespace kvcache
