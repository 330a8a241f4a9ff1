// The numbers in the cache: keys and values of one head of one layer.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <iterator>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "kvcache/core/matrix.hpp"
#include "panels.hpp"
#include "panels/heat.hpp"
#include "panels/row_in_numbers.hpp"
#include "theme.hpp"
#include "widgets.hpp"

namespace kvcache::visualizer {
namespace {

/// One of the two heat maps. Its rows are the positions that the layer keeps, in their order in the text.
struct Side {
  const char *title, *error_title, *letter, *id;
  std::span<const float> (Timeline::*row)(int layer, int kv_head, int position, int step) const;
  std::span<const float> (Timeline::*written)(int layer, int kv_head, int position) const;
  RowCodes (Timeline::*codes)(int layer, int kv_head, int position, int step) const;
};
constexpr std::array<Side, 2> sides{
    {{"Keys", "Keys: error", "K", "inside-keys", &Timeline::key, &Timeline::written_key, &Timeline::key_codes},
     {"Values", "Values: error", "V", "inside-values", &Timeline::value, &Timeline::written_value,
      &Timeline::value_codes}}};

struct Inside {
  const Scene& scene;
  View& view;
  std::vector<int> positions = {};  // kept, in their order
  bool has_tokens = false;          // in the labels
  int number_under_mouse = -1;      // its place in the row

  mutable std::map<std::pair<const char*, int>, std::vector<float>> errors =
      {};  // by side and position, once asked for

