// What happened while a text was written, step by step: what a visualizer draws and a file keeps. Plain data: it knows
// no model, no cache and no thread.
//
// The numbers are those of the run itself: keys and values as attention read them from the cache, attention weights as
// it used them, times as they passed. A picture of step n is made of the first n + 1 records alone, so it is the same
// whichever way one came to it.
#pragma once

#include <algorithm>
#include <climits>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvcache/core/check.hpp"
#include "kvcache/core/memory_use.hpp"
#include "kvcache/core/work.hpp"
#include "kvcache/model/config.hpp"
#include "kvcache/observe/cache_event.hpp"
#include "kvcache/observe/layer_trace.hpp"
#include "kvcache/observe/layout.hpp"
#include "kvcache/observe/step_codes.hpp"

namespace kvcache {

/// A token that could have come next, with its probability before temperature, top-k and top-p.
struct Candidate {
  int token = 0;
  double probability = 0;
  bool operator==(const Candidate&) const = default;
};

/// Rows whose numbers a step changed after they were first recorded: they were packed.
struct RewrittenRows {
  int layer = 0, first_position = 0, rows = 0;
};

/// One step: read what is new of the text, choose the next token.
struct StepRecord {
  int index = 0;          // 0 reads the prompt
  int token = 0;          // chosen in this step, not yet read
  int tokens_fed = 0;     // computed in this step
  int tokens_reused = 0;  // earlier ones whose keys attention read; where layers differ, the most of any
  double seconds = 0;     // [MEASURED]
  Work work;
  MemoryUse memory;  // after the step
  std::vector<Candidate> candidates;
  std::vector<CacheEvent> events;    // in order
  std::vector<LayerLayout> layouts;  // after the step: of each layer, or one for all if all are alike

  // Rows computed for the first time: of the tokens at first_position and on. [layers, kv_heads, rows, head_dim] each.
  int first_position = 0, rows = 0;
  std::vector<float> keys, values;
  // The same rows as they were given to the cache. Empty unless asked for: they differ if the cache rounds.
  std::vector<float> written_keys, written_values;
  std::vector<RewrittenRows> rewritten;
  std::vector<float> rewritten_keys, rewritten_values;  // of each of them, [rows, kv_heads, head_dim]
  // How they and the new rows lie in the cache. Empty unless asked for.
  StepCodes codes;

  std::map<int, LayerTrace> traces;     // by layer; layers that were not recorded are missing
  std::map<int, std::string> spelling;  // bytes of the tokens met in this step, if there is a tokenizer

  const LayerLayout& layout(int layer) const { return layouts[layouts.size() == 1 ? 0 : std::size_t(layer)]; }
  std::size_t bytes() const;  // about what it takes in memory
};

/// What a timeline is of.
struct TimelineAbout {
  std::string model;   // as the user named it
  std::string device;  // name of the GPU that computed; empty: the processor
  bool random_weights = false;
  ModelConfig config;
  std::string cache;      // as in cache_names
  bool use_cache = true;  // false: cleared before each step
  std::vector<int> prompt;
  std::map<int, std::string> spelling;  // bytes of the prompt's tokens
  int tokens = 0;                       // asked for
  std::string sampling;                 // in words
  std::size_t number_bytes = 4;         // of one number in the cache
};

class Timeline {
 public:
  Timeline() = default;
  explicit Timeline(TimelineAbout about) : about_(std::move(about)), text_(about_.prompt), spelling_(about_.spelling) {}

  /// Steps come in order. Errors: a step out of order.
  void add(StepRecord step) {
    check(step.index == steps(), "Timeline: step ", step.index, " came after ", steps(), " steps");
    text_.push_back(step.token);
    spelling_.insert(step.spelling.begin(), step.spelling.end());
    bytes_ += step.bytes();
    steps_.push_back(std::move(step));
  }

  const TimelineAbout& about() const { return about_; }
  int steps() const { return int(steps_.size()); }
  const StepRecord& step(int index) const { return steps_[std::size_t(index)]; }
  std::span<const StepRecord> records() const { return steps_; }  // valid until a step is added
  int prompt_length() const { return int(about_.prompt.size()); }
  /// Prompt, and every token chosen so far.
  std::span<const int> text() const { return text_; }
  /// The bytes of a token: part of a text in UTF-8, perhaps of a character. Empty: not known.
  std::string_view spelling(int token) const {
    const auto found = spelling_.find(token);
    return found == spelling_.end() ? std::string_view() : found->second;
  }
  /// Tokens whose keys and values exist after a step; the one it chose is not read yet.
  int length_after(int step) const { return prompt_length() + step; }
  /// The step that computed a position first.
  int step_of(int position) const { return position < prompt_length() ? 0 : position - prompt_length() + 1; }
  /// The formula of cache/shape.hpp for the tokens read up to a step. [COMPUTED]
  std::size_t formula_bytes(int step) const {
    return about_.config.cache_shape().bytes_per_token(about_.number_bytes) * std::size_t(length_after(step));
  }
  std::size_t bytes() const { return bytes_; }

