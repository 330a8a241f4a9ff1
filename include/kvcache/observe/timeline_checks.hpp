// What holds in every timeline that was recorded. A file is believed only as far as this.
#pragma once

#include <algorithm>
#include <climits>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kvcache/observe/comparison.hpp"
#include "kvcache/observe/timeline.hpp"

namespace kvcache::detail {

/// Numbers of the newest token in one stage of a layer.
inline int stage_size(const ModelConfig& c, Stage stage) {
  if (stage == Stage::projected) return c.qkv_size();
  return stage == Stage::attended ? c.q_size() : c.hidden;
}

inline void check_range(const std::string& where, const char* what, std::int64_t value, std::int64_t low,
                        std::int64_t high) {
  check(value >= low && value <= high, where, ": ", what, " is ", value, "; it must be from ", low, " to ", high);
}
/// Errors: time that runs backwards, or lasts longer than a computer.
inline void check_seconds(const std::string& where, double seconds) {
  check(seconds >= 0 && seconds <= 1e10, where, ": ", seconds, " seconds; they must be from 0 to 1e10");
}
inline void check_bytes(const std::string& where, const char* what, std::size_t bytes) {
  check(bytes <= std::size_t(1) << 60, where, ": ", what, " is ", bytes, " bytes; at most ", std::size_t(1) << 60,
        " are possible");
}
inline void check_tokens(const std::string& where, const char* what, const std::vector<int>& tokens, int vocab) {
  for (const int token : tokens) check_range(where, what, token, 0, vocab - 1);
}
inline void check_spelling(const std::string& where, const std::map<int, std::string>& spelling, int vocab) {
  for (const auto& [token, bytes] : spelling) check_range(where, "a token that is spelt", token, 0, vocab - 1);
}

/// Errors: a config that check_config refuses; no prompt; a text longer than the model's positions; ids outside the
/// vocabulary.
inline void check_about(const TimelineAbout& about, const std::string& where) {
  say_where(where, [&] { check_config(about.config); });
  const ModelConfig& c = about.config;
  check_tokens(where, "an end token", c.end_tokens, c.vocab);
  check_tokens(where, "a token of the prompt", about.prompt, c.vocab);
  check_spelling(where, about.spelling, c.vocab);
  check_range(where, "the length of the prompt", std::ssize(about.prompt), 1, c.max_positions);
  check_range(where, "the number of tokens asked for", about.tokens, 1,
              c.max_positions - std::ssize(about.prompt) + 1);  // the last is chosen but never read
  check_range(where, "the bytes of a number", std::int64_t(std::min<std::size_t>(about.number_bytes, 99)), 1, 8);
}

/// Errors: rows that lie outside the layer's slots or of the text's `length` tokens; two of one position or in one
/// slot.
inline void check_layout(const LayerLayout& layout, int length, const std::string& where) {
  check_range(where, "the number of slots", layout.slots, 0, std::int64_t(1) << 26);
  std::vector<std::pair<int, int>> slots, positions;  // first, rows
  for (const SlotRun& run : layout.runs) {
    check_range(where, "the rows of a run", run.rows, 1, length);
    check_range(where, "the first slot of a run", run.first_slot, 0, std::int64_t(layout.slots) - run.rows);
    check_range(where, "the first position of a run", run.first_position, 0, std::int64_t(length) - run.rows);
    check_range(where, "the gap behind a run", run.position_gap, 0, length);
    slots.push_back({run.first_slot, run.rows}), positions.push_back({run.first_position, run.rows});
  }
  for (const StoragePiece& piece : layout.pieces) {
    check_range(where, "the slots of a piece", piece.slots, 1, layout.slots);
    check_range(where, "the first slot of a piece", piece.first_slot, 0, std::int64_t(layout.slots) - piece.slots);
    check_range(where, "the page of a piece", piece.page, -1, layout.slots);
    check_range(where, "the references to a piece", piece.references, 1, INT_MAX);
  }
  for (auto* side : {&slots, &positions}) {
    std::sort(side->begin(), side->end());
    for (std::size_t i = 1; i < side->size(); ++i)
      check((*side)[i - 1].first + (*side)[i - 1].second <= (*side)[i].first, where, ": ",
            side == &slots ? "slot " : "position ", (*side)[i].first, " is in two runs; it must be in one");
  }
}

/// `length`: tokens whose keys and values exist after the step.
inline void check_event(const CacheEvent& event, const ModelConfig& config, int length, const std::string& where) {
  check_range(where, "the layer of an event", event.layer, 0, config.layers - 1);
  check_range(where, "the first position of an event", event.first_position, 0, length);
  check_range(where, "the rows of an event", event.rows, 0, std::int64_t(length) - event.first_position);
  check_bytes(where, "what an event copied", event.bytes);
  for (const int count : {event.references, event.hits, event.misses})
    check_range(where, "a count of an event", count, 0, INT_MAX);
}

inline void check_work(const Work& work, const std::string& where) {
  for (const Part part : all_parts) {
    check_seconds(where + ": " + name(part), work.seconds[std::size_t(part)]);
    check_range(where, name(part), work.multiplications[std::size_t(part)], 0, INT64_MAX);
  }
  for (const std::int64_t count : {work.queries_computed, work.keys_computed, work.keys_reused, work.tokens_reused})
    check_range(where, "a count of queries or keys", count, 0, INT64_MAX);
}

/// Errors: anything, but the tensors, that no recording of step `index` can hold. `where` names the timeline.
inline void check_step(const StepRecord& step, int index, const TimelineAbout& about, std::string where) {
  const int prompt = int(about.prompt.size()), length = prompt + index, vocab = about.config.vocab;
  where += ": step " + std::to_string(index);
  check(step.index == index, where, " calls itself step ", step.index, "; steps must come in order");
  check_range(where, "the token", step.token, 0, vocab - 1);
  check_range(where, "the number of tokens computed", step.tokens_fed, 1, length);
  check_range(where, "the number of tokens reused", step.tokens_reused, 0, length - step.tokens_fed);
  check_range(where, "the number of tokens reused by its work", step.work.tokens_reused, step.tokens_reused,
              step.tokens_reused);
  check_range(where, "the number of keys reused", step.work.keys_reused, step.tokens_reused,
              std::int64_t(step.tokens_reused) * about.config.layers * about.config.kv_heads);
  check_range(where, "the first position", step.first_position, index == 0 ? 0 : length - 1,
              index == 0 ? 0 : length - 1);
  check_range(where, "the number of rows", step.rows, index == 0 ? prompt : 1, index == 0 ? prompt : 1);
  check_seconds(where, step.seconds);
  check_work(step.work, where);
  check_bytes(where, "memory used", step.memory.used_bytes), check_bytes(where, "memory", step.memory.reserved_bytes);
  check_bytes(where, "slow memory", step.memory.slow_bytes);
  check_bytes(where, "bookkeeping", step.memory.bookkeeping_bytes);
  check_bytes(where, "what was copied", step.memory.copied_bytes);
  check_spelling(where, step.spelling, vocab);
  for (const Candidate& candidate : step.candidates) {
    check_range(where, "a candidate", candidate.token, 0, vocab - 1);
    check(candidate.probability >= 0 && candidate.probability <= 1 + 1e-9, where, ": a candidate has probability ",
          candidate.probability, "; it must be from 0 to 1");
  }
  for (const CacheEvent& event : step.events) check_event(event, about.config, length, where);
  for (const RewrittenRows& rows : step.rewritten) {
    check_range(where, "the layer of rewritten rows", rows.layer, 0, about.config.layers - 1);
    check_range(where, "the first position of rewritten rows", rows.first_position, 0, length - 1);
    check_range(where, "the number of rewritten rows", rows.rows, 1, std::int64_t(length) - rows.first_position);
  }
  for (const CodedRows& rows : step.codes.runs) {
    check_range(where, "the layer of coded rows", rows.layer, 0, about.config.layers - 1);
    check_range(where, "the first position of coded rows", rows.first_position, 0, length - 1);
    check_range(where, "the number of coded rows", rows.rows, 1, std::int64_t(length) - rows.first_position);
    for (const CodeFormat* format : {&rows.keys, &rows.values})
      check_range(where, "the numbers that share a scale", format->share, 0,
                  format->has_codes() ? about.config.head_dim : 0);
  }
  check(step.layouts.size() == 1 || int(step.layouts.size()) == about.config.layers, where, " has ",
        step.layouts.size(), " layouts; it must have one for each of ", about.config.layers, " layers, or one for all");
  for (const LayerLayout& layout : step.layouts) check_layout(layout, length, where);
}

/// Errors: codes that are no whole numbers of 16 bits. (Scales and minima may be any.)
inline void check_codes(std::span<const StepRecord> steps, const std::string& where) {
  for (const StepRecord& step : steps)
    for (const StepCodes::Side* side : {&step.codes.keys, &step.codes.values})
      for (const float code : side->codes)
        check(code >= INT16_MIN && code <= UINT16_MAX && code == std::floor(code), where, ": step ", step.index,
              ": a code is ", code, "; it must be a whole number from ", INT16_MIN, " to ", UINT16_MAX);
}

/// Errors: compared steps out of order, of steps that the timeline does not have, or with numbers that none can have.
inline void check_compared(const std::vector<ComparedStep>& compared, int steps, int vocab, const std::string& path) {
  int repeat = 0, next = 0, in_first = 0;
  for (const ComparedStep& step : compared) {
    const std::string where =
        path + ": the comparison: repeat " + std::to_string(step.repeat) + ", step " + std::to_string(step.step);
    if (step.repeat == repeat + 1 && step.step == 0 && next > 0) ++repeat, next = 0;
    check(step.repeat == repeat && step.step == next, where, " stands where repeat ", repeat, ", step ", next,
          " should; steps must come in order");
    ++next;
    if (repeat == 0) in_first = next;
    check_range(where, "the number of steps", next, 1, std::min(steps, in_first));
    check_range(where, "the token chosen with the cache", step.token_with, 0, vocab - 1);
    check_range(where, "the token chosen without", step.token_without, 0, vocab - 1);
    check(step.logit_difference >= 0, where, ": the logits differ by ", step.logit_difference,
          "; it must be 0 or more");
    check_work(step.with, where + ", with the cache");
    check_work(step.without, where + ", without");
  }
}

}  // namespace kvcache::detail
