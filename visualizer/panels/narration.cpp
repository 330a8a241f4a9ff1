// What happens in this step, in plain sentences; and, on request, the newest token's way through one layer.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "common/readable.hpp"
#include "heat.hpp"
#include "panels.hpp"
#include "theme.hpp"
#include "token_name.hpp"
#include "widgets.hpp"

namespace kvcache::visualizer {
namespace {

// ---- The sentences. Every number in them is of the record.

/// A token in words: token 5, "·be".
std::string named(const Scene& scene, int position) {
  return fmt::format("token {}, {}", position + 1,
                     quoted_token(scene.timeline, scene.timeline.text()[std::size_t(position)]));
}

std::string capitalised(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = char(text[0] - 'a' + 'A');
  return text;
}

/// "per head and layer, 1 query, 1 key and 1 value are computed; 4 keys and 4 values are reused"
std::string work_in_words(const Scene& scene) {
  const Work& work = scene.step().work;
  const std::int64_t q_heads = std::int64_t(scene.config().layers) * scene.config().q_heads,
                     kv_heads = std::int64_t(scene.config().layers) * scene.config().kv_heads;
  const bool even = work.queries_computed % q_heads == 0 && work.keys_computed % kv_heads == 0 &&
                    work.keys_reused == work.tokens_reused * kv_heads;  // layers may keep other tokens
  const std::int64_t queries = work.queries_computed / (even ? q_heads : 1),
                     keys = work.keys_computed / (even ? kv_heads : 1),
                     reused = work.keys_reused / (even ? kv_heads : 1);
  std::string words =
      fmt::format("{}, {}, {} and {} are computed", even ? "per head and layer" : "in all heads and layers together",
                  counted(queries, "query"), counted(keys, "key"), counted(keys, "value"));
  if (reused > 0) words += fmt::format("; {} and {} are reused", counted(reused, "key"), counted(reused, "value"));
  return words;
}

std::string reading_in_words(const Scene& scene, bool in_short) {
  const StepRecord& step = scene.step();
  const std::string newest = capitalised(named(scene, scene.newest_position()));
  const bool computes_all = step.tokens_fed == scene.length();
  if (scene.step_index == 0 && computes_all)
    return fmt::format("The prompt: {} read in one pass; {}.{}",
                       step.tokens_fed == 1 ? "1 token is" : with_commas(step.tokens_fed) + " tokens are",
                       work_in_words(scene),
                       in_short || !scene.timeline.about().use_cache ? "" : " The cache keeps the keys and values.");
  if (computes_all)
    return fmt::format("{}: nothing was kept, so the queries, keys and values of all {} are computed again.", newest,
                       counted(step.tokens_fed, "token"));
  return fmt::format("{}: {}.", newest, work_in_words(scene));
}

/// What happened to rows of the cache, beside being appended. Empty: nothing.
std::string events_in_words(const Scene& scene, bool in_short) {
  int moved = 0, forgotten = 0, packed = 0, copied = 0;  // rows of one layer
  std::string reason;
  std::size_t bytes = 0;  // of all layers
  for (const CacheEvent& event : scene.step().events) {
    const bool is_first_layer = event.layer == scene.step().events.front().layer;
    if (event.kind == CacheEvent::Kind::moved) bytes += event.bytes, moved = std::max(moved, event.rows);
    if (event.kind == CacheEvent::Kind::forgotten && is_first_layer) forgotten += event.rows, reason = event.reason;
    if (event.kind == CacheEvent::Kind::packed && is_first_layer) packed += event.rows;
    if (event.kind == CacheEvent::Kind::copied) copied += event.rows;
  }
  const std::string rows = counted(moved, "row"), room = with_commas(scene.step().layout(0).slots);
  std::string words;
  if (bytes > 0 && in_short)
    words += fmt::format(" The cache was full: its {} moved to room for {}.", rows, room);
  else if (bytes > 0)
    words += fmt::format(" The cache was full: its {} in each layer moved to room for {}, {} bytes copied in all.",
                         rows, room, with_commas(std::int64_t(bytes)));
  if (forgotten > 0)
    words += fmt::format(" The cache forgot {} in each layer{}.", counted(forgotten, "row"),
                         reason.empty() ? "" : " (" + reason + ")");
  if (packed > 0) words += fmt::format(" It packed {} of each layer.", counted(packed, "row"));
  if (copied > 0) words += fmt::format(" It copied a page that another text reads, before writing to it.");
  return words;
}

std::string choice_in_words(const Scene& scene, bool in_short) {
  const StepRecord& step = scene.step();
  std::string words =
      fmt::format("It chooses token {}, {}", scene.length() + 1, quoted_token(scene.timeline, step.token));
  for (const Candidate& candidate : step.candidates)
    if (candidate.token == step.token)
      words += fmt::format(" ({:.{}f} %)", 100 * candidate.probability, candidate.probability < 0.0995 ? 1 : 0);
  return words + "." + events_in_words(scene, in_short);
}

// ---- Text that fits its place.

struct Paragraph {
  std::string text;
  ImFont* font = nullptr;
  float factor = 1;  // of the base size
  ImU32 colour = 0;
};

float line_gap(float size) { return size * 0.25f; }

float height_of(const std::vector<Paragraph>& paragraphs, float scale, float width) {
  float height = 0;
  for (const Paragraph& p : paragraphs) {
    const float size = em() * p.factor * scale;
    height += p.font->CalcTextSizeA(size, FLT_MAX, width, p.text.c_str()).y + line_gap(size);
  }
  return height;
}

/// The largest of a few sizes in which the paragraphs fit; the smallest, if none does.
float fitting_scale(const std::vector<Paragraph>& paragraphs, float width, float height, float most) {
  for (const float scale : {2.2f, 1.9f, 1.65f, 1.45f, 1.3f, 1.15f, 1.f, 0.93f, 0.86f, 0.78f, 0.7f})
    if (scale <= most && height_of(paragraphs, scale, width) - line_gap(em()) <= height) return scale;
  return 0.6f;
}

/// Returns where they end.
float draw_paragraphs(const std::vector<Paragraph>& paragraphs, float scale, ImVec2 at, float width) {
  for (const Paragraph& p : paragraphs) {
    const float size = em() * p.factor * scale;
    ImGui::GetWindowDrawList()->AddText(p.font, size, at, p.colour, p.text.c_str(), nullptr, width);
    at.y += p.font->CalcTextSizeA(size, FLT_MAX, width, p.text.c_str()).y + line_gap(size);
  }
  return at.y;
}

std::vector<Paragraph> sentences(const Scene& scene, bool in_short = false) {
  return {{reading_in_words(scene, in_short), fonts().bold, 1.15f, theme().text},
          {choice_in_words(scene, in_short), fonts().sans, 1, theme().text}};
}

// ---- The way of the newest token through a layer.

/// The parts that one sees as boxes. Appending is the moment between projecting and attending: it has no numbers of its
/// own, so it is told together with the stage before.
struct Box {
  const char* id;
  const char* label;
  Stage stage;
};
constexpr std::array<Box, 6> boxes{{{"stage-0", "norm", Stage::normalised},
                                    {"stage-1", "project q, k, v", Stage::projected},
                                    {"stage-append", "append", Stage::projected},
                                    {"stage-2", "attend", Stage::attended},
                                    {"stage-3", "add", Stage::after_attention},
                                    {"stage-4", "feed-forward", Stage::after_feed_forward}}};

void draw_arrow(ImVec2 from, float length, float head, ImU32 colour) {
  ImDrawList* draw = ImGui::GetWindowDrawList();
  draw->AddLine(from, {from.x + length - head, from.y}, colour, 1.5f);
  draw->AddTriangleFilled({from.x + length - head, from.y - head * 0.6f}, {from.x + length, from.y},
                          {from.x + length - head, from.y + head * 0.6f}, colour);
}

void draw_box(const Box& box, View& view, ImVec2 at, ImVec2 size, float font_size) {
  const Theme& t = theme();
  ImGui::SetCursorScreenPos(at);
  if (ImGui::InvisibleButton(box.id, size)) view.stage = int(box.stage);
  mark(view, box.id);
  const bool current = view.stage == int(box.stage), later = view.stage >= 0 && view.stage < int(box.stage),
             hovered = ImGui::IsItemHovered();
  ImDrawList* draw = ImGui::GetWindowDrawList();
  const ImVec2 end{at.x + size.x, at.y + size.y};
  draw->AddRectFilled(at, end, current ? t.accent : hovered ? t.hover : later ? t.panel : t.raised, em() * 0.25f);
  draw->AddRect(at, end, later ? t.line : t.accent, em() * 0.25f, 0, 1);
  const ImVec2 text = fonts().sans->CalcTextSizeA(font_size, FLT_MAX, 0, box.label);
  draw->AddText(fonts().sans, font_size, {at.x + (size.x - text.x) / 2, at.y + (size.y - text.y) / 2},
                current ? t.on_accent
                : later ? t.muted
                        : t.text,
                box.label);
}

/// One line of boxes, from left to right; returns its height.
float draw_boxes(View& view, ImVec2 at, float width, float wanted_em) {
  float labels = 0;
  for (const Box& box : boxes) labels += fonts().sans->CalcTextSizeA(em(), FLT_MAX, 0, box.label).x / em();
  const float spaces = 0.9f * float(boxes.size()) + 1.3f * float(boxes.size() - 1);  // padding and arrows, in em
  const float size = std::clamp(width / (labels + spaces), 1.f, em() * wanted_em), height = size * 1.6f;
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    const float text = fonts().sans->CalcTextSizeA(size, FLT_MAX, 0, boxes[i].label).x;
    draw_box(boxes[i], view, at, {text + 0.9f * size, height}, size);
    at.x += text + 0.9f * size;
    if (i + 1 == boxes.size()) break;
    draw_arrow({at.x + size * 0.2f, at.y + height / 2}, size * 0.9f, size * 0.4f, theme().muted);
    at.x += size * 1.3f;
  }
  return height;
}

std::string projection_in_words(const Scene& scene, int layer) {
  const ModelConfig& c = scene.config();
  const int slot = scene.step().layout(layer).slot_of(scene.newest_position());
  return fmt::format("project: {} become {}, {} and {} of {}; {}. append: {}.", counted(c.hidden, "number"),
                     counted(c.q_heads, "query"), counted(c.kv_heads, "key"), counted(c.kv_heads, "value"),
                     counted(c.head_dim, "number"),
                     c.position == PositionKind::rope ? "queries and keys are turned by their position"
                                                      : "their position was added before the first layer",
                     slot < 0 ? "the cache does not keep this key and value"
                              : fmt::format("keys and values go into slot {} of the cache", with_commas(slot)));
}

std::string projection_in_short(const Scene& scene, int layer) {
  const ModelConfig& c = scene.config();
  const int slot = scene.step().layout(layer).slot_of(scene.newest_position());
  return fmt::format("project: {} become {} q, {} k and {} v of {}{}. append: {}.", counted(c.hidden, "number"),
                     c.q_heads, c.kv_heads, c.kv_heads, c.head_dim,
                     c.position == PositionKind::rope ? "; q and k are turned by position" : "",
                     slot < 0 ? "not kept" : fmt::format("k and v into slot {}", with_commas(slot)));
}

std::string stage_in_words(const Scene& scene, int layer, Stage stage) {
  const ModelConfig& c = scene.config();
  const int rows = scene.step().layout(layer).rows();
  switch (stage) {
    case Stage::normalised:
      return fmt::format("norm: the {} that describe the token are brought to a common size ({}).",
                         counted(c.hidden, "number"), c.norm == NormKind::rms_norm ? "RMS norm" : "layer norm");
    case Stage::projected:
      return projection_in_words(scene, layer);
    case Stage::attended:
      return fmt::format(
          "attend: each of {} is compared with {} in the cache and mixes as many values by the weights: "
          "{} of {}.",
          counted(c.q_heads, "query"), counted(rows, "key"), counted(c.q_heads, "mixture"),
          counted(c.head_dim, "number"));
    case Stage::after_attention:
      return fmt::format("add: the {} are projected back to {}, and added to what came into the layer.",
                         counted(c.q_size(), "number"), with_commas(c.hidden));
    case Stage::after_feed_forward:
      return fmt::format("feed-forward: norm, {} become {} ({}), become {} again, and are added. {}.",
                         counted(c.hidden, "number"), with_commas(c.ffn),
                         c.activation == ActivationKind::silu_gated ? "SiLU, gated" : "GELU", with_commas(c.hidden),
                         layer + 1 < c.layers ? "The next layer gets the sum" : "The output layer gets the sum");
  }
  return "";
}

// ---- The numbers of a stage, as coloured cells.

float largest(std::span<const float> numbers) {
  float most = 0;
  for (const float number : numbers) most = std::max(most, std::abs(number));
  return most;
}

/// "-2.7 to 2.8"
std::string range_in_words(std::span<const float> numbers) {
  if (numbers.empty()) return "";
  const auto [least, most] = std::minmax_element(numbers.begin(), numbers.end());
  return fmt::format("{:.2g} to {:.2g}", *least, *most);
}

/// How many numbers stand in one line: several lines, where one would make them thinner than two pixels.
int columns_of(int numbers, ImVec2 size) {
  int lines = 1;
  while (size.x * float(lines) < 2 * float(numbers) && size.y > 4 * float(lines + 1)) ++lines;
  return std::max(1, (numbers + lines - 1) / lines);
}

void paint_cells(std::span<const float> numbers, int columns, std::span<ImU32> pixels, int width, int height) {
  const int count = int(numbers.size()), lines = (count + columns - 1) / columns;
  const bool gaps = width >= 5 * columns, line_gaps = height >= 4 * lines && lines > 1;
  const float most = largest(numbers);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const int column = x * columns / width, line = y * lines / height, i = line * columns + column;
      const bool is_gap =
          (gaps && (x + 1) * columns / width != column) || (line_gaps && (y + 1) * lines / height != line);
      if (i >= count || is_gap) continue;
      pixels[std::size_t(y) * std::size_t(width) + std::size_t(x)] =
          diverging(most > 0 ? numbers[std::size_t(i)] / most : 0);
    }
}

