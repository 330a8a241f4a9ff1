// The tensors of a timeline's file: which there are, and how the steps lie side by side in them. timeline_file.hpp says
// what others find there.
#pragma once

#include <array>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kvcache/core/number_format.hpp"
#include "kvcache/io/safetensors.hpp"
#include "kvcache/observe/timeline.hpp"
#include "kvcache/observe/timeline_checks.hpp"
#include "kvcache/observe/timeline_fields.hpp"

namespace kvcache::detail {

/// The part of list_tensors for the codes of one side. What there is none of has no tensor.
void list_codes(const ModelConfig& c, const auto& steps, const std::string& name, CodeFormat CodedRows::*format,
                StepCodes::Side StepCodes::*side, auto&& visit) {
  using Shape = std::vector<std::size_t>;
  const std::size_t dim = std::size_t(c.head_dim), heads = std::size_t(c.kv_heads);
  const auto codes = [=](const StepRecord& step) { return step.codes.rows_with_codes(format) * heads * dim; };
  const auto ranges = [=](const StepRecord& step) { return step.codes.ranges(format, int(dim)) * heads; };
  std::size_t rows = 0, all_ranges = 0;
  for (const StepRecord& step : steps) rows += step.codes.rows_with_codes(format), all_ranges += ranges(step);
  if (rows > 0)
    visit(
        name + "_codes", Shape{rows, heads, dim}, 1,
        codes, [=](auto& step) -> auto& { return (step.codes.*side).codes; });
  if (all_ranges > 0) {
    visit(
        name + "_scales", Shape{all_ranges}, 1, ranges, [=](auto& step) -> auto& { return (step.codes.*side).scales; });
    visit(
        name + "_minima", Shape{all_ranges}, 1, ranges, [=](auto& step) -> auto& { return (step.codes.*side).minima; });
  }
}

/// Calls visit(name, shape, heads, numbers, part) for every tensor of a timeline. A step holds its part head by head,
/// [heads, numbers(step)], in part(step); in the file the steps lie side by side, [heads, numbers of all steps], so
/// that each head's story is one run of numbers. `steps` have rows, and traces of `layers`;
/// `written`: also the rows as they were given to the cache.
void list_tensors(const ModelConfig& c, const auto& steps, const std::vector<int>& layers, bool written, auto&& visit) {
  using Shape = std::vector<std::size_t>;
  const auto size = [](auto number) { return std::size_t(number); };
  const std::size_t dim = size(c.head_dim), q_heads = size(c.q_heads), kv_heads = size(c.kv_heads);
  const auto row_numbers = [dim](const StepRecord& step) { return std::size_t(step.rows) * dim; };
  const auto weight_numbers = [](const StepRecord& step) {
    return AttentionWeights::size_of_head(step.first_position, step.rows);
  };
  const auto rewritten_rows = [](const StepRecord& step) {
    std::size_t rows = 0;
    for (const RewrittenRows& r : step.rewritten) rows += std::size_t(r.rows);
    return rows;
  };
  const auto rewritten_numbers = [=](const StepRecord& step) { return rewritten_rows(step) * kv_heads * dim; };
  std::size_t positions = 0, weights = 0, rewritten = 0;
  for (const StepRecord& step : steps)
    positions += size(step.rows), weights += weight_numbers(step), rewritten += rewritten_rows(step);

  const Shape rows{size(c.layers), kv_heads, positions, dim};
  visit(
      "keys", rows, size(c.layers) * kv_heads, row_numbers, [](auto& step) -> auto& { return step.keys; });
  visit(
      "values", rows, size(c.layers) * kv_heads, row_numbers, [](auto& step) -> auto& { return step.values; });
  if (written) {
    visit(
        "written_keys", rows, size(c.layers) * kv_heads, row_numbers,
        [](auto& step) -> auto& { return step.written_keys; });
    visit(
        "written_values", rows, size(c.layers) * kv_heads, row_numbers,
        [](auto& step) -> auto& { return step.written_values; });
  }
  if (rewritten > 0) {
    const Shape shape{rewritten, kv_heads, dim};
    visit(
        "rewritten_keys", shape, 1, rewritten_numbers, [](auto& step) -> auto& { return step.rewritten_keys; });
    visit(
        "rewritten_values", shape, 1, rewritten_numbers, [](auto& step) -> auto& { return step.rewritten_values; });
  }
  list_codes(c, steps, "key", &CodedRows::keys, &StepCodes::keys, visit);
  list_codes(c, steps, "value", &CodedRows::values, &StepCodes::values, visit);
  for (const int layer : layers) {
    const auto trace = [layer](auto& step) -> auto& { return step.traces.find(layer)->second; };
    visit(
        "attention." + std::to_string(layer), Shape{q_heads, weights}, q_heads,
        weight_numbers, [trace](auto& step) -> auto& { return trace(step).attention.numbers; });
    for (std::size_t s = 0; s < stage_count; ++s) {
      const std::size_t width = size(stage_size(c, Stage(s)));
      visit(
          "stages." + std::to_string(layer) + "." + names_of(Stage())[s], Shape{steps.size(), width}, 1,
          [width](const StepRecord&) { return width; },
          [ trace, s ](auto& step) -> auto& { return trace(step).stages[s]; });
    }
  }
}

/// [heads, numbers of all steps], from each step's [heads, numbers(step)].
std::vector<float> side_by_side(std::span<const StepRecord> steps, std::size_t heads, const auto& numbers,
                                const auto& part) {
  std::vector<float> joined;
  for (std::size_t head = 0; head < heads; ++head)
    for (const StepRecord& step : steps) {
      const auto first = part(step).begin() + std::ptrdiff_t(head * numbers(step));
      joined.insert(joined.end(), first, first + std::ptrdiff_t(numbers(step)));
    }
  return joined;
}
/// The way back.
void hand_out(const Tensor& tensor, std::vector<StepRecord>& steps, std::size_t heads, const auto& numbers,
              const auto& part) {
  for (StepRecord& step : steps) part(step).resize(heads * numbers(step));
  const std::byte* from = tensor.bytes.data();
  for (std::size_t head = 0; head < heads; ++head)
    for (StepRecord& step : steps) {
      read_numbers(tensor.format, from, numbers(step), part(step).data() + head * numbers(step));
      from += numbers(step) * sizeof(float);
    }
}

}  // namespace kvcache::detail
