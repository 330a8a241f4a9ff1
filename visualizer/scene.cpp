#include "scene.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "common/caches.hpp"
#include "common/readable.hpp"

namespace kvcache::visualizer {

bool Scene::is_rounding() const {
  return rounds(timeline.about().cache) || (timeline.steps() > 0 && !timeline.step(0).written_keys.empty());
}

std::int64_t Scene::rows_kept(int step) const {
  std::int64_t rows = 0;
  for (int layer = 0; layer < config().layers; ++layer) rows += timeline.step(step).layout(layer).rows();
  return rows;
}

bool Scene::has_forgotten(int step) const {
  return rows_kept(step) < std::int64_t(config().layers) * timeline.length_after(step);
}

bool Scene::layers_are_alike() const {
  for (int step = std::max(0, step_index - 1); step <= step_index; ++step)
    for (const LayerLayout& layout : timeline.step(step).layouts)
      if (layout.rows() != timeline.step(step).layouts[0].rows()) return false;
  return true;
}

std::string rows_in_words(const std::map<int, int>& rows_of_layer, int layers) {
  std::int64_t sum = 0;
  bool are_alike = true;
  for (const auto& [layer, rows] : rows_of_layer)
    sum += rows, are_alike = are_alike && rows == rows_of_layer.begin()->second;
  const int count = int(rows_of_layer.size());
  const std::string which = count == layers ? fmt::format("{}", layers) : fmt::format("{} of the {}", count, layers);
  return are_alike && count > 0 ? fmt::format("{} in each of {} layers", counted(sum / count, "row"), which)
                                : fmt::format("{} in {} layers together", counted(sum, "row"), which);
}

}  // namespace kvcache::visualizer