struct Segment {
  std::string label;  // empty: none
  std::span<const float> numbers;
};

/// Queries, keys and values apart.
std::vector<Segment> segments_of(const ModelConfig& c, Stage stage, std::span<const float> numbers) {
  if (stage != Stage::projected || int(numbers.size()) != c.qkv_size()) return {{"", numbers}};
  const std::size_t q = std::size_t(c.q_size()), kv = std::size_t(c.kv_size());
  return {{"q", numbers.subspan(0, q)}, {"k", numbers.subspan(q, kv)}, {"v", numbers.subspan(q + kv, kv)}};
}

void draw_segment(const Segment& segment, View& view, const std::string& id, std::uint64_t key, ImVec2 at,
                  ImVec2 size) {
  const int columns = columns_of(int(segment.numbers.size()), size);
  view.pictures[id].draw(at, size, key, [&](std::span<ImU32> pixels, int width, int height) {
    paint_cells(segment.numbers, columns, pixels, width, height);
  });
  ImGui::SetCursorScreenPos(at);
  ImGui::InvisibleButton(id.c_str(), {std::max(1.f, size.x), std::max(1.f, size.y)});
  if (!ImGui::IsItemHovered()) return;
  const int lines = (int(segment.numbers.size()) + columns - 1) / columns;
  const ImVec2 mouse = ImGui::GetMousePos();
  const int column = std::clamp(int((mouse.x - at.x) / size.x * float(columns)), 0, columns - 1),
            line = std::clamp(int((mouse.y - at.y) / size.y * float(lines)), 0, lines - 1);
  const std::size_t i = std::size_t(line * columns + column);
  if (i < segment.numbers.size())
    ImGui::SetTooltip("%snumber %d of %d: %.4g", segment.label.empty() ? "" : (segment.label + ": ").c_str(),
                      int(i) + 1, int(segment.numbers.size()), double(segment.numbers[i]));
}

