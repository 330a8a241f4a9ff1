// What the panels draw: the records of a run, and the step that is shown. Panels only read it.
#pragma once

#include <string>
#include <vector>

#include "choice.hpp"
#include "kvcache/observe/comparison.hpp"
#include "kvcache/observe/timeline.hpp"

namespace kvcache::visualizer {

/// Work that goes on in the background.
struct Progress {
  std::string what;  // empty: nothing goes on
  int done = 0, total = 0;
};

/// A piece of a text, as the model's tokenizer cuts it.
struct TokenPiece {
  int id = 0;
  std::string bytes;
};

struct Scene {
  const Choice& choice;
  const Timeline& timeline;      // has at least one step
  const Comparison& comparison;  // of its first steps(), perhaps of none
  const Progress& progress;
  int step_index = 0;      // the one that is shown
  bool can_record = true;  // the model is there: what was not recorded can be

  const StepRecord& step() const { return timeline.step(step_index); }
  const ModelConfig& config() const { return timeline.about().config; }
  /// Positions whose keys and values exist after the step.
  int length() const { return timeline.length_after(step_index); }
  int newest_position() const { return length() - 1; }
  bool is_prompt(int position) const { return position < timeline.prompt_length(); }
  /// The step was done both ways at least once.
  bool is_compared() const { return step_index < comparison.steps(); }
};

}  // namespace kvcache::visualizer
