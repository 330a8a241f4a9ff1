// Which query looked at which key, and how much: the causal matrix of one head, and one query in all heads.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "panels.hpp"
#include "panels/heat.hpp"
#include "panels/token_name.hpp"
#include "theme.hpp"
#include "widgets.hpp"

namespace kvcache::visualizer {
namespace {

constexpr float not_kept = AttentionWeights::not_kept;
constexpr float masked = -2, not_recorded = -3;

/// Weights of one head: for each query, those of the keys up to itself.
using Rows = std::vector<std::span<const float>>;

Rows rows_of(const Scene& scene, int layer, int q_head) {
  Rows rows;
  for (int query = 0; query < scene.length(); ++query) rows.push_back(scene.timeline.attention(layer, q_head, query));
  return rows;
}

ImU32 colour_of(float weight, float brightest) {
  if (weight == masked) return 0;
  if (weight == not_recorded) return theme().panel;
  if (weight == not_kept) return theme().reserved;
  return viridis(weight / brightest);
}

/// The weight from which on all are equally bright: larger than 98 % of those that are not given to the first token.
/// That one often gets most of the attention, and the rest could not be told apart. Of many weights, some are looked
/// at.
float brightest_weight(const Rows& rows) {
  constexpr std::size_t most_looked_at = 20'000;
  const std::size_t stride = 1 + rows.size() * rows.size() / 2 / most_looked_at;
  std::vector<float> weights;
  std::size_t next = 0;  // place of the next one in its row, from column 1 on
  for (const auto& row : rows) {
    const std::size_t count = row.empty() ? 0 : row.size() - 1;
    for (; next < count; next += stride)
      if (row[1 + next] >= 0) weights.push_back(row[1 + next]);
    next -= count;
  }
  if (weights.empty()) return 1;
  const auto robust = weights.begin() + std::ptrdiff_t(double(weights.size() - 1) * 0.98);
  std::nth_element(weights.begin(), robust, weights.end());
  return std::max(*robust, 1e-6f);
}

/// How many steps of a layer are recorded: more may arrive at any time.
int recorded_steps(const Scene& scene, int layer) {
  int count = 0;
  for (int step = 0; step <= scene.step_index; ++step) count += scene.timeline.trace(layer, step) != nullptr;
  return count;
}

void draw_controls(const Scene& scene, View& view) {
  const ModelConfig& c = scene.config();
  int_slider(view, "attention-layer", "Layer", view.layer, 0, c.layers - 1, slider_width());
  ImGui::SameLine(0, em() * 0.8f);
  if (int_slider(view, "attention-head", "Q head", view.q_head, 0, c.q_heads - 1, slider_width()))
    view.kv_head = view.q_head / (c.q_heads / c.kv_heads);
  badge_at_end(Source::measured, "The weights that attention used, through the library's hook.");
}

/// One weight in words, where the mouse is.
void show_tooltip(const Scene& scene, int head, int query, int key, float weight) {
  if (!ImGui::BeginTooltip()) return;
  ImGui::PushFont(fonts().mono, 0);
  ImGui::TextUnformatted((token_at(scene, query) + "  →  " + token_at(scene, key)).c_str());
  ImGui::PopFont();
  if (weight == masked)
    ImGui::TextUnformatted("masked: a query cannot see later tokens");
  else if (weight == not_kept)
    ImGui::TextUnformatted("forgotten: the cache did not hold this key any more");
  else if (weight == not_recorded)
    ImGui::TextUnformatted("not recorded yet");
  else
    ImGui::Text("weight %.4f", double(weight));
  muted(fmt::format("query at position {}, key at position {}, query head {}", query, key, head));
  ImGui::EndTooltip();
}

void point_at_key(View& view, int key) {
  view.hovered_position = key;
  if (ImGui::IsItemClicked()) view.selected_position = key;
}

struct Matrix {
  const Scene& scene;
  View& view;
  ImVec2 at;
  Lane down, across;  // queries, keys
};

void draw_cells(const Matrix& m) {
  const std::uint64_t key = key_of(m.view.run_shown, m.scene.step_index, m.view.layer, m.view.q_head,
                                   recorded_steps(m.scene, m.view.layer), ImGui::GetID("cells"));
  ImGui::GetWindowDrawList()->AddRectFilled(m.at, {m.at.x + m.across.pixels, m.at.y + m.down.pixels}, theme().ground);
  m.view.pictures["attention-matrix"].draw(
      m.at, {m.across.pixels, m.down.pixels}, key, [&](std::span<ImU32> pixels, int, int) {
        const Rows rows = rows_of(m.scene, m.view.layer, m.view.q_head);
        const float brightest = brightest_weight(rows);
        remember("brightest", brightest);
        const std::vector<float> unrecorded(rows.size(), not_recorded);
        const auto row = [&](int query) {
          const std::span<const float> weights = rows[std::size_t(query)];
          return weights.empty() ? std::span(unrecorded).first(std::size_t(query) + 1) : weights;
        };
        paint_cells(pixels, m.down, m.across, row, masked, [&](float weight) { return colour_of(weight, brightest); });
      });
}

/// What the empty half is, where it is large enough for the words.
void label_masked_half(const Matrix& m) {
  for (const char* words : {"masked: later tokens", "masked"}) {
    const float width = small_width(words) + em() * 0.6f, y = em() * 0.4f;
    const int last_row = m.down.index_at(y + small_em() * 1.2f);
    if (m.across.edge(last_row + 1) > m.across.pixels - width) continue;
    return small_text({m.at.x + m.across.pixels - em() * 0.3f, m.at.y + y}, words, theme().muted, Align::right);
  }
}

void draw_query_numbers(const Matrix& m) {
  const int step = label_step(m.down.cell(), small_em() * 1.3f);
  for (int query = 0; query < m.down.count; query += step) {
    const float middle = (m.down.edge(query) + m.down.edge(query + 1)) / 2;
    small_text({m.at.x - em() * 0.4f, m.at.y + middle - small_em() * 0.55f}, fmt::format("{}", query), theme().muted,
               Align::right);
  }
}

void outline_rows_and_columns(const Matrix& m) {
  const int newest = m.scene.newest_position(), count = m.across.count;
  const auto column = [&](int key, ImU32 colour) {
    if (key >= 0 && key < count) outline_cells(m.at, m.down, m.across, {key, count}, {key, key + 1}, colour);
  };
  column(m.view.highlighted_position, faded(theme().text, 0.6f));
  column(m.view.selected_position, theme().accent);
  outline_cells(m.at, m.down, m.across, {newest, count}, {0, count}, theme().newest, 2);
  if (const int query = m.view.selected_position; query >= 0 && query < count)
    outline_cells(m.at, m.down, m.across, {query, query + 1}, {0, query + 1}, theme().accent);
}

void hover_matrix(const Matrix& m) {
  if (!ImGui::IsItemHovered()) return;
  const ImVec2 mouse = ImGui::GetIO().MousePos;
  const Lane::Range queries = m.down.at_pixel(int(mouse.y - m.at.y)), keys = m.across.at_pixel(int(mouse.x - m.at.x));
  int query = queries.begin, key = keys.begin;
  float weight = not_recorded - 1;
  for (int q = queries.begin; q < queries.end; ++q) {  // of the weights in this pixel, the one that is seen
    const std::span<const float> row = m.scene.timeline.attention(m.view.layer, m.view.q_head, q);
    for (int k = keys.begin; k < keys.end; ++k)
      if (const float w = k > q ? masked : row.empty() ? not_recorded : row[std::size_t(k)]; w > weight)
        weight = w, query = q, key = k;
  }
  point_at_key(m.view, key);
  show_tooltip(m.scene, m.view.q_head, query, key, weight);
}

/// What the colours mean, above the matrix.
void draw_scale(ImVec2 at, float width, bool is_reduced) {
  const std::string brightest = short_number(remembered("brightest"));
  const ColourScale full{"weight 0", brightest + " and more", viridis}, brief{"0", brightest + "+", viridis};
  const ColourScale reduced{"weight 0", full.most + "; in each pixel the largest", viridis};
  (is_reduced && reduced.width() <= width ? reduced : full.width() <= width ? full : brief).draw(at);
}

/// The matrix with its axes and its scale, in a rectangle.
void draw_matrix(const Scene& scene, View& view, ImVec2 at, ImVec2 size) {
  const int count = scene.length();
  const float left = small_width(fmt::format("{}", count)) + em() * 0.9f, top = em() * 1.3f, bottom = small_em() * 1.4f;
  const ImVec2 inner{std::floor(size.x - left), std::floor(size.y - top - bottom)};
  if (inner.x < em() || inner.y < em()) return;
  const Lane across{inner.x, float(count), 0, count}, down{inner.y, float(count), 0, count};
  const Matrix m{scene, view, {std::round(at.x + left), std::round(at.y + top)}, down, across};
  ImGui::SetCursorScreenPos(m.at);
  ImGui::InvisibleButton("attention-matrix", inner);
  mark(view, "attention-matrix");
  hover_matrix(m);
  draw_cells(m);
  label_masked_half(m);
  draw_query_numbers(m);
  numbers_below({m.at.x, m.at.y + inner.y + 2}, across);
  outline_rows_and_columns(m);
  draw_scale({m.at.x, at.y}, inner.x, across.cell() < 1 || down.cell() < 1);
}

/// The weights of one query, as bars over the keys; a row for each query head that finds room.
struct Bars {
  const Scene& scene;
  View& view;
  int query;
  int first_head, heads;  // those shown
  ImVec2 at;
  Lane down, across;  // heads, keys
  bool has_words;     // in the labels of the heads