bool has_labels(Stage stage, float height) { return stage == Stage::projected && height > 1.9f * em(); }

/// The numbers of one stage, in proportion, with gaps between q, k and v. Labels stand above, where there are any.
void draw_strip(const Scene& scene, View& view, Stage stage, std::span<const float> numbers, ImVec2 at, ImVec2 size) {
  const std::vector<Segment> segments = segments_of(scene.config(), stage, numbers);
  const float gap = em() * 0.8f, label = has_labels(stage, size.y) ? em() * 0.95f : 0;
  const float width = size.x - gap * float(segments.size() - 1);
  for (std::size_t s = 0; s < segments.size(); ++s) {
    const ImVec2 part{std::floor(width * float(segments[s].numbers.size()) / float(numbers.size())), size.y - label};
    if (label > 0)
      ImGui::GetWindowDrawList()->AddText(
          fonts().sans, em() * 0.8f, at, theme().muted,
          fmt::format("{}  {}", segments[s].label, range_in_words(segments[s].numbers)).c_str());
    const std::uint64_t key = key_of(view.run_shown, scene.step_index, view.layer, int(stage), int(s), int(view.dark));
    draw_segment(segments[s], view, fmt::format("strip-{}-{}", int(stage), s), key,
                 {std::floor(at.x), std::floor(at.y + label)}, part);
    at.x += part.x + gap;
  }
}

