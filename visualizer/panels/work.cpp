// What one step computes with the cache and without it, side by side: for each token a query, a key and a value.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "common/readable.hpp"
#include "panels.hpp"
#include "panels/time_ratio.hpp"
#include "theme.hpp"
#include "token_name.hpp"
#include "widgets.hpp"

namespace kvcache::visualizer {
namespace {

// ---- What is to be shown.

/// One step, done one way.
struct Side {
  bool with_cache = false;
  bool is_run = false;  // the run that all panels show; else the library's comparison with it
  bool is_known = false;
  Work work;
  int queries = 0, computed = 0;  // tokens: the work's vectors of one head in one layer
  bool reuses = false;            // any key
};

Side side_of(const Scene& scene, bool with_cache) {
  Side side;
  side.with_cache = with_cache;
  side.is_run = scene.timeline.about().use_cache == with_cache;
  side.is_known = side.is_run || scene.is_compared();
  if (!side.is_known) return side;
  side.work = side.is_run ? scene.step().work : scene.comparison.runs(with_cache, scene.step_index)[0];
  const std::int64_t q_heads = std::int64_t(scene.config().layers) * scene.config().q_heads,
                     kv_heads = std::int64_t(scene.config().layers) * scene.config().kv_heads;
  side.queries = int(side.work.queries_computed / q_heads);
  side.computed = int(side.work.keys_computed / kv_heads);
  side.reuses = side.work.keys_reused > 0;
  return side;
}

enum class Cell { computed, reused, forgotten, not_needed };
enum Column { query, key, value };

Cell cell_of(const Scene& scene, const Side& side, Column column, int layer, int position) {
  const int computed = column == query ? side.queries : side.computed;
  if (position >= scene.length() - computed) return Cell::computed;
  if (column == query) return Cell::not_needed;
  if (!side.reuses) return Cell::not_needed;
  // The comparison reads the same text with the same policy, so what a layer holds of it is the same.
  return scene.step().layout(layer).slot_of(position) < 0 ? Cell::forgotten : Cell::reused;
}

const char* in_words(Cell cell) {
  constexpr const char* words[] = {"computed", "reused", "forgotten", "not needed"};
  return words[int(cell)];
}

/// Positions that follow each other and look alike.
struct Run {
  int first = 0, count = 0;
  Cell cell = Cell::computed;
  bool prompt = false;
};

std::vector<Run> runs_of(const Scene& scene, const Side& side, Column column, int layer) {
  std::vector<Run> runs;
  for (int p = 0; p < scene.length(); ++p) {
    const Cell cell = cell_of(scene, side, column, layer, p);
    const bool prompt = cell == Cell::reused && scene.is_prompt(p);  // others look alike, of the prompt or not
    if (!runs.empty() && runs.back().cell == cell && runs.back().prompt == prompt)
      ++runs.back().count;
    else
      runs.push_back({p, 1, cell, prompt});
  }
  return runs;
}

// ---- Cells. None is told by hue alone: what is computed is bright, with a dot; what is reused is hatched; what is not
// needed is hollow; what the cache has forgotten is hollow and crossed out.

/// Diagonal lines within a rectangle, in one grid over the whole window.
void draw_hatch(ImVec2 a, ImVec2 b, float spacing, ImU32 colour) {
  for (float sum = std::ceil((a.x + a.y) / spacing) * spacing; sum < b.x + b.y; sum += spacing) {
    const float left = std::max(a.x, sum - b.y), right = std::min(b.x, sum - a.y);
    if (left < right) ImGui::GetWindowDrawList()->AddLine({left, sum - left}, {right, sum - right}, colour, 1);
  }
}

void draw_cell(Cell cell, bool prompt, ImVec2 a, ImVec2 b) {
  const Theme& t = theme();
  ImDrawList* draw = ImGui::GetWindowDrawList();
  if (cell == Cell::not_needed) return draw->AddRect(a, b, faded(t.muted, 0.45f));
  if (cell == Cell::forgotten) {
    draw->AddRect(a, b, faded(t.moved, 0.7f));
    return draw->AddLine({a.x + em() * 0.2f, (a.y + b.y) / 2}, {b.x - em() * 0.2f, (a.y + b.y) / 2},
                         faded(t.moved, 0.7f));
  }
  const ImU32 colour = cell == Cell::computed ? t.newest : prompt ? t.prompt : t.decoded;
  draw->AddRectFilled(a, b, cell == Cell::computed ? colour : faded(colour, 0.6f));
  if (cell == Cell::reused) draw_hatch(a, b, em() * 0.4f, faded(t.panel, 0.85f));
}

/// The size in which the states fit into cells as words; 0: they do not.
float word_size(float width, float height) {
  const float size = std::min({height * 0.55f, em() * 1.1f, std::max(em() * 0.7f, width / 6.2f)});
  if (size < em() * 0.68f) return 0;
  const float widest = fonts().sans->CalcTextSizeA(size, FLT_MAX, 0, in_words(Cell::not_needed)).x;
  return widest + size * 0.4f < width ? size : 0;
}

/// The state in words, in letters of that size; if it is 0, a dot on what is computed.
void label_cell(Cell cell, ImVec2 a, ImVec2 b, float size) {
  const ImVec2 middle{(a.x + b.x) / 2, (a.y + b.y) / 2};
  ImDrawList* draw = ImGui::GetWindowDrawList();
  if (size > 0) {
    const ImVec2 text = fonts().sans->CalcTextSizeA(size, FLT_MAX, 0, in_words(cell));
    const ImVec2 at{middle.x - text.x / 2, middle.y - text.y / 2}, pad{size * 0.3f, size * 0.05f};
    if (cell == Cell::reused || cell == Cell::forgotten)
      draw->AddRectFilled({at.x - pad.x, at.y - pad.y}, {at.x + text.x + pad.x, at.y + text.y + pad.y}, theme().panel,
                          em() * 0.15f);
    const ImU32 ink = cell == Cell::computed ? theme().on_newest : cell == Cell::reused ? theme().text : theme().muted;
    draw->AddText(fonts().sans, size, at, ink, in_words(cell));
  } else if (cell == Cell::computed && b.y - a.y > em() * 0.4f) {
    draw->AddCircleFilled(middle, std::min((b.y - a.y) * 0.2f, em() * 0.22f), theme().on_newest);
  }
}

/// Nothing, if it does not fit before `right`.
void legend_cell(const char* name, Cell cell, float right) {
  const ImVec2 at = ImGui::GetCursorScreenPos(), a{at.x, at.y + em() * 0.1f}, b{a.x + em() * 1.3f, a.y + em() * 0.9f};
  if (b.x + em() * 0.8f + ImGui::CalcTextSize(name).x > right) return;
  draw_cell(cell, true, a, b);
  label_cell(cell, a, b, 0);
  ImGui::SetCursorScreenPos({b.x + em() * 0.4f, at.y});
  muted(name);
  ImGui::SameLine(0, em());
}

// ---- The two grids. They stand on the same rows, so that one looks across.

struct Grid {
  ImVec2 at, size;   // of the cells, below title and headers
  float row = 0;     // height of a position
  float cell = 0;    // width of a column
  float labels = 0;  // width of what stands at the left of the first grid
};

float row_y(const Grid& grid, int position) { return std::floor(grid.at.y + grid.row * float(position)); }

void draw_column(const Scene& scene, const Side& side, const Grid& grid, Column column, int layer) {
  const float left = std::floor(grid.at.x + grid.cell * float(column)), right = left + std::floor(grid.cell) - 2;
  const float words = word_size(grid.cell - 2, grid.row - 2);
  for (const Run& run : runs_of(scene, side, column, layer)) {
    if (grid.row < em() * 0.4f) {  // too many to tell apart: a run is one rectangle, never too thin to be seen
      const float end = row_y(grid, run.first + run.count),
                  most = run.cell == Cell::computed ? end - em() * 0.15f : end;
      draw_cell(run.cell, run.prompt, {left, std::min(row_y(grid, run.first), most)}, {right, end});
      continue;
    }
    for (int p = run.first; p < run.first + run.count; ++p) {
      const ImVec2 a{left, row_y(grid, p)}, b{right, row_y(grid, p + 1) - (grid.row > em() ? 2.f : 1.f)};
      draw_cell(run.cell, run.prompt, a, b);
      label_cell(run.cell, a, b, words);
    }
  }
}

/// Where layers differ, the title says which one is drawn.
void draw_headers(const Scene& scene, const View& view, const Side& side, const Grid& grid) {
  ImDrawList* draw = ImGui::GetWindowDrawList();
  const float header = em() * 0.95f, header_y = grid.at.y - header * 1.25f;
  const bool words = grid.cell > em() * 4.6f;
  const char* names[2][3] = {{"Q", "K", "V"}, {"Q: query", "K: key", "V: value"}};
  for (int c = 0; c < 3; ++c) {
    const char* label = names[words][c];
    const float width = fonts().bold->CalcTextSizeA(header, FLT_MAX, 0, label).x;
    draw->AddText(fonts().bold, header, {grid.at.x + grid.cell * (float(c) + 0.5f) - width / 2, header_y}, theme().text,
                  label);
  }
  std::string title = side.with_cache ? "with the cache" : "without";
  if (side.is_run) title += scene.layers_are_alike() ? " · this run" : fmt::format(" · layer {}", view.layer);
  // It may reach over the row labels at its left, or into the gap at its right.
  const float wide = fonts().bold->CalcTextSizeA(em(), FLT_MAX, 0, title.c_str()).x;
  const float room = grid.size.x + (grid.labels > 0 ? grid.labels : em());
  const float size = em() * std::min(1.f, room / wide), over = std::max(0.f, wide * size / em() - grid.size.x);
  draw->AddText(fonts().bold, size, {grid.at.x - (grid.labels > 0 ? over : 0), header_y - em() * 1.25f},
                side.with_cache ? theme().with_cache : theme().without_cache, title.c_str());
}

void explain_row(const Scene& scene, const Side& side, int layer, int position) {
  if (!ImGui::BeginItemTooltip()) return;
  ImGui::TextUnformatted(("position " + named_position(scene.timeline, position)).c_str());
  const char* names[] = {"query", "key", "value"};
  for (const Column column : {query, key, value})
    if (side.is_known)
      muted(fmt::format("{}: {}", names[column], in_words(cell_of(scene, side, column, layer, position))));
  ImGui::EndTooltip();
}

/// Hovering looks at a token, a click selects it.
void watch_rows(const Scene& scene, View& view, const Side& side, const Grid& grid) {
  const char* id = side.with_cache ? "work-with" : "work-without";
  ImGui::SetCursorScreenPos({grid.at.x - grid.labels, grid.at.y});
  ImGui::InvisibleButton(id, {grid.size.x + grid.labels, std::max(1.f, grid.row * float(scene.length()))});
  mark(view, id);
  if (!ImGui::IsItemHovered()) return;
  const int position = std::clamp(int((ImGui::GetMousePos().y - grid.at.y) / grid.row), 0, scene.length() - 1);
  view.hovered_position = position;
  if (ImGui::IsItemClicked()) view.selected_position = view.selected_position == position ? -1 : position;
  explain_row(scene, side, view.layer, position);
}

void draw_grid(const Scene& scene, View& view, const Side& side, const Grid& grid) {
  draw_headers(scene, view, side, grid);
  ImDrawList* draw = ImGui::GetWindowDrawList();
  if (side.is_known) {
    for (const Column column : {query, key, value}) draw_column(scene, side, grid, column, view.layer);
  } else {
    const ImVec2 b{grid.at.x + grid.size.x, row_y(grid, scene.length())};
    draw->AddRect(grid.at, b, faded(theme().muted, 0.45f));
    draw->AddText(fonts().sans, em() * 0.9f, {grid.at.x + em() * 0.5f, (grid.at.y + b.y - em()) / 2}, theme().muted,
                  why_not_compared(scene).brief.c_str());
  }
  for (const int position : {view.selected_position, view.highlighted_position})
    if (position >= 0 && position < scene.length())
      draw->AddRect({grid.at.x - 2, row_y(grid, position) - 2},
                    {grid.at.x + grid.size.x, row_y(grid, position + 1) + 1}, theme().accent, 2, 0, em() * 0.12f);
  watch_rows(scene, view, side, grid);
}

/// Every, every second, every fifth ... position gets its number, as the rows leave room.
int label_every(float row) {
  const float wanted = em() * 1.1f / row;
  for (int decade = 1;; decade *= 10)
    for (const int step : {1, 2, 5})
      if (float(step * decade) >= wanted) return step * decade;
}

bool has_names(float row) { return row >= em() * 0.95f; }
float label_size(float row) {
  return has_names(row) ? std::clamp(row * 0.6f, em() * 0.82f, em() * 1.5f) : em() * 0.78f;
}
float number_width(const Scene& scene, float row) { return label_size(row) * (scene.length() >= 1000 ? 2.7f : 1.6f); }

/// What the numbers and names of the rows need. Names are drawn, and measured, only where they are few.
float labels_width(const Scene& scene, float row) {
  if (!has_names(row)) return number_width(scene, row) + em() * 0.5f;
  const float size = label_size(row);
  float names = 0;
  for (int p = 0; p < scene.length(); ++p) {
    const std::string name = token_name(scene.timeline, scene.timeline.text()[std::size_t(p)]);
    names = std::max(names, fonts().mono->CalcTextSizeA(size, FLT_MAX, 0, name.c_str()).x);
  }
  return number_width(scene, row) + size * 0.5f + std::min(names, 7 * size) + em() * 0.5f;
}

void draw_row_labels(const Scene& scene, const View& view, const Grid& grid) {
  ImDrawList* draw = ImGui::GetWindowDrawList();
  const float size = label_size(grid.row), numbers = number_width(scene, grid.row);
  const float right = grid.at.x - em() * 0.5f, left = grid.at.x - grid.labels;
  const int every = label_every(grid.row), newest = scene.newest_position();
  for (int p = 0; p < scene.length(); ++p) {
    const bool is_newest = p == newest;
    const bool crowded = !is_newest && float(newest - p) * grid.row < em() * 1.1f;
    if ((!is_newest && p % every != 0) || crowded) continue;
    const std::string number = std::to_string(p);
    const float y = row_y(grid, p) + (grid.row - size) / 2,
                width = fonts().sans->CalcTextSizeA(size, FLT_MAX, 0, number.c_str()).x;
    const float end = has_names(grid.row) ? left + numbers : right;
    draw->AddText(fonts().sans, size, {end - width, y}, is_newest ? theme().text : theme().muted, number.c_str());
    if (!has_names(grid.row)) continue;
    const ImVec4 clip{end, y - size, right, y + 2 * size};
    const bool bright = is_newest || p == view.selected_position || p == view.highlighted_position;
    draw->AddText(fonts().mono, size, {end + size * 0.5f, y}, bright ? theme().text : theme().muted,
                  token_name(scene.timeline, scene.timeline.text()[std::size_t(p)]).c_str(), nullptr, 0, &clip);
  }
}

// ---- The table.

struct Line {
  int importance = 0;  // 0 is always shown; what has a higher number is left out first
  std::string label;
  std::array<std::string, 3> cells;  // with, without, ratio
};

std::string ratio_of(double with, double without) {
  if (!(with > 0) || !(without > 0)) return "";
  const double ratio = without / with;
  return fmt::format("{:.{}f}×", ratio, ratio < 9.95 ? 2 : ratio < 99.5 ? 1 : 0);
}

Line count_line(int importance, std::string label, const Side& with, const Side& without, auto&& number) {
  const std::int64_t a = with.is_known ? number(with.work) : 0, b = without.is_known ? number(without.work) : 0;
  return {importance,
          std::move(label),
          {with.is_known ? with_commas(a) : "...", without.is_known ? with_commas(b) : "...",
           ratio_of(double(a), double(b))}};
}

/// In all, and in each head and layer; where these differ, there is no such number.
void add_vectors(std::vector<Line>& lines, const std::string& label, const Side& with, const Side& without,
                 std::int64_t heads, bool are_alike, auto&& number) {
  lines.push_back(count_line(0, label, with, without, number));
  for (const Side* side : {&with, &without})
    are_alike = are_alike && (!side->is_known || number(side->work) % heads == 0);
  if (are_alike)
    lines.push_back(
        count_line(2, "   in each head and layer", with, without, [&](const Work& w) { return number(w) / heads; }));
}

Line time_line(const Scene& scene) {
  if (!scene.is_compared()) return {0, "time of the step", {"...", why_not_compared(scene).brief, ""}};
  const double with = 1e3 * scene.comparison.seconds(true, scene.step_index),
               without = 1e3 * scene.comparison.seconds(false, scene.step_index);
  const std::size_t repeats = scene.comparison.runs(true, scene.step_index).size();
  const auto milliseconds = [](double ms) { return fmt::format("{:.{}f} ms", ms, std::min(3, decimals_for(ms))); };
  return {0,
          repeats > 1 ? fmt::format("time, median of {}", repeats) : "time, measured once",
          {milliseconds(with), milliseconds(without),
           scene.comparison.repeats_agree() ? ratio_of(with, without) : "?"}};  // why: the panel of times says it
}

std::vector<Line> lines_of(const Scene& scene, const Side& with, const Side& without) {
  const std::int64_t q_heads = std::int64_t(scene.config().layers) * scene.config().q_heads,
                     kv_heads = std::int64_t(scene.config().layers) * scene.config().kv_heads;
  std::vector<Line> lines{{0, "", {"with", "without", "ratio"}}};
  add_vectors(lines, "queries computed", with, without, q_heads, true,
              [](const Work& w) { return w.queries_computed; });
  add_vectors(lines, "keys computed", with, without, kv_heads, true, [](const Work& w) { return w.keys_computed; });
  add_vectors(lines, "keys reused", with, without, kv_heads, scene.layers_are_alike(),
              [](const Work& w) { return w.keys_reused; });
  lines.push_back(
      count_line(0, "multiplications", with, without, [](const Work& w) { return w.total_multiplications(); }));
  for (const Part part : {Part::projection, Part::attention, Part::feed_forward, Part::output_layer})
    lines.push_back(count_line(1, std::string("   ") + name(part), with, without,
                               [&](const Work& w) { return w.multiplications[std::size_t(part)]; }));
  lines.push_back(time_line(scene));
  return lines;
}

struct Table {
  std::vector<Line> lines;
  float size = 0;                  // of the font
  std::array<float, 4> columns{};  // widths
  float width() const { return columns[0] + columns[1] + columns[2] + columns[3] + 3 * gap(); }
  float gap() const { return size * 0.9f; }
  float row_height = 0;
  float row() const { return row_height; }
  float height() const { return row() * float(lines.size()); }
};

Table measured(std::vector<Line> lines, float size) {
  Table table{std::move(lines), size, {}, size * 1.17f};
  const auto widen = [&](float& column, const std::string& text) {
    column = std::max(column, fonts().sans->CalcTextSizeA(size, FLT_MAX, 0, text.c_str()).x);
  };
  for (const Line& line : table.lines) {
    widen(table.columns[0], line.label);
    for (std::size_t c = 0; c < 3; ++c) widen(table.columns[c + 1], line.cells[c]);
  }
  return table;
}

/// As many lines as fit, and as large as they fit; the least important are left out first.
Table fitting_table(const std::vector<Line>& all, float width, float height) {
  for (const int importance : {2, 1, 0}) {
    std::vector<Line> lines;
    std::copy_if(all.begin(), all.end(), std::back_inserter(lines),
                 [&](const Line& line) { return line.importance <= importance; });
    for (const float size : {1.9f, 1.6f, 1.4f, 1.2f, 1.1f, 1.f, 0.92f, 0.86f, 0.8f, 0.76f, 0.7f, 0.62f, 0.55f}) {
      if (importance == 2 && size < 1) break;
      if (importance == 1 && size < 0.76f) break;
      Table table = measured(lines, em() * size);
      if ((table.width() <= width && table.height() <= height) || (importance == 0 && size < 0.56f)) return table;
    }
  }
  return {};
}

void draw_table(const Table& table, View& view, ImVec2 at) {
  ImDrawList* draw = ImGui::GetWindowDrawList();
  const Theme& t = theme();
  ImGui::SetCursorScreenPos(at);
  ImGui::InvisibleButton("work-table", {table.width(), table.height()});
  mark(view, "work-table");
  ImGui::SetItemTooltip(
      "Totals over all layers and heads; as many values as keys.\n"
      "ratio: what the step takes without the cache, divided by what it takes with it.");
  for (std::size_t l = 0; l < table.lines.size(); ++l) {
    const Line& line = table.lines[l];
    const float y = at.y + table.row() * float(l);
    const bool is_title = l == 0, is_detail = line.importance > 0;
    if (l % 2 == 1)
      draw->AddRectFilled({at.x - table.size * 0.3f, y}, {at.x + table.width() + table.size * 0.3f, y + table.row()},
                          faded(t.raised, 0.55f));
    const float text_y = y + (table.row() - table.size) / 2;
    draw->AddText(fonts().sans, table.size, {at.x, text_y}, is_detail ? t.muted : t.text, line.label.c_str());
    float right = at.x + table.columns[0];
    for (std::size_t c = 0; c < 3; ++c) {
      right += table.gap() + table.columns[c + 1];
      const ImU32 title = c == 0 ? t.with_cache : c == 1 ? t.without_cache : t.muted;
      const float width = fonts().sans->CalcTextSizeA(table.size, FLT_MAX, 0, line.cells[c].c_str()).x;
      draw->AddText(fonts().sans, table.size, {right - width, text_y},
                    is_title    ? title
                    : is_detail ? t.muted
                                : t.text,
                    line.cells[c].c_str());
    }
  }
}

// ---- The panel.

void draw_legend_and_badge(const Scene& scene, const View& view) {
  const float right = ImGui::GetCursorScreenPos().x + ImGui::GetContentRegionAvail().x,
              y = ImGui::GetCursorScreenPos().y;
  const float end = right - badge_width();
  legend_cell("computed now", Cell::computed, end);
  legend_cell("reused from the cache", Cell::reused, end);
  legend_cell("not needed", Cell::not_needed, end);
  if (scene.step().layout(view.layer).rows() < scene.length()) legend_cell("forgotten", Cell::forgotten, end);
  ImGui::SetCursorScreenPos({end, y});
  badge(Source::measured, "Counted and timed by the library.");
}

std::string hint_of(const Scene& scene, const Side& with) {
  if (scene.step_index == 0 && with.is_known && !with.reuses)
    return "The prompt is read in one pass either way: nothing to reuse yet.";
  if (scene.is_compared() &&
      scene.comparison.seconds(false, scene.step_index) <= scene.comparison.seconds(true, scene.step_index))
    return "In this step the cache saved no time.";
  return "";
}

/// The two grids in a width; returns how much of it they took.
float draw_grids(const Scene& scene, View& view, const Side& with, const Side& without, ImVec2 at, ImVec2 size) {
  const float headers = em() * 2.5f, gap = em() * 1.2f;
  Grid grid;
  grid.row = std::min((size.y - headers) / float(scene.length()), em() * 4.5f);
  const float labels = labels_width(scene, grid.row);
  grid.cell = std::clamp((size.x - labels - gap) / 6, em(), em() * 8);
  grid.labels = labels;
  grid.at = {std::floor(at.x + labels), std::floor(at.y + headers)};
  grid.size = {grid.cell * 3, grid.row * float(scene.length())};
  draw_row_labels(scene, view, grid);
  draw_grid(scene, view, with, grid);
  grid.at.x += std::floor(grid.size.x + gap);
  grid.labels = 0;
  draw_grid(scene, view, without, grid);
  return labels + 2 * grid.size.x + gap;
}

}  // namespace

void draw_work(const Scene& scene, View& view) {
  const Side with = side_of(scene, true), without = side_of(scene, false);
  const ImVec2 corner = ImGui::GetCursorScreenPos(), room = ImGui::GetContentRegionAvail();
  draw_legend_and_badge(scene, view);
  const ImVec2 at{corner.x, corner.y + em() * 1.35f};
  ImVec2 size{room.x, std::max(em() * 4, room.y - em() * 1.35f)};
  if (const std::string hint = hint_of(scene, with); !hint.empty()) {
    size.y -= em() * 1.2f;
    ImGui::GetWindowDrawList()->AddText(fonts().sans, em() * 0.9f, {at.x, at.y + size.y + em() * 0.2f}, theme().muted,
                                        hint.c_str());
  }
  Table table = fitting_table(lines_of(scene, with, without), size.x * 0.48f, size.y);
  table.row_height = std::clamp(size.y / float(table.lines.size()), table.row_height, table.size * 1.6f);
  const float grids = draw_grids(scene, view, with, without, at, {size.x - table.width() - em() * 2, size.y});
  draw_table(table, view, {at.x + grids + em() * 2, at.y});
  ImGui::SetCursorScreenPos(corner);
  ImGui::Dummy({1, 1});
}

}  // namespace kvcache::visualizer
