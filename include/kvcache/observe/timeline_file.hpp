// A timeline as a file, to be looked at again without the model. It is a safetensors file, so others can open it too:
//
//   from safetensors.numpy import load_file
//   t = load_file("run.safetensors")
//   t["keys"]                        # [layers, kv_heads, positions, head_dim]; "values" likewise
//   t["written_keys"]                # the same as they were given to a cache that rounds; not in every file
//   t["rewritten_keys"]              # [rows, kv_heads, head_dim]: rows that were packed later, step after step
//   t["key_codes"]                   # [rows, kv_heads, head_dim]: what lies in a cache that rounds, in the order of
//                                    # "coded" in the text below; key = minimum + scale * code
//   t["key_scales"]                  # of each row [kv_heads, ranges]; "key_minima" and those of the values likewise
//   t["attention.3"]                 # [q_heads, ...]: of each query, at position p, its p + 1 weights; -1: not kept
//   t["stages.3.after_feed_forward"] # [steps, hidden]: the newest token; other stages by the names of model/stage.hpp
//
// All else is JSON text in the header's __metadata__, under "timeline": also the comparison with and without the cache,
// if there was one. Attention and stages are there for each layer that was recorded in every step.
#pragma once

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kvcache/io/safetensors.hpp"
#include "kvcache/io/write_safetensors.hpp"
#include "kvcache/observe/timeline.hpp"
#include "kvcache/observe/timeline_checks.hpp"
#include "kvcache/observe/timeline_fields.hpp"
#include "kvcache/observe/timeline_tensors.hpp"

namespace kvcache {

namespace detail {

inline constexpr const char* timeline_format = "kvcache timeline";
inline constexpr const char* timeline_version = "5";

/// Is everything there that the file has room for?
inline bool is_complete(const LayerTrace& trace, const StepRecord& step, const ModelConfig& config) {
  const AttentionWeights& a = trace.attention;
  for (std::size_t s = 0; s < stage_count; ++s)
    if (trace.stages[s].size() != std::size_t(stage_size(config, Stage(s)))) return false;
  return a.first_position == step.first_position && a.queries == step.rows && a.q_heads == config.q_heads &&
         a.numbers.size() ==
             std::size_t(config.q_heads) * AttentionWeights::size_of_head(step.first_position, step.rows);
}
/// The layers that were recorded in every step.
inline std::vector<int> complete_layers(const ModelConfig& config, std::span<const StepRecord> steps) {
  std::vector<int> layers;
  for (int layer = 0; layer < config.layers; ++layer)
    if (!steps.empty() && std::all_of(steps.begin(), steps.end(), [&](const StepRecord& step) {
          const auto found = step.traces.find(layer);
          return found != step.traces.end() && is_complete(found->second, step, config);
        }))
      layers.push_back(layer);
  return layers;
}

/// Errors: what check_about and check_step refuse; rows that are missing; more steps than tokens asked for.
inline void check_timeline(const TimelineAbout& about, std::span<const StepRecord> steps, const std::string& where) {
  check_about(about, where);
  check_range(where, "the number of steps", std::ssize(steps), 0, about.tokens);
  for (std::size_t i = 0; i < steps.size(); ++i) check_step(steps[i], int(i), about, where);
}

inline nlohmann::json timeline_text(const Safetensors& file) {
  const auto field = [&](const char* key) {
    const auto found = file.metadata().find(key);
    check(found != file.metadata().end(), file.path(), " has no '", key, "' in its metadata; it is not a timeline");
    return found->second;
  };
  check(field("format") == timeline_format, file.path(), ": the format is \"", field("format"), "\", not \"",
        timeline_format, "\"; open a file that save_timeline wrote");
  check(field("version") == timeline_version, file.path(), " is a timeline of version ", field("version"),
        "; this program reads version ", timeline_version, ": record it anew");
  try {
    return nlohmann::json::parse(field("timeline"));
  } catch (const nlohmann::json::exception& error) {
    fail(file.path(), ": the text of the timeline is not JSON: ", error.what());
  }
}

/// The layers that have a tensor of weights, with room for what each step keeps of them.
inline std::vector<int> layers_in(const Safetensors& file, const ModelConfig& config, std::vector<StepRecord>& steps) {
  std::vector<int> layers;
  for (int layer = 0; layer < config.layers; ++layer)
    if (file.tensors().contains("attention." + std::to_string(layer))) {
      layers.push_back(layer);
      for (StepRecord& step : steps)
        step.traces[layer].attention = {step.first_position, step.rows, config.q_heads, {}};
    }
  return layers;
}

inline void read_tensors(const Safetensors& file, const ModelConfig& config, std::vector<StepRecord>& steps) {
  std::size_t known = 0;
  const auto find = [&](const std::string& name, const std::vector<std::size_t>& shape) -> const Tensor& {
    const auto found = file.tensors().find(name);
    check(found != file.tensors().end(), file.path(), " has no tensor \"", name, "\"; the file is broken");
    const Tensor& tensor = found->second;
    check(tensor.shape == shape && tensor.format == NumberFormat::f32, file.path(), ": tensor \"", name, "\" is ",
          to_string(tensor.shape), " of ", kvcache::name(tensor.format), ", but the config and ", steps.size(),
          " steps need ", to_string(shape), " of F32; the file is broken");
    ++known;
    return tensor;
  };
  const auto layers = layers_in(file, config, steps);
  list_tensors(config, steps, layers, file.tensors().contains("written_keys"),
               [&](const std::string& name, const auto& shape, std::size_t heads, const auto& numbers,
                   const auto& part) { hand_out(find(name, shape), steps, heads, numbers, part); });
  const std::size_t tensors = file.tensors().size() + file.unread().size();
  check(known == tensors, file.path(), " has ", tensors, " tensors, but only ", known, " belong to a timeline of ",
        config.layers, " layers, ", layers.size(), " of them recorded; the file is broken");
}

}  // namespace detail

/// Writes the timeline, beside the target first: if that fails, a file that was there stays. Layers that were recorded
/// in some steps alone are left out; in words that are not UTF-8 a replacement character stands for the odd bytes.
/// Errors: a timeline without its rows, or one that load_run would refuse; those of write_safetensors.
inline void save_run(const Timeline& timeline, const Comparison& comparison, const std::filesystem::path& path) {
  const std::string where = path.string() + " cannot be saved";
  const TimelineAbout& about = timeline.about();
  const std::span<const StepRecord> steps = timeline.records();
  detail::check_timeline(about, steps, where);
  detail::check_codes(steps, where);
  std::vector<TensorToWrite> tensors;
  detail::list_tensors(
      about.config, steps, detail::complete_layers(about.config, steps),
      !steps.empty() && !steps.front().written_keys.empty(),
      [&](const std::string& name, const auto& shape, std::size_t heads, auto numbers, auto part) {
        for (const StepRecord& step : steps)
          check(part(step).size() == heads * numbers(step), where, ": step ", step.index, " has ", part(step).size(),
                " ", name, ", but its ", step.rows, " rows need ", heads * numbers(step), "; record them");
        tensors.push_back({name, shape, [=] { return detail::side_by_side(steps, heads, numbers, part); }});
      });
  nlohmann::json text{{"about", detail::json_from(about)}, {"steps", nlohmann::json::array()}};
  for (const StepRecord& step : steps) text["steps"].push_back(detail::json_from(step));
  text["comparison"] = detail::json_from(comparison.all());
  text["share_waited"] = comparison.share_waited();
  write_safetensors(path, tensors,
                    {{"format", detail::timeline_format},
                     {"version", detail::timeline_version},
                     {"timeline", text.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)}});
}

