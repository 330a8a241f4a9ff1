// The race: the same text written with and without a cache. What is measured, apart from how it is shown.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/svg_plot.hpp"
#include "common/text_argument.hpp"
#include "device.hpp"

namespace kvcache::cli {

struct RaceChoice {
  std::string model = "tiny", proof = "float", json, csv, picture;
  PromptChoice prompt{.text = "Explain KV caching in transformers."};
  std::vector<std::string> caches;  // as make_cache reads them, or "none"
  std::vector<int> tokens{200}, prompt_tokens;
  int repeats = 5, threads = 0;
  std::uint64_t seed = 0;
  WeightsChoice weights;
  DeviceChoice device;
};

/// One cache, raced `repeats` times.
struct Run {
  std::string cache;
  std::vector<double> seconds;                    // of each repeat, prefill included [MEASURED]
  std::vector<std::vector<double>> step_seconds;  // [repeats][steps] [MEASURED]
  Work work;                                      // summed over all steps and repeats
  std::vector<int> ids;                           // the tokens written
  MemoryUse memory;                               // of the cache at the end

  bool cached() const { return cache != "none"; }
  double mean() const;
  double deviation() const;                         // of the sample; 0 for one repeat
  std::vector<double> median_step_seconds() const;  // [steps]
};

struct Proof {
  std::optional<LogitDifference> in_float, in_double;  // largest difference of cached and recomputed logits
};

struct Race {
  ModelChoice model;
  std::vector<int> prompt;  // ids
  int tokens = 0;
  std::vector<Run> runs;         // in the order asked for
  Proof proof;                   // of the first cached run
  std::size_t weight_bytes = 0;  // read by one step [COMPUTED]
  bool on_gpu = false;
  double share_waited = 0;  // of the time, for a processor that other programs had [MEASURED]

  /// How many times as long the first run took; nothing if repeats disagree, for then no number says it.
  std::optional<double> ratio(const Run& run) const;
  /// Why these are no measurements of this program alone; empty: nothing speaks against them.
  std::string disturbed() const;
  bool is_exact(const Run& run) const;  // its cache keeps every token, as computed
  /// The first run that wrote something else than the first one; null if all agree. A cache that forgets or rounds may.
  const Run* first_other_text() const;
  std::size_t formula_bytes() const {  // the last token is chosen but never fed
    return model.config.cache_shape().bytes_per_token(sizeof(float)) * (prompt.size() + std::size_t(tokens) - 1);
  }
};

// race_report.cpp
void print_race(const Race& race, int repeats);
void print_table(const std::vector<Race>& races, const std::vector<int>& tokens);
nlohmann::json to_json(const Race& race);
std::string to_csv(const Race& race);
SvgPlot to_plot(const Race& race);

}  // namespace kvcache::cli
