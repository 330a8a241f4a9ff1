#include "tables.hpp"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "kvcache/core/check.hpp"
#include "kvcache/io/atomic_file.hpp"
#include "kvcache/observe/timeline_file.hpp"

namespace kvcache::visualizer {
namespace {

/// What is told of a step, in the order of the columns. A value that was not measured is null.
nlohmann::ordered_json figures(const Timeline& timeline, const Comparison& comparison, int index) {
  const StepRecord& step = timeline.step(index);
  nlohmann::ordered_json row{{"step", index},
                             {"tokens_read", timeline.length_after(index)},
                             {"chosen_id", step.token},
                             {"tokens_computed", step.tokens_fed},
                             {"tokens_reused", step.tokens_reused},
                             {"keys_computed", step.work.keys_computed},
                             {"keys_reused", step.work.keys_reused},
                             {"multiplications", step.work.total_multiplications()},
                             {"recorded_ms", 1e3 * step.seconds},
                             {"used_bytes", step.memory.used_bytes},
                             {"reserved_bytes", step.memory.reserved_bytes},
                             {"copied_bytes", step.memory.copied_bytes},
                             {"formula_bytes", timeline.formula_bytes(index)}};
  const bool compared = index < comparison.steps();
  const auto if_compared = [&](const char* name, auto figure) {
    row[name] = compared ? nlohmann::ordered_json(figure()) : nlohmann::ordered_json();
  };
  if_compared("with_cache_ms", [&] { return 1e3 * comparison.seconds(true, index); });
  if_compared("without_cache_ms", [&] { return 1e3 * comparison.seconds(false, index); });
  if_compared("with_cache_multiplications", [&] { return comparison.runs(true, index)[0].total_multiplications(); });
  if_compared("without_cache_multiplications",
              [&] { return comparison.runs(false, index)[0].total_multiplications(); });
  if_compared("logit_difference", [&] { return comparison.logit_differences()[std::size_t(index)]; });
  return row;
}

}  // namespace

std::string to_csv(const Timeline& timeline, const Comparison& comparison) {
  std::string csv;
  for (int step = 0; step < timeline.steps(); ++step) {
    std::string names, line;
    const nlohmann::ordered_json row = figures(timeline, comparison, step);
    for (const auto& [name, figure] : row.items()) {
      names += (names.empty() ? "" : ",") + name;
      line += (line.empty() ? "" : ",") + (figure.is_null() ? "" : figure.dump());
    }
    csv += (step == 0 ? names + "\n" : "") + line + "\n";
  }
  return csv;
}

std::string to_json(const Timeline& timeline, const Comparison& comparison) {
  const TimelineAbout& about = timeline.about();
  nlohmann::ordered_json json{{"model", about.model},
                              {"random_weights", about.random_weights},
                              {"device", about.device.empty() ? "cpu" : about.device},
                              {"cache", about.use_cache ? about.cache : "none"},
                              {"sampling", about.sampling},
                              {"prompt_ids", about.prompt},
                              {"text_ids", std::vector<int>(timeline.text().begin(), timeline.text().end())},
                              {"first_other_token", comparison.first_other_token()},
                              {"steps", nlohmann::ordered_json::array()}};
  for (int step = 0; step < timeline.steps(); ++step) json["steps"].push_back(figures(timeline, comparison, step));
  return json.dump(2) + "\n";
}

void write_run(const Session& session, const std::string& path) {
  if (path.ends_with(".safetensors")) return save_run(session.timeline(), session.comparison(), path);
  const bool csv = path.ends_with(".csv");
  check(csv || path.ends_with(".json"), path, ": a run can be written as .csv, .json or .safetensors");
  const std::string text =
      csv ? to_csv(session.timeline(), session.comparison()) : to_json(session.timeline(), session.comparison());
  write_atomically(path, std::string_view(text));
}

}  // namespace kvcache::visualizer