  /// What attention reads.
  std::span<const float> stored(const Side& side, int position) const {
    return (scene.timeline.*side.row)(view.layer, view.kv_head, position, scene.step_index);
  }
  /// What the cache was given. Empty: not recorded, for it keeps numbers as they are.
  std::span<const float> written(const Side& side, int position) const {
    return (scene.timeline.*side.written)(view.layer, view.kv_head, position);
  }
  RowInNumbers in_numbers(const Side& side, int position) const {
    return {side.letter, position, stored(side, position), written(side, position),
            (scene.timeline.*side.codes)(view.layer, view.kv_head, position, scene.step_index)};
  }
  bool has_codes() const {
    const auto steps = scene.timeline.records().first(std::size_t(scene.step_index) + 1);
    return std::ranges::any_of(steps, [](const StepRecord& step) { return !step.codes.runs.empty(); });
  }
  bool has_errors() const { return !positions.empty() && !written(sides[0], positions[0]).empty(); }
  bool shows_errors() const { return view.inside_errors && has_errors(); }
  /// What the maps show.
  std::span<const float> row(const Side& side, int position) const {
    const std::span<const float> stored = this->stored(side, position);
    if (!shows_errors()) return stored;
    std::vector<float>& error = errors[{side.id, position}];
    if (error.empty()) std::ranges::transform(stored, written(side, position), std::back_inserter(error), std::minus());
    return error;
  }
  /// Its row in the maps; -1: not kept.
  int row_of(int position) const {
    const auto found = std::ranges::lower_bound(positions, position);
    return found != positions.end() && *found == position ? int(found - positions.begin()) : -1;
  }
};

std::vector<int> kept_positions(const LayerLayout& layout) {
  std::vector<int> positions;
  for (const SlotRun& run : layout.runs)
    for (int i = 0; i < run.rows; ++i) positions.push_back(run.first_position + i);
  std::ranges::sort(positions);
  return positions;
}

void draw_controls(const Scene& scene, View& view, bool has_errors) {
  int kv_head = view.kv_head;
  int_slider(view, "inside-layer", "Layer", view.layer, 0, scene.config().layers - 1, slider_width());
  ImGui::SameLine(0, em() * 0.8f);
  if (int_slider(view, "inside-head", "KV head", kv_head, 0, scene.config().kv_heads - 1, slider_width()))
    choose_kv_head(scene, view, kv_head);
  if (has_errors) {
    ImGui::SameLine(0, em() * 0.8f);
    if (button(view, "inside-errors", view.inside_errors ? "error" : "as read",
               "The numbers that attention reads, or how far they are from those that the cache was given; click to "
               "change"))
      view.inside_errors = !view.inside_errors;
  }
  badge_at_end(Source::measured, "Read back from the cache by the products that attention uses.");
}

/// Name, shape and scale, in one line; what does not fit is left out.
void draw_title(const Inside& inside, const Side& side, ImVec2 at, float width, float largest, bool is_reduced) {
  const char* title = inside.shows_errors() ? side.error_title : side.title;
  ImGui::GetWindowDrawList()->AddText(at, theme().text, title);
  const float shape_at = ImGui::CalcTextSize(title).x + em() * 0.6f, y = at.y + (em() - small_em()) * 0.7f;
  const std::string most = fmt::format("{:.{}f}", largest, largest >= 10 ? 1 : largest >= 0.1 ? 2 : 4);
  ColourScale scale{"-" + most, most, diverging, -1, 4};
  while (scale.bar_em > 1 && shape_at + scale.width() > width) scale.bar_em -= 0.5f;
  scale.draw({at.x + width - scale.width(), y});
  const std::string short_shape = fmt::format("[{}, {}]", inside.positions.size(), inside.scene.config().head_dim);
  const std::string shape = "[positions, head_dim] = " + short_shape;
  const std::string reduced = shape + ", in each pixel the number farthest from 0", brief = short_shape + ", extremes";
  for (const std::string& text : {reduced, brief, shape, short_shape})
    if (is_reduced == (text == reduced || text == brief) &&
        shape_at + small_width(text) + em() <= width - scale.width())
      return small_text({at.x + shape_at, y}, text, theme().muted);
}

/// The numbers themselves, where cells are large enough.
void draw_numbers(const Inside& inside, const Side& side, ImVec2 at, const Lane& down, const Lane& across,
                  float largest) {
  if (across.cell() < small_em() * 3.4f || down.cell() < small_em() * 1.3f) return;
  for (int r = 0; r < down.count; ++r) {
    const std::span<const float> numbers = inside.row(side, inside.positions[std::size_t(r)]);
    for (int i = 0; i < int(numbers.size()); ++i) {
      const ImVec2 middle{(across.edge(i) + across.edge(i + 1)) / 2,
                          (down.edge(r) + down.edge(r + 1) - small_em()) / 2};
      small_text({at.x + middle.x, at.y + middle.y}, fmt::format("{:.2f}", numbers[std::size_t(i)]),
                 ink_on(diverging(numbers[std::size_t(i)] / largest)), Align::centre);
    }
  }
}

void draw_cells(const Inside& inside, const Side& side, ImVec2 at, const Lane& down, const Lane& across) {
  const View& view = inside.view;
  const std::uint64_t key = key_of(view.run_shown, inside.scene.step_index, view.layer, view.kv_head,
                                   inside.positions.size(), inside.shows_errors(), ImGui::GetID("cells"));
  inside.view.pictures[side.id].draw(at, {across.pixels, down.pixels}, key, [&](std::span<ImU32> pixels, int, int) {
    std::vector<std::span<const float>> rows;
    float largest = 1e-6f;
    for (const int position : inside.positions) {
      const std::span<const float> row = rows.emplace_back(inside.row(side, position));
      if (!row.empty())
        largest = std::max(largest, ArrayIn<float>(row.data(), Eigen::Index(row.size())).abs().maxCoeff());
    }
    remember(side.id, largest);
    paint_cells(
        pixels, down, across, [&](int row) { return rows[std::size_t(row)]; }, 0.f,
        [scale = 1 / largest](float value) { return diverging(value * scale); }, FartherFromZero());
  });
}

/// Where a row's label is centred: within the map, also if the row is thin.
float middle_of_label(const Lane& down, int row) {
  const float half = small_em() * 0.5f;
  return std::clamp((down.edge(row) + down.edge(row + 1)) / 2, half, std::max(half, down.pixels - half));
}

/// The number of a row's position, and its token if there is room.
void draw_row_label(const Inside& inside, ImVec2 at, float y, float room, int position) {
  const bool is_newest = position == inside.scene.newest_position();
  const float top = at.y + y - small_em() * 0.6f;
  const std::string number = fmt::format("{}", position);
  if (!inside.has_tokens) {
    if (!is_newest) small_text({at.x - em() * 0.5f, top}, number, theme().muted, Align::right);
    return;
  }
  const float numbers = at.x - room + em() * 0.2f + small_width("0") * 4, left = numbers + em() * 0.5f;
  const float right = at.x - em() * 0.5f - (is_newest ? small_width("newest") + em() * 0.6f : 0);
  small_text({numbers, top}, number, theme().muted, Align::right);
  ImGui::GetWindowDrawList()->PushClipRect({left, top}, {std::max(left, right), top + em() * 2}, true);
  small_text({left, top}, token_at(inside.scene, position), theme().muted, Align::left, true);
  ImGui::GetWindowDrawList()->PopClipRect();
}

/// As many as fit, and that of the newest row in any case.
void draw_row_labels(const Inside& inside, ImVec2 at, const Lane& down, float room) {
  const int step = label_step(down.cell(), small_em() * 1.1f), newest = inside.row_of(inside.scene.newest_position());
  for (int row = 0; row < down.count; ++row) {
    const float y = middle_of_label(down, row);
    const bool fits = row % step == 0 && (newest < 0 || std::abs(y - middle_of_label(down, newest)) >= small_em());
    if (fits || row == newest) draw_row_label(inside, at, y, room, inside.positions[std::size_t(row)]);
  }
}

/// A triangle at the row just written, and the word if there is room.
void mark_newest(const Inside& inside, ImVec2 at, const Lane& down, bool has_room) {
  const int newest = inside.row_of(inside.scene.newest_position());
  if (newest < 0) return;
  const float y = at.y + middle_of_label(down, newest), size = small_em() * 0.4f, x = at.x - em() * 0.15f;
  const ImU32 text = ink_on(theme().panel) == IM_COL32_WHITE ? theme().newest : theme().text;
  ImGui::GetWindowDrawList()->AddTriangleFilled({x - size, y - size}, {x, y}, {x - size, y + size}, theme().newest);
  if (has_room) small_text({x - size - em() * 0.2f, y - small_em() * 0.6f}, "newest", text, Align::right);
}

/// Says which number the mouse is over.
void show_tooltip(const Inside& inside, const Side& side, int position, int index) {
  const std::span<const float> numbers = inside.row(side, position);
  if (numbers.empty() || !ImGui::BeginTooltip()) return;
  ImGui::Text("%s[%d][%d] = %.4f", side.letter, position, index, double(numbers[std::size_t(index)]));
  muted(fmt::format("position {}, index {}", position, index));
  if (const std::span<const float> written = inside.written(side, position); !written.empty()) {
    const double given = double(written[std::size_t(index)]);
    const double read = double(inside.stored(side, position)[std::size_t(index)]);
    muted(fmt::format("given to the cache {:.5f}, read {:.5f}, error {:+.5f}", given, read, read - given));
  }
  if (const std::string formula = formula_of(inside.in_numbers(side, position), index); !formula.empty())
    muted(formula);
  ImGui::PushFont(fonts().mono, 0);
  ImGui::TextUnformatted(token_at(inside.scene, position).c_str());
  ImGui::PopFont();
  ImGui::EndTooltip();
}

void hover_and_select(Inside& inside, const Side& side, ImVec2 at, const Lane& down, const Lane& across) {
  if (!ImGui::IsItemHovered()) return;
  const ImVec2 mouse = ImGui::GetIO().MousePos;
  const int position = inside.positions[std::size_t(down.index_at(mouse.y - at.y))];
  inside.number_under_mouse = across.index_at(mouse.x - at.x);
  inside.view.hovered_position = position;
  if (ImGui::IsItemClicked()) inside.view.selected_position = position;
  show_tooltip(inside, side, position, inside.number_under_mouse);
}

void draw_side(Inside& inside, const Side& side, ImVec2 at, ImVec2 size, float label_width) {
  const float title = em() * 1.4f, axis = size.y > em() * 6 ? small_em() * 1.4f : 0;
  const ImVec2 map{std::round(at.x + label_width), std::round(at.y + title)};
  const ImVec2 inner{std::floor(size.x - label_width), std::floor(size.y - title - axis)};
  if (inner.x < 8 || inner.y < 4) return;
  const int count = int(inside.positions.size()), dim = inside.scene.config().head_dim;
  const Lane down{inner.y, float(count), 0, count}, across{inner.x, float(dim), 0, dim};
  ImGui::SetCursorScreenPos(map);
  ImGui::InvisibleButton(side.id, inner);
  mark(inside.view, side.id);
  hover_and_select(inside, side, map, down, across);
  draw_cells(inside, side, map, down, across);
  const float largest = remembered(side.id);
  draw_numbers(inside, side, map, down, across, largest);
  if (label_width > 0) draw_row_labels(inside, map, down, label_width);
  mark_newest(inside, map, down, label_width > 0);
  if (axis > 0) numbers_below({map.x, map.y + inner.y + 2}, across);
  const bool is_reduced = down.cell() < 1 || across.cell() < 1;
  draw_title(inside, side, {map.x, at.y}, inner.x, largest, is_reduced);
  const auto outline = [&](int position, ImU32 colour) {
    if (const int row = inside.row_of(position); row >= 0)
      outline_cells(map, down, across, {row, row + 1}, {0, dim}, colour);
  };
  outline(inside.view.highlighted_position, faded(theme().text, 0.6f));
  outline(inside.view.selected_position, theme().accent);
}

/// Room between the lines of a row with its codes, which belong together.
float between_codes() { return em() * 0.2f; }

/// The numbers of the row under the mouse, or of the selected one, or of the newest; with their codes if there is room.
void draw_row_in_numbers(const Inside& inside, bool with_codes) {
  int position = inside.scene.newest_position();
  if (inside.row_of(inside.view.selected_position) >= 0) position = inside.view.selected_position;
  if (inside.row_of(inside.view.hovered_position) >= 0) position = inside.view.hovered_position;
  if (inside.row_of(position) < 0) return;
  ImGui::PushFont(fonts().mono, ImGui::GetStyle().FontSizeBase * 0.8f);
  const auto characters = std::size_t(std::max(8.f, ImGui::GetContentRegionAvail().x / ImGui::CalcTextSize("0").x));
  const int fit = int(characters) / (with_codes ? code_column : 7) - 2, dim = inside.scene.config().head_dim;
  const int first = std::clamp(inside.number_under_mouse - 1, 0, std::max(0, dim - fit));
  if (with_codes) ImGui::PushStyleVar(ImGuiStyleVar_ItemSpacing, {0, between_codes()});
  for (const Side& side : sides) {
    const RowInNumbers row = inside.in_numbers(side, position);
    if (!with_codes) {
      muted(numbers_in_line(row, inside.row(side, position), first, characters));
      continue;
    }
    const CodesInLines lines = codes_in_lines(row, first, std::max(0, inside.number_under_mouse), characters);
    muted(lines.read);
    ImGui::TextUnformatted(lines.codes.c_str());
    mark(inside.view, lines.codes);
    muted(lines.errors), muted(lines.formula);
    mark(inside.view, lines.formula);
    ImGui::Dummy({0, between_codes()});
  }
  if (with_codes) ImGui::PopStyleVar();
  ImGui::PopFont();
}

/// Side by side, sharing the labels, or one above the other.
void draw_maps(Inside& inside, ImVec2 at, ImVec2 size) {
  const bool side_by_side = size.x > size.y * 1.1f && size.x > em() * 20;
  inside.has_tokens = size.x > em() * 45;
  const float labels = em() * (inside.has_tokens ? 7.5f : 3.7f), gap = em() * 0.9f;
  if (side_by_side) {
    const float width = std::floor((size.x - labels - gap) / 2);
    draw_side(inside, sides[0], at, {labels + width, size.y}, labels);
    draw_side(inside, sides[1], {at.x + labels + width + gap, at.y}, {width, size.y}, 0);
  } else {
    const float height = std::floor((size.y - em() * 0.4f) / 2);
    draw_side(inside, sides[0], at, {size.x, height}, labels);
    draw_side(inside, sides[1], {at.x, at.y + height + em() * 0.4f}, {size.x, height}, labels);
  }
}

}  // namespace

void draw_inside(const Scene& scene, View& view) {
  const PanelStyle style;
  Inside inside{scene, view, kept_positions(scene.step().layout(view.layer))};
  draw_controls(scene, view, inside.has_errors());
  if (inside.positions.empty()) return muted("The cache keeps nothing in this layer.");
  if (inside.row(sides[0], inside.positions.back()).empty())
    return wrapped("Keys and values of this run were not recorded.");
  if (!scene.timeline.about().use_cache) muted("As first computed; without the cache every step computes them again.");

  const ImVec2 at = ImGui::GetCursorScreenPos(), room = ImGui::GetContentRegionAvail();
  const float line = em() * 0.8f, spacing = ImGui::GetStyle().ItemSpacing.y, all_codes = 8 * (line + between_codes());
  const bool with_codes = inside.has_codes() && room.y - all_codes - spacing > em() * 9;
  const float lines = with_codes ? all_codes + spacing : 2 * (line + spacing);
  const bool has_lines = room.y - lines > em() * 5;
  draw_maps(inside, at, {room.x, std::max(em() * 2, room.y - (has_lines ? lines : 0))});
  if (!has_lines) return;
  ImGui::SetCursorScreenPos({at.x, at.y + room.y - lines + ImGui::GetStyle().ItemSpacing.y * 0.5f});
  draw_row_in_numbers(inside, with_codes);
}

}  // namespace kvcache::visualizer
