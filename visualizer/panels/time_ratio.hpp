// What is said of times with and without the cache, and why nothing is said of them yet: the same words in every panel.
#pragma once

#include <fmt/core.h>

#include <string>

#include "scene.hpp"

namespace kvcache::visualizer {

/// Of one step, compared before: "4.1 times", by medians. [MEASURED] Where repeats disagree no number says it.
inline std::string time_ratio(const Comparison& comparison, int step) {
  if (!comparison.repeats_agree()) return "ratio not known, repeats disagree";
  const double with = comparison.seconds(true, step), without = comparison.seconds(false, step);
  return fmt::format("{:.{}f} times", without / with, without < with ? 2 : 1);
}

/// Why a step has no times and logits of both ways.
struct NotCompared {
  std::string sentence, brief;
};
inline NotCompared why_not_compared(const Scene& scene) {
  if (scene.will_compare && scene.progress.what == "decoding")
    return {"The text is being written. Then each step is done with and without the cache, and timed.",
            "after the text is written"};
  if (scene.will_compare) return {"Being done with and without the cache, step by step.", "being measured ..."};
  return {"Not done both ways; for that: Run ... (R) with \"timed\" above 0.", "not measured"};
}

}  // namespace kvcache::visualizer