/// Null: not recorded.
const std::vector<float>* numbers_of(const Scene& scene, int layer, Stage stage) {
  const LayerTrace* trace = scene.timeline.trace(layer, scene.step_index);
  if (!trace || trace->stages[std::size_t(stage)].empty()) return nullptr;
  return &trace->stages[std::size_t(stage)];
}

/// What stands beside a strip. Queries, keys and values have ranges of their own, which stand above them.
std::string strip_in_words(std::span<const float> numbers, Stage stage, float height) {
  std::string words = counted(std::int64_t(numbers.size()), "number");
  if (stage != Stage::projected)
    words += ": " + range_in_words(numbers);
  else if (!has_labels(stage, height))
    words += ": q, k, v";
  return words + "  [MEASURED]";
}

void say_not_recorded(const Scene& scene, const View& view, ImVec2 at) {
  const std::string& device = scene.timeline.about().device;
  const std::string text =
      device.empty() ? fmt::format("The numbers inside layer {} were not recorded in this step.", view.layer)
                     : fmt::format("The numbers inside layer {} stay on the {}; only the cache is copied back.",
                                   view.layer, device);
  ImGui::GetWindowDrawList()->AddText(fonts().sans, em(), at, theme().muted, text.c_str());
}

/// The strip of the current stage, with its range at its right.
void draw_one_strip(const Scene& scene, View& view, ImVec2 at, ImVec2 size) {
  const std::vector<float>* numbers = numbers_of(scene, view.layer, Stage(view.stage));
  if (!numbers) return say_not_recorded(scene, view, at);
  const std::string range = strip_in_words(*numbers, Stage(view.stage), size.y);
  const float font_size = em() * 0.8f, width = fonts().sans->CalcTextSizeA(font_size, FLT_MAX, 0, range.c_str()).x;
  const bool beside = size.y < 2.6f * em();
  const ImVec2 strip{beside ? size.x - width - em() : size.x, std::min(beside ? size.y : size.y - em(), 5 * em())};
  draw_strip(scene, view, Stage(view.stage), *numbers, at, strip);
  const ImVec2 label = beside ? ImVec2{at.x + strip.x + em(), at.y + (strip.y - font_size) / 2}
                              : ImVec2{at.x, at.y + strip.y + em() * 0.15f};
  ImGui::GetWindowDrawList()->AddText(fonts().sans, font_size, label, theme().muted, range.c_str());
}

