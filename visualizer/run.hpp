// What the background threads do, and how they hand it over. The library's templates are instantiated in run.cpp alone.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "scene.hpp"

namespace kvcache::visualizer {

struct LoadedModel;  // weights and tokenizer; does not change once it is there

/// What was finished since it was last taken.
struct Handed {
  std::optional<TimelineAbout> about;  // a run begins
  std::vector<StepRecord> steps;
  std::vector<ComparedStep> compared;
  double share_waited = 0;                         // of the time of all comparing so far, for a processor
  std::vector<std::pair<int, LayerTrace>> traces;  // of one layer: (step, trace)
  std::shared_ptr<const LoadedModel> model;
  Progress progress;
  std::string error;
  bool finished = false;
};

struct Channel {
  mutable std::mutex mutex;
  Handed handed;
  std::atomic<bool> hold =
      false;  // the comparison waits: something else needs the processor, and would spoil its times
};

/// Decodes with records, then compares with and without the cache. `model` is used again if it is the one chosen.
/// Errors: whatever cannot be loaded or decoded, as an exception.
void run(const Choice& choice, std::shared_ptr<const LoadedModel> model, Channel& channel, std::stop_token stop);

/// Repeats a run, and hands over one layer's traces.
void record_layer(const Choice& choice, std::shared_ptr<const LoadedModel> model, int layer, Channel& channel,
                  std::stop_token stop);

std::vector<TokenPiece> tokenise(const LoadedModel& model, std::string_view text);

}  // namespace kvcache::visualizer
