// What the panels draw: the records of a run, and the step that is shown. Panels only read it.
#pragma once

#include <cstdint>
#include <map>
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
  int step_index = 0;         // the one that is shown
  bool can_record = true;     // the model is there: what was not recorded can be
  bool will_compare = false;  // more steps will be done both ways: the comparison is to come, or goes on

  const StepRecord& step() const { return timeline.step(step_index); }
  const ModelConfig& config() const { return timeline.about().config; }
  /// Positions whose keys and values exist after the step.
  int length() const { return timeline.length_after(step_index); }
  int newest_position() const { return length() - 1; }
  bool is_prompt(int position) const { return position < timeline.prompt_length(); }
  /// The step was done both ways at least once.
  bool is_compared() const { return step_index < comparison.steps(); }

  // What the cache is like. A statement about "each layer" or "the cache" must hold for all of them.
  /// It keeps numbers in fewer bits than they are computed in.
  bool is_rounding() const;
  /// Rows in all layers after a step; each is one token of one layer.
  std::int64_t rows_kept(int step) const;
  /// In some layer it does not hold every token any more after that step.
  bool has_forgotten(int step) const;
  /// All layers hold as many rows as each other, after the step and before it.
  bool layers_are_alike() const;
};

/// "8 rows in each of 6 layers", "1 row in each of 3 of the 6 layers"; where layers differ, their sum: "7 rows in 3 of
/// the 6 layers together".
std::string rows_in_words(const std::map<int, int>& rows_of_layer, int layers);

}  // namespace kvcache::visualizer