/// All stages below each other, each with its name, for a panel as large as the window.
void draw_all_strips(const Scene& scene, View& view, ImVec2 at, ImVec2 size) {
  if (!numbers_of(scene, view.layer, Stage::normalised)) return say_not_recorded(scene, view, at);
  const float row = std::min(size.y / float(stage_count), 7 * em()), label = std::min(15 * em(), size.x * 0.3f);
  ImDrawList* draw = ImGui::GetWindowDrawList();
  for (std::size_t s = 0; s < stage_count; ++s, at.y += row) {
    const std::vector<float>* numbers = numbers_of(scene, view.layer, Stage(s));
    if (!numbers) continue;
    const bool current = view.stage == int(s);
    const float middle = at.y + (row - 2.1f * em()) / 2;
    draw->AddText(current ? fonts().bold : fonts().sans, em(), {at.x, middle}, current ? theme().accent : theme().text,
                  name(Stage(s)));
    draw->AddText(fonts().sans, em() * 0.8f, {at.x, middle + 1.2f * em()}, theme().muted,
                  strip_in_words(*numbers, Stage(s), row).c_str());
    draw_strip(scene, view, Stage(s), *numbers, {at.x + label, at.y}, {size.x - label, row - em() * 0.6f});
  }
}

// ---- The panel.