  static constexpr int latest = INT_MAX;
  /// [head_dim], as attention read it from the cache after `step`, or the last one before in which it was recorded.
  /// Empty: it never was.
  std::span<const float> key(int layer, int kv_head, int position, int step = latest) const {
    const auto rewritten = rewritten_row(&StepRecord::rewritten_keys, layer, kv_head, position, step);
    return rewritten.empty() ? row(&StepRecord::keys, layer, kv_head, position) : rewritten;
  }
  std::span<const float> value(int layer, int kv_head, int position, int step = latest) const {
    const auto rewritten = rewritten_row(&StepRecord::rewritten_values, layer, kv_head, position, step);
    return rewritten.empty() ? row(&StepRecord::values, layer, kv_head, position) : rewritten;
  }
  /// As it was given to the cache. Empty: not recorded.
  std::span<const float> written_key(int layer, int kv_head, int position) const {
    return row(&StepRecord::written_keys, layer, kv_head, position);
  }
  std::span<const float> written_value(int layer, int kv_head, int position) const {
    return row(&StepRecord::written_values, layer, kv_head, position);
  }
  /// How it lies in the cache after `step`. It has no codes if it lies there as plain numbers (in a group of KIVI: not
  /// packed yet), or was not recorded.
  RowCodes key_codes(int layer, int kv_head, int position, int step = latest) const {
    return row_codes(&StepCodes::key, layer, kv_head, position, step);
  }
  RowCodes value_codes(int layer, int kv_head, int position, int step = latest) const {
    return row_codes(&StepCodes::value, layer, kv_head, position, step);
  }
  /// How a layer forgot a position, the last time up to `step`. The event is null if it did not.
  struct Forgotten {
    int step = -1;
    const CacheEvent* event = nullptr;
  };
  Forgotten forgotten(int layer, int position, int step) const {
    for (int s = std::min(step, steps() - 1); s >= 0; --s)
      for (const CacheEvent& event : this->step(s).events)
        if (event.kind == CacheEvent::Kind::forgotten && event.layer == layer && position >= event.first_position &&
            position < event.first_position + event.rows)
          return {s, &event};
    return {};
  }
  /// Null: the layer was not recorded in that step.
  const LayerTrace* trace(int layer, int step) const {
    if (step >= steps()) return nullptr;
    const auto found = steps_[std::size_t(step)].traces.find(layer);
    return found == steps_[std::size_t(step)].traces.end() ? nullptr : &found->second;
  }
  /// The attention weights of the query at `position`, by key position [position + 1]; AttentionWeights::not_kept where
  /// the cache did not hold that key any more. Empty: not recorded.
  std::span<const float> attention(int layer, int q_head, int position) const {
    const LayerTrace* found = trace(layer, step_of(position));
    return found ? found->attention.row(q_head, position) : std::span<const float>();
  }
  /// Adds what was not recorded at first. Errors: no such step.
  void add_trace(int layer, int step, LayerTrace trace) {
    check(step >= 0 && step < steps(), "Timeline: a trace of step ", step, " given, but there are ", steps());
    if (const LayerTrace* before = this->trace(layer, step)) bytes_ -= before->bytes();
    bytes_ += trace.bytes();
    steps_[std::size_t(step)].traces.insert_or_assign(layer, std::move(trace));
  }

 private:
  std::span<const float> rewritten_row(std::vector<float> StepRecord::*side, int layer, int kv_head, int position,
                                       int step) const {
    for (int s = std::min(step, steps() - 1); s > step_of(position); --s) {
      const std::size_t dim = std::size_t(about_.config.head_dim), heads = std::size_t(about_.config.kv_heads);
      std::size_t first = 0;
      for (const RewrittenRows& r : this->step(s).rewritten) {
        const std::size_t rows = std::size_t(r.rows), at = std::size_t(position - r.first_position);
        if (r.layer == layer && position >= r.first_position && at < rows)
          return std::span(this->step(s).*side).subspan(first + (at * heads + std::size_t(kv_head)) * dim, dim);
        first += heads * rows * dim;
      }
    }
    return {};
  }
  RowCodes row_codes(RowCodes (StepCodes::*side)(int, int, int, int, int) const, int layer, int kv_head, int position,
                     int step) const {
    const ModelConfig& c = about_.config;
    RowCodes found;
    for (int s = std::min(step, steps() - 1); s >= step_of(position) && !found.format.has_codes(); --s)
      found = (this->step(s).codes.*side)(layer, kv_head, position, c.kv_heads, c.head_dim);
    return found;
  }
  std::span<const float> row(std::vector<float> StepRecord::*side, int layer, int kv_head, int position) const {
    const int owner = step_of(position);
    if (owner >= steps()) return {};
    const StepRecord& record = step(owner);
    const std::size_t dim = std::size_t(about_.config.head_dim);
    const std::size_t first = (std::size_t(layer * about_.config.kv_heads + kv_head) * std::size_t(record.rows) +
                               std::size_t(position - record.first_position)) *
                              dim;
    const std::vector<float>& numbers = record.*side;
    return first + dim <= numbers.size() ? std::span(numbers).subspan(first, dim) : std::span<const float>();
  }

  TimelineAbout about_;
  std::vector<int> text_;
  std::map<int, std::string> spelling_;
  std::vector<StepRecord> steps_;
  std::size_t bytes_ = 0;
};

inline std::size_t StepRecord::bytes() const {
  std::size_t sum = sizeof(StepRecord) + candidates.size() * sizeof(Candidate) + events.size() * sizeof(CacheEvent) +
                    (keys.size() + values.size() + written_keys.size() + written_values.size() + rewritten_keys.size() +
                     rewritten_values.size()) *
                        sizeof(float) +
                    codes.bytes();
  for (const LayerLayout& layout : layouts)
    sum += sizeof layout + layout.runs.size() * sizeof(SlotRun) + layout.pieces.size() * sizeof(StoragePiece);
  for (const auto& [layer, trace] : traces) sum += trace.bytes();
  return sum;
}

}  // namespace kvcache