inline void save_timeline(const Timeline& timeline, const std::filesystem::path& path) { save_run(timeline, {}, path); }

struct SavedRun {
  Timeline timeline;
  Comparison comparison;  // of no steps, if there was none
};

/// The run that was saved, to the last bit. Errors: no such file; a file that is no timeline, of another version,
/// truncated, or that contradicts itself. Nothing in it is believed unchecked.
inline SavedRun load_run(const std::filesystem::path& path) {
  const Safetensors file(path);
  const nlohmann::json text = detail::timeline_text(file);
  const std::string where = file.path() + ": the timeline";
  auto about = detail::value_from<TimelineAbout>(get_field(text, "about", where), where + ": 'about'");
  auto steps = detail::value_from<std::vector<StepRecord>>(get_field(text, "steps", where), where + ": 'steps'");
  const auto compared =
      detail::value_from<std::vector<ComparedStep>>(get_field(text, "comparison", where), where + ": 'comparison'");
  // What was recorded by the library alone has no comparison, and need not say this.
  const double share_waited =
      text.contains("share_waited") ? detail::value_from<double>(text["share_waited"], where + ": 'share_waited'") : 0;
  check(share_waited >= 0 && share_waited <= 1, where, ": 'share_waited' is ", share_waited,
        ", but must be from 0 to 1");
  detail::check_timeline(about, steps, file.path());
  detail::check_compared(compared, int(steps.size()), about.config.vocab, file.path());
  detail::read_tensors(file, about.config, steps);
  detail::check_codes(steps, file.path());
  SavedRun run{Timeline(std::move(about)), {}};
  for (StepRecord& step : steps) run.timeline.add(std::move(step));
  for (const ComparedStep& step : compared) run.comparison.add(step);
  run.comparison.set_share_waited(share_waited);
  return run;
}
inline Timeline load_timeline(const std::filesystem::path& path) { return load_run(path).timeline; }

}  // namespace kvcache
