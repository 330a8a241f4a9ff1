// One text, read both ways, with a cache and without: what each step cost, and whether both say the same. Plain data.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "kvcache/core/disturbance.hpp"
#include "kvcache/core/work.hpp"

namespace kvcache {

/// One step of one repeat, done both ways on the same ids.
struct ComparedStep {
  int repeat = 0, step = 0;
  Work with, without;           // [counted, and MEASURED]
  double logit_difference = 0;  // the largest |with - without| over the vocabulary; infinite if one is not finite
  int token_with = 0, token_without = 0;  // what each would choose
};

/// What many compared steps say together.
class Comparison {
 public:
  /// Steps come in order, repeat by repeat.
  void add(const ComparedStep& step) {
    if (step.repeat == 0) {
      with_.emplace_back(), without_.emplace_back();
      differences_.push_back(step.logit_difference);
      if (first_other_token_ < 0 && step.token_with != step.token_without) first_other_token_ = step.step;
    }
    all_.push_back(step);
    repeats_.resize(std::max(repeats_.size(), std::size_t(step.repeat) + 1));
    Repeat& repeat = repeats_[std::size_t(step.repeat)];
    ++repeat.steps, repeat.with += step.with.total_seconds(), repeat.without += step.without.total_seconds();
    with_[std::size_t(step.step)].push_back(step.with);
    without_[std::size_t(step.step)].push_back(step.without);
  }

  /// Everything that was added, in order.
  const std::vector<ComparedStep>& all() const { return all_; }
  /// Steps compared at least once.
  int steps() const { return int(with_.size()); }
  /// The repeats of one step, done one way.
  const std::vector<Work>& runs(bool with_cache, int step) const {
    return (with_cache ? with_ : without_)[std::size_t(step)];
  }
  /// Of the repeats' seconds: q = 0.5 is the median. [MEASURED]
  double seconds(bool with_cache, int step, double q = 0.5) const {
    std::vector<double> all;
    for (const Work& work : runs(with_cache, step)) all.push_back(work.total_seconds());
    return quantile(std::move(all), q);
  }
  /// Seconds of all steps() together, for each repeat that has done them all, one way. [MEASURED]
  std::vector<double> repeat_seconds(bool with_cache) const {
    std::vector<double> seconds;
    for (const Repeat& repeat : repeats_)
      if (repeat.steps == steps()) seconds.push_back(with_cache ? repeat.with : repeat.without);
    return seconds;
  }
  /// Whether the repeats took about the same time, both ways; if not, no ratio of times means anything.
  bool repeats_agree() const {
    return repeats_.empty() ||
           (kvcache::repeats_agree(repeat_seconds(true)) && kvcache::repeats_agree(repeat_seconds(false)));
  }
  /// Of the time, how much the comparing thread waited for a processor (see DisturbanceWatch).
  void set_share_waited(double share) { share_waited_ = share; }
  double share_waited() const { return share_waited_; }
  /// Why the times are not those of this program alone; empty: nothing speaks against them.
  std::string disturbed() const {
    if (repeats_.empty()) return "";
    return disturbed_by({repeat_seconds(true), repeat_seconds(false)}, share_waited_);
  }
  double part_seconds(bool with_cache, int step, Part part) const {
    std::vector<double> all;
    for (const Work& work : runs(with_cache, step)) all.push_back(work.seconds[std::size_t(part)]);
    return median(std::move(all));
  }
  /// The largest difference of the logits in each step.
  const std::vector<double>& logit_differences() const { return differences_; }
  /// The first step in which the two choose different tokens; -1: none so far.
  int first_other_token() const { return first_other_token_; }
  /// What was compared in one step, the first time.
  const ComparedStep& first_repeat(int step) const { return all_[std::size_t(step)]; }

 private:
  struct Repeat {
    int steps = 0;
    double with = 0, without = 0;  // seconds of these steps
  };
  std::vector<ComparedStep> all_;
  std::vector<Repeat> repeats_;
  double share_waited_ = 0;
  std::vector<std::vector<Work>> with_, without_;  // [steps] of [repeats]
  std::vector<double> differences_;                // [steps]
  int first_other_token_ = -1;
};

}  // namespace kvcache
