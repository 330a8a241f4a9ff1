#include "curves.hpp"

#include <algorithm>

#include "common/caches.hpp"
#include "kvcache/cache/append_in_pieces.hpp"
#include "scene.hpp"

namespace kvcache::visualizer {
namespace {

void add_recorded(Curves& curves, const Timeline& timeline) {
  for (int s = int(curves.tokens.size()); s < timeline.steps(); ++s) {
    const StepRecord& step = timeline.step(s);
    curves.tokens.push_back(timeline.length_after(s));
    curves.recorded_ms.push_back(1e3 * step.seconds);
    curves.formula.push_back(double(timeline.formula_bytes(s)));
    curves.used.push_back(double(step.memory.used_bytes));
    curves.reserved.push_back(double(step.memory.reserved_bytes));
    curves.copied.push_back(double(step.memory.copied_bytes));
  }
}

void resize(Curves::Way& way, std::size_t steps) {
  for (auto* curve : {&way.median_ms, &way.low_ms, &way.high_ms, &way.total_s}) curve->resize(steps);
  for (auto& curve : way.stacked_ms) curve.resize(steps);
}

void measure(Curves::Way& way, const Comparison& comparison, bool with_cache, std::size_t s) {
  const int step = int(s);
  way.median_ms[s] = 1e3 * comparison.seconds(with_cache, step);
  way.low_ms[s] = 1e3 * comparison.seconds(with_cache, step, 0.1);
  way.high_ms[s] = 1e3 * comparison.seconds(with_cache, step, 0.9);
  double below = 0;
  for (const Part part : all_parts)
    way.stacked_ms[std::size_t(part)][s] = below += 1e3 * comparison.part_seconds(with_cache, step, part);
}

void sum_from(Curves& curves, std::size_t first) {
  for (std::size_t s = first; s < curves.repeats.size(); ++s) {
    for (Curves::Way* way : {&curves.with, &curves.without})
      way->total_s[s] = (s == 0 ? 0 : way->total_s[s - 1]) + way->median_ms[s] / 1e3;
    curves.ratio[s] = curves.without.median_ms[s] / curves.with.median_ms[s];
    curves.running_ratio[s] = curves.without.total_s[s] / curves.with.total_s[s];
  }
}

/// A repeat of an early step can come after the first of a late one: every step is looked at, few are measured anew.
void add_compared(Curves& curves, const Comparison& comparison) {
  const std::size_t steps = std::min(std::size_t(comparison.steps()), curves.tokens.size());
  curves.repeats.resize(steps);
  curves.ratio.resize(steps), curves.running_ratio.resize(steps);
  resize(curves.with, steps), resize(curves.without, steps);
  std::size_t first_changed = steps;
  for (std::size_t s = 0; s < steps; ++s) {
    const std::size_t repeats = comparison.runs(true, int(s)).size();
    if (curves.repeats[s] == repeats) continue;
    curves.repeats[s] = repeats;
    measure(curves.with, comparison, true, s), measure(curves.without, comparison, false, s);
    first_changed = std::min(first_changed, s);
  }
  sum_from(curves, first_changed);
}

void add_differences(Curves& curves, const Comparison& comparison) {
  const std::vector<double>& all = comparison.logit_differences();
  for (std::size_t s = curves.floored_difference.size(); s < curves.repeats.size(); ++s) {
    curves.floored_difference.push_back(std::clamp(all[s], Curves::least_difference, Curves::most_difference));
    const bool is_worst = s == 0 || all[s] > all[std::size_t(curves.worst_step.back())];
    curves.worst_step.push_back(is_worst ? int(s) : curves.worst_step.back());
  }
}

/// The policies themselves do the sums: fed with rows of one number, their bytes are those of any row, divided by the
/// numbers in it.
Curves::OfCache bytes_of_cache(const char* name, const TimelineAbout& about) {
  const int prompt = int(about.prompt.size());
  auto cache = make_cache(name, CacheShape{1, 1, 1}, prompt + about.tokens);
  const CacheShape shape = about.config.cache_shape();
  const double numbers = double(shape.layers) * shape.row_size() * double(about.number_bytes) / sizeof(float);
  const Matrix<float> rows = Matrix<float>::Zero(std::max(1, prompt), 1);
  Curves::OfCache curve{name, {}, {}, {}, {}, ""};
  for (int length = prompt; length < prompt + about.tokens; ++length) {
    const auto next = rows.topRows(length - cache.length(0));
    append_in_pieces(cache, 0, in(next), in(next));
    const MemoryUse memory = cache.memory();
    curve.tokens.push_back(length);
    curve.used.push_back(numbers * double(memory.used_bytes));
    curve.reserved.push_back(numbers * double(memory.reserved_bytes));
    curve.copied.push_back(numbers * double(memory.copied_bytes));
  }
  return curve;
}

}  // namespace

void follow(Curves& curves, const Scene& scene, int run) {
  if (curves.run != run || int(curves.tokens.size()) > scene.timeline.steps() ||
      curves.compared() > scene.comparison.steps())
    curves = {};
  curves.run = run;
  add_recorded(curves, scene.timeline);
  add_compared(curves, scene.comparison);
  add_differences(curves, scene.comparison);
}

void follow_caches(Curves& curves, const Scene& scene) {
  if (!curves.caches.empty()) return;
  for (const CacheName& cache : cache_names) try {
      curves.caches.push_back(bytes_of_cache(cache.name, scene.timeline.about()));
    } catch (const std::exception& error) {  // the others can be shown all the same
      curves.caches.push_back({cache.name, {}, {}, {}, {}, error.what()});
    }
}

}  // namespace kvcache::visualizer
