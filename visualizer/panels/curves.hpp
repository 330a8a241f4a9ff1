// Curves of a run, ready to be plotted: medians and sums over many steps cost too much to be made anew in every frame.
// Derived data: all of it follows from the scene.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "kvcache/core/work.hpp"

namespace kvcache::visualizer {

struct Scene;

struct Curves {
  int run = -1;  // Session::run_number of the run they are of

  // Of the timeline, by step.
  std::vector<double> tokens;  // in the text, after the step
  std::vector<double> recorded_ms;
  std::vector<double> formula, used, reserved, copied;  // bytes

  // What every cache would take for the same text: by step, all steps that were asked for. [COMPUTED]
  struct OfCache {
    const char* name;
    std::vector<double> tokens, used, reserved, copied;  // bytes
    std::string error;                                   // not empty: why there are none
  };
  std::vector<OfCache> caches;  // empty until follow_caches

  // Of the comparison, by step.
  struct Way {
    std::vector<double> median_ms, low_ms, high_ms;          // of the repeats: quantiles 0.5, 0.1, 0.9
    std::vector<double> total_s;                             // medians, summed from step 0 on
    std::array<std::vector<double>, part_count> stacked_ms;  // median of each part, on top of those before it

    double part_ms(Part part, int step) const {
      const std::size_t p = std::size_t(part), s = std::size_t(step);
      return stacked_ms[p][s] - (p == 0 ? 0 : stacked_ms[p - 1][s]);
    }
  };
  std::vector<std::size_t> repeats;  // that the numbers of a step are made of
  Way with, without;
  std::vector<double> ratio, running_ratio;  // time without / time with: of a step, of all steps up to it
  std::vector<double> floored_difference;    // of the logits; least_difference where they are equal
  std::vector<int> worst_step;               // the step of the largest difference up to each

  static constexpr double least_difference = 1e-9;
  static constexpr double most_difference = 1e3;

  int compared() const { return int(repeats.size()); }
};

/// Brings the curves up to date: makes anew only what changed since the last call.
void follow(Curves& curves, const Scene& scene, int run);
/// After follow: computes what every cache would take, once for a run. Only the memory panel shows it, and only if
/// asked.
void follow_caches(Curves& curves, const Scene& scene);

}  // namespace kvcache::visualizer