/// The button, and where the sentences come from, in a column at the right. Returns what is left of them.
ImVec2 draw_controls(View& view) {
  const ImVec2 at = ImGui::GetCursorScreenPos(), room = ImGui::GetContentRegionAvail();
  const float width = ImGui::CalcTextSize("sub-steps (S)").x + 2 * ImGui::GetStyle().FramePadding.x;
  ImGui::SetCursorScreenPos({at.x + room.x - width, at.y});
  if (button(view, "stages", "sub-steps (S)", "Through one layer, part by part (S)", view.stage >= 0))
    view.stage = view.stage < 0 ? 0 : -1;
  const float below = ImGui::GetItemRectMax().y + em() * 0.3f;
  if (below + em() < at.y + room.y) {
    ImGui::SetCursorScreenPos({at.x + room.x - badge_width(), below});
    badge(Source::measured, "Counted by the library while it ran.");
  }
  ImGui::SetCursorScreenPos(at);
  return {room.x - width - em(), room.y};
}

/// The stage's sentence; a shorter one, if there is one and the long one does not fit.
std::vector<Paragraph> stage_paragraph(const Scene& scene, const View& view, float width, float height) {
  const auto in_words = [&](const std::string& words) {
    return std::vector<Paragraph>{{fmt::format("Layer {}. {}", view.layer, words), fonts().sans, 1, theme().text}};
  };
  const Stage stage = Stage(view.stage);
  std::vector<Paragraph> whole = in_words(stage_in_words(scene, view.layer, stage));
  if (stage == Stage::projected && height_of(whole, 0.86f, width) > height)
    return in_words(projection_in_short(scene, view.layer));
  return whole;
}

/// Boxes and the stage's sentence; the sentences of the step above and the numbers below, where there is room.
void draw_sub_steps(const Scene& scene, View& view, ImVec2 at, ImVec2 size) {
  const ImVec2 corner = at;
  const float bottom = at.y + size.y;
  const bool roomy = size.y > 6.2f * em(), large = size.y > 22 * em();
  if (roomy) {
    const std::vector<Paragraph> step = sentences(scene);
    const std::vector<Paragraph> above(step.begin(), step.begin() + (large ? 2 : 1));
    const float scale = fitting_scale(above, size.x, size.y * 0.3f, 1.9f);
    at.y = draw_paragraphs(above, scale, at, size.x) + em() * (large ? 0.6f : 0.1f);
  }
  at.y += draw_boxes(view, at, size.x, large ? 1.4f : 0.93f) + em() * (large ? 0.7f : 0.3f);
  const float left = bottom - at.y;
  const std::vector<Paragraph> stage = stage_paragraph(scene, view, size.x, left);
  const float scale = fitting_scale(stage, size.x, large ? left * 0.25f : left, large ? 1.65f : 1);
  at.y = draw_paragraphs(stage, scale, at, size.x) + em() * (large ? 0.6f : 0.1f);
  ImGui::SetCursorScreenPos(corner);
  if (large)
    draw_all_strips(scene, view, at, {ImGui::GetContentRegionAvail().x, bottom - at.y});
  else if (bottom - at.y > 0.8f * em())
    draw_one_strip(scene, view, at, {size.x, bottom - at.y});
}

void draw_whole_step(const Scene& scene, View& view, ImVec2 at, ImVec2 size) {
  const ImVec2 corner = at;
  std::vector<Paragraph> step = sentences(scene);
  if (height_of(step, 0.93f, size.x) > size.y) step = sentences(scene, /*in_short*/ true);
  const bool large = size.y > 22 * em();
  const float scale = fitting_scale(step, size.x, large ? size.y * 0.4f : size.y, large ? 2.2f : 1.9f);
  const float end = draw_paragraphs(step, scale, at, size.x);
  if (!large) return;
  const float bottom = at.y + size.y;
  at.y = end + 1.2f * em();
  const std::vector<Paragraph> title{
      {fmt::format("Inside layer {}: the way of the newest token", view.layer), fonts().sans, 1, theme().muted}};
  at.y = draw_paragraphs(title, 1, at, size.x) + em() * 0.2f;
  at.y += draw_boxes(view, at, size.x, 1.4f) + em();
  ImGui::SetCursorScreenPos(corner);
  draw_all_strips(scene, view, at, {ImGui::GetContentRegionAvail().x, bottom - at.y});
}

}  // namespace

void draw_narration(const Scene& scene, View& view) {
  const ImVec2 size = draw_controls(view), at = ImGui::GetCursorScreenPos();
  if (view.stage >= 0)
    draw_sub_steps(scene, view, at, size);
  else
    draw_whole_step(scene, view, at, size);
  ImGui::SetCursorScreenPos(at);  // what is drawn takes no place of its own: nothing to scroll
  ImGui::Dummy({1, 1});
}

}  // namespace kvcache::visualizer