  std::span<const float> weights(int row) const {
    return scene.timeline.attention(view.layer, first_head + row, query);
  }
};

float tallest_of(const Bars& bars) {
  float tallest = 1e-6f;
  for (int row = 0; row < bars.heads; ++row)
    for (const float weight : bars.weights(row)) tallest = std::max(tallest, weight);
  return tallest;
}

/// One row of pixels at a time: a bar is there if it is higher than the row.
void paint_bars(const Bars& bars, int row, float tallest, std::span<ImU32> pixels, int width) {
  const std::span<const float> weights = bars.weights(row);
  if (weights.empty()) return;
  const bool is_chosen = bars.first_head + row == bars.view.q_head;
  const ImU32 ink = is_chosen ? theme().accent : faded(theme().muted, 0.75f);
  const int top = int(bars.down.edge(row)) + 2, bottom = int(bars.down.edge(row + 1)) - 2;
  for (int x = 0; x < width; ++x) {
    if (bars.across.is_gap(x)) continue;
    const Lane::Range keys = bars.across.at_pixel(x);
    float weight = not_kept;
    for (int key = keys.begin; key < std::min(keys.end, int(weights.size())); ++key)
      weight = std::max(weight, weights[std::size_t(key)]);
    const int high = weight < 0 ? 2 : std::max(1, int(std::lround(weight / tallest * float(bottom - top))));
    const ImU32 colour = keys.begin >= int(weights.size()) ? 0 : weight < 0 ? theme().reserved : ink;
    for (int y = std::max(top, bottom - high); y < bottom; ++y) pixels[std::size_t(y * width + x)] = colour;
  }
}

void draw_bar_cells(const Bars& bars) {
  const ImVec2 size{bars.across.pixels, bars.down.pixels};
  ImDrawList* draw = ImGui::GetWindowDrawList();
  for (int row = 0; row < bars.heads; ++row)
    draw->AddRectFilled({bars.at.x, bars.at.y + bars.down.edge(row)},
                        {bars.at.x + size.x, bars.at.y + bars.down.edge(row + 1) - 2}, theme().ground);
  const View& view = bars.view;
  const std::uint64_t key = key_of(
      view.run_shown, bars.query, view.layer, view.q_head, bars.first_head, bars.heads, bars.across.count,
      ImGui::GetID("bars"), bars.scene.timeline.trace(view.layer, bars.scene.timeline.step_of(bars.query)) != nullptr);
  bars.view.pictures["attention-bars"].draw(bars.at, size, key, [&](std::span<ImU32> pixels, int width, int) {
    const float tallest = tallest_of(bars);
    remember("tallest", tallest);
    for (int row = 0; row < bars.heads; ++row) paint_bars(bars, row, tallest, pixels, width);
  });
}

void label_heads(const Bars& bars) {
  const int step = label_step(bars.down.cell(), small_em() * 1.05f);
  for (int row = 0; row < bars.heads; ++row) {
    const int head = bars.first_head + row;
    const bool is_chosen = head == bars.view.q_head;
    if (row % step != 0 && !is_chosen) continue;
    const float middle = (bars.down.edge(row) + bars.down.edge(row + 1)) / 2;
    small_text({bars.at.x - em() * 0.4f, bars.at.y + middle - small_em() * 0.55f},
               fmt::format("{}{}", bars.has_words ? "head " : "", head), is_chosen ? theme().accent : theme().muted,
               Align::right);
  }
}

void outline_key(const Bars& bars, int key, ImU32 colour) {
  if (key >= 0 && key < bars.across.count)
    outline_cells(bars.at, bars.down, bars.across, {0, bars.heads}, {key, key + 1}, colour);
}

void hover_bars(const Bars& bars) {
  if (!ImGui::IsItemHovered()) return;
  const ImVec2 mouse = ImGui::GetIO().MousePos;
  const int row = bars.down.index_at(mouse.y - bars.at.y), head = bars.first_head + row;
  const Lane::Range keys = bars.across.at_pixel(int(mouse.x - bars.at.x));
  const std::span<const float> weights = bars.weights(row);
  int key = keys.begin;
  for (int k = keys.begin; k < std::min(keys.end, int(weights.size())); ++k)
    if (weights[std::size_t(k)] > weights[std::size_t(key)]) key = k;
  const float weight = key > bars.query ? masked : weights.empty() ? not_recorded : weights[std::size_t(key)];
  point_at_key(bars.view, key);
  show_tooltip(bars.scene, head, bars.query, key, weight);
}

/// Whose weights these are, as long as there is room for it.
void draw_bars_title(const Bars& bars, ImVec2 at, float width) {
  const bool is_newest = bars.query == bars.scene.newest_position();
  const std::string tallest = short_number(remembered("tallest"));
  const std::string who = fmt::format("{} query {}", is_newest ? "newest" : "selected", bars.query);
  const std::string named =
      who + " " + quoted_token(bars.scene.timeline, bars.scene.timeline.text()[std::size_t(bars.query)]);
  for (const std::string& text :
       {named + ": its weights in each head; the tallest bar is " + tallest, named + "; tallest bar " + tallest,
        named + ", by head", who + ", by head", fmt::format("query {}, by head", bars.query), who})
    if (small_width(text) <= width) return small_text(at, text, theme().muted);
}

/// As many heads as find room, the chosen one among them.
void draw_bars(const Scene& scene, View& view, ImVec2 at, ImVec2 size) {
  const bool has_words = size.x > em() * 14;
  const float left = small_width(has_words ? "head 00" : "00") + em() * 0.5f, top = em() * 1.3f;
  const ImVec2 inner{std::floor(size.x - left), std::floor(size.y - top - small_em() * 1.4f)};
  if (inner.x < em() * 4 || inner.y < em() * 1.5f) return;
  const int all = scene.config().q_heads, heads = std::clamp(int(inner.y / (em() * 1.1f)), 1, all);
  const int query = view.selected_position >= 0 ? view.selected_position : scene.newest_position();
  const Bars bars{scene,
                  view,
                  query,
                  std::clamp(view.q_head - heads / 2, 0, all - heads),
                  heads,
                  {std::round(at.x + left), std::round(at.y + top)},
                  {inner.y, float(heads), 0, heads},
                  {inner.x, float(scene.length()), 0, scene.length()},
                  has_words};
  ImGui::SetCursorScreenPos(bars.at);
  ImGui::InvisibleButton("attention-bars", inner);
  mark(view, "attention-bars");
  hover_bars(bars);
  draw_bar_cells(bars);
  label_heads(bars);
  numbers_below({bars.at.x, bars.at.y + inner.y + 2}, bars.across);
  outline_key(bars, view.highlighted_position, faded(theme().text, 0.6f));
  outline_key(bars, view.selected_position, theme().accent);
  draw_bars_title(bars, {bars.at.x, at.y}, inner.x);
}

/// The matrix is square, as far as that leaves room for the bars: beside it, or below.
void draw_both(const Scene& scene, View& view, ImVec2 at, ImVec2 size) {
  const float gap = em() * 0.8f, least_bars = em() * 9;
  if (size.x - size.y >= least_bars || size.x > size.y * 1.35f) {
    const float matrix = std::min(size.y, size.x * 0.56f);
    draw_matrix(scene, view, at, {matrix, size.y});
    return draw_bars(scene, view, {at.x + matrix + gap, at.y}, {size.x - matrix - gap, size.y});
  }
  const float below = std::max(size.y - size.x, std::min(size.y * 0.35f, em() * 9));
  const bool has_bars = size.y - below > em() * 8;
  draw_matrix(scene, view, at, {size.x, has_bars ? size.y - below : size.y});
  if (has_bars) draw_bars(scene, view, {at.x, at.y + size.y - below}, {size.x, below});
}

}  // namespace

void draw_attention(const Scene& scene, View& view) {
  const PanelStyle style;
  draw_controls(scene, view);
  const std::string& device = scene.timeline.about().device;
  if (!device.empty())
    return wrapped(
        fmt::format("Attention weights stay on the {}: a kernel keeps each for an instant and writes none to "
                    "memory. What is shown of this run is what can be copied back: its cache.",
                    device)
            .c_str());
  if (scene.timeline.attention(view.layer, view.q_head, scene.newest_position()).empty())
    return wrapped(scene.can_record ? "Not recorded for this layer yet: the run is being repeated."
                                    : "Not recorded for this layer, and a saved run has no model to repeat it with.");
  const ImVec2 at = ImGui::GetCursorScreenPos(), room = ImGui::GetContentRegionAvail();
  draw_both(scene, view, at, room);
}

}  // namespace kvcache::visualizer
