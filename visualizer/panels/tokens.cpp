// The text as the model sees it, token by token, and what it might have chosen next.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "panels.hpp"
#include "theme.hpp"
#include "token_name.hpp"
#include "widgets.hpp"

namespace kvcache::visualizer {
namespace {

// ---- Chips: sizes are measured once a text and width; only chips in view are drawn.

/// What a token of the text is, seen from the step that is shown.
enum class Kind { prompt, decoded, newest, next, later };

Kind kind_of(const Scene& scene, int position) {
  if (position > scene.length()) return Kind::later;
  if (position == scene.length()) return Kind::next;
  if (position == scene.newest_position()) return Kind::newest;
  return scene.is_prompt(position) ? Kind::prompt : Kind::decoded;
}

float chip_height() { return em() * 1.42f; }
float line_height() { return em() * 1.6f; }

/// Places of all tokens of the text in lines of a width. A growing text is measured once, token by token.
const TokenLayout& lay_out(const Scene& scene, View& view, float width) {
  TokenLayout& layout = view.token_layout;
  const std::span<const int> text = scene.timeline.text();
  if (layout.run != view.run_shown || layout.width != width || layout.em != em() || layout.places.size() > text.size())
    layout = {view.run_shown, width, em(), {}, -1};
  const float gap = em() * 0.22f, padding = em() * 0.35f;
  while (layout.places.size() < text.size()) {
    const std::string name = token_name(scene.timeline, text[layout.places.size()]);
    const float chip = ImGui::CalcTextSize(name.c_str()).x + 2 * padding;
    TokenLayout::Place place{0, 0, chip};
    if (!layout.places.empty()) {
      const TokenLayout::Place& last = layout.places.back();
      const float x = last.x + last.width + gap;
      place = x + chip <= width ? TokenLayout::Place{last.line, x, chip} : TokenLayout::Place{last.line + 1, 0, chip};
    }
    layout.places.push_back(place);
  }
  return layout;
}

void draw_chip(Kind kind, ImVec2 a, ImVec2 b, const std::string& name, bool marked, bool forgotten) {
  const Theme& t = theme();
  ImDrawList* draw = ImGui::GetWindowDrawList();
  const float round = em() * 0.2f, thick = em() * 0.1f;
  if (kind == Kind::prompt) draw->AddRectFilled(a, b, faded(t.prompt, 0.42f), round);
  if (kind == Kind::decoded) draw->AddRectFilled(a, b, faded(t.decoded, 0.3f), round);
  if (kind == Kind::newest) draw->AddRectFilled(a, b, t.newest, round);
  if (kind == Kind::decoded)
    draw->AddRectFilled({a.x, b.y - thick}, b, t.decoded, round);  // told from the prompt without its hue
  if (kind == Kind::next) draw->AddRect(a, b, t.text, round, 0, thick);
  if (kind == Kind::later) draw->AddRect(a, b, faded(t.muted, 0.4f), round, 0, 1);
  const ImU32 ink = kind == Kind::newest ? t.on_newest : kind == Kind::later ? t.muted : t.text;
  draw->AddText({a.x + em() * 0.35f, a.y + (b.y - a.y - em()) / 2}, ink, name.c_str());
  if (forgotten) draw->AddLine({a.x, (a.y + b.y) / 2}, {b.x, (a.y + b.y) / 2}, t.moved, thick);
  if (marked) draw->AddRect({a.x - 1, a.y - 1}, {b.x + 1, b.y + 1}, t.accent, round, 0, thick * 1.3f);
}

std::string bytes_in_words(std::string_view bytes) {
  std::string words;
  for (const char byte : bytes)
    words += fmt::format("{}{:02X}", words.empty() ? "" : " ", int(static_cast<unsigned char>(byte)));
  return words;
}

/// When and why a layer forgot a token, as far as the cache told.
std::string why(const Scene& scene, int layer, int position) {
  const Timeline::Forgotten gone = scene.timeline.forgotten(layer, position, scene.step_index);
  if (!gone.event || gone.event->reason.empty()) return "";
  return fmt::format(": {} in step {}", gone.event->reason, gone.step);
}

void explain(const Scene& scene, int layer, int position, bool forgotten) {
  if (!ImGui::BeginItemTooltip()) return;
  const int id = scene.timeline.text()[std::size_t(position)], step = scene.timeline.step_of(position);
  const std::string_view bytes = scene.timeline.spelling(id);
  ImGui::TextUnformatted(("position " + named_position(scene.timeline, position)).c_str());
  muted(scene.is_prompt(position) ? "of the prompt" : "decoded");
  muted(fmt::format("id {}{}", id, bytes.empty() ? "" : fmt::format(", bytes {}", bytes_in_words(bytes))));
  if (step >= scene.timeline.steps())
    muted("chosen, never read: the run ended");
  else if (position >= scene.length())
    muted(fmt::format("{}; read in step {}", position == scene.length() ? "chosen in this step" : "of a later step",
                      step));
  else
    muted(fmt::format("key and value first computed in step {}", step));
  if (forgotten) muted(fmt::format("not in the cache of layer {} any more", layer) + why(scene, layer, position));
  ImGui::EndTooltip();
}

void go_to(const Scene& scene, View& view, int position) {
  const int step = scene.timeline.step_of(position);
  if (step >= scene.timeline.steps()) return;  // chosen, but never read
  view.step = step;
  view.playing = view.is_opening = false;
  view.stage = -1;
  view.selected_position = position;
}

/// A click selects a token, and goes to the step that read it. The tokens of the prompt were read together: a click
/// only selects, a second one goes to step 0.
void clicked(const Scene& scene, View& view, int position) {
  const bool wants_step = ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left) || ImGui::GetIO().KeyCtrl;
  const bool is_here = scene.timeline.step_of(position) == scene.step_index || scene.is_prompt(position);
  if (wants_step || !is_here)
    go_to(scene, view, position);
  else
    view.selected_position = view.selected_position == position ? -1 : position;
}

void draw_token(const Scene& scene, View& view, int position, const TokenLayout::Place& place, ImVec2 origin) {
  const ImVec2 a{origin.x + place.x, origin.y + float(place.line) * line_height() + em() * 0.1f},
      b{a.x + place.width, a.y + chip_height()};
  ImGui::PushID(position);
  ImGui::SetCursorScreenPos(a);
  ImGui::InvisibleButton("token", {place.width, chip_height()});
  mark(view, fmt::format("token-{}", position));
  // The press, not the release: a double click tells itself by its second press.
  if (ImGui::IsItemHovered() && ImGui::IsMouseClicked(ImGuiMouseButton_Left)) clicked(scene, view, position);
  if (ImGui::IsItemHovered()) view.hovered_position = position;
  const bool read = position < scene.length(),
             forgotten = read && scene.step().layout(view.layer).slot_of(position) < 0;
  const bool is_marked = position == view.selected_position || position == view.highlighted_position;
  draw_chip(kind_of(scene, position), a, b, token_name(scene.timeline, scene.timeline.text()[std::size_t(position)]),
            is_marked, forgotten);
  explain(scene, view.layer, position, forgotten);
  ImGui::PopID();
}

/// Scrolls so that the newest token stands in the middle, once a step.
void follow_newest(const Scene& scene, View& view, float height) {
  TokenLayout& layout = view.token_layout;
  if (layout.step_in_view == scene.step_index) return;
  layout.step_in_view = scene.step_index;
  const int line = layout.places[std::size_t(scene.newest_position())].line;
  const float top = float(line) * line_height(), visible_lines = std::max(1.f, std::floor(height / line_height()));
  // An odd number of lines would cut the first and the last in half.
  ImGui::SetScrollY(std::max(0.f, top - std::floor((visible_lines - 1) / 2) * line_height()));
}

/// Of the font: larger in a large panel; in a small one, so that two whole lines fit.
float chip_factor(float height) {
  const float two_lines = height / (2 * 0.94f * 1.6f * em());
  if (two_lines < 1.1f) return two_lines < 0.74f ? 0.9f : std::min(two_lines, 1.f);
  return std::clamp(height / (16 * em()), 1.f, 1.8f);
}

void draw_chips(const Scene& scene, View& view, ImVec2 size) {
  const float factor = chip_factor(size.y), line = 1.6f * 0.94f * factor * em();
  size.y = std::max(line, std::floor(size.y / line + 0.02f) * line);  // no line is cut in half
  if (ImGui::BeginChild("chips", size)) {
    ImGui::PushFont(fonts().mono, ImGui::GetStyle().FontSizeBase * 0.94f * factor);
    const TokenLayout& layout = lay_out(scene, view, size.x - ImGui::GetStyle().ScrollbarSize - em() * 0.1f);
    const ImVec2 corner = ImGui::GetCursorScreenPos(), origin{corner.x + em() * 0.1f, corner.y};
    follow_newest(scene, view, size.y);
    const int first_line = int(ImGui::GetScrollY() / line_height()),
              last_line = int((ImGui::GetScrollY() + size.y) / line_height());
    const auto before = [](const TokenLayout::Place& place, int line) { return place.line < line; };
    const auto first = std::lower_bound(layout.places.begin(), layout.places.end(), first_line, before);
    for (auto place = first; place != layout.places.end() && place->line <= last_line; ++place)
      draw_token(scene, view, int(place - layout.places.begin()), *place, origin);
    ImGui::SetCursorScreenPos(corner);
    ImGui::Dummy({1, float(layout.places.back().line + 1) * line_height()});
    ImGui::PopFont();
  }
  ImGui::EndChild();
}

/// Left out if it would reach beyond `right`.
void chip_legend(const char* name, Kind kind, float right) {
  if (ImGui::GetCursorScreenPos().x + em() * 1.7f + ImGui::CalcTextSize(name).x > right) return;
  const float width = em() * 1.3f, height = em() * 0.85f;
  const ImVec2 at = ImGui::GetCursorScreenPos(), a{at.x, at.y + (em() - height) / 2 + 1};
  draw_chip(kind, a, {a.x + width, a.y + height}, "", false, false);
  ImGui::SetCursorScreenPos({at.x + width + em() * 0.4f, at.y});
  muted(name);
  ImGui::SameLine(0, em());
}

void draw_legend(float right) {
  chip_legend("prompt", Kind::prompt, right);
  chip_legend("decoded", Kind::decoded, right);
  chip_legend("newest read", Kind::newest, right);
  chip_legend("next: chosen, not read", Kind::next, right);
  chip_legend("later steps", Kind::later, right);
  ImGui::NewLine();
}

// ---- What could have come next.

constexpr const char* about_candidates =
    "The model's own probabilities for the next token, before temperature, top-k and top-p.";
constexpr const char* about_source = "Tokens, and the probabilities of the five likeliest, as this run computed them.";

/// The candidates, and, if it is none of them, the chosen token with a probability below 0: not recorded.
std::vector<Candidate> candidates_and_chosen(const StepRecord& step) {
  std::vector<Candidate> all = step.candidates;
  if (std::none_of(all.begin(), all.end(), [&](const Candidate& c) { return c.token == step.token; }))
    all.push_back({step.token, -1});
  return all;
}

std::string per_cent(double probability) {
  if (probability < 0) return "chosen";
  return probability < 0.0995 ? fmt::format("{:.1f} %", 100 * probability) : fmt::format("{:.0f} %", 100 * probability);
}

/// One line: next: ·not 23 %  ·to 11 %. The chosen one is outlined, as in the text above.
void draw_candidate_line(const Scene& scene, View& view, float width) {
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const float height = em() * 1.25f, size = em() * 0.86f, at_right = badge_width() + em();
  ImDrawList* draw = ImGui::GetWindowDrawList();
  float x = at.x;
  const auto put = [&](ImFont* font, ImU32 colour, const std::string& text, float space) {
    draw->AddText(font, size, {x, at.y + (height - size) / 2}, colour, text.c_str());
    x += font->CalcTextSizeA(size, FLT_MAX, 0, text.c_str()).x + space;
  };
  put(fonts().sans, theme().muted, "Next token:", em() * 0.7f);
  for (const Candidate& candidate : candidates_and_chosen(scene.step())) {
    const std::string name = token_name(scene.timeline, candidate.token), share = per_cent(candidate.probability);
    const float needs = fonts().mono->CalcTextSizeA(size, FLT_MAX, 0, (name + share).c_str()).x + em();
    if (x + needs > at.x + width - at_right) break;
    const float left = x - em() * 0.3f;
    const bool chosen = candidate.token == scene.step().token;
    put(fonts().mono, theme().text, name, em() * 0.4f);
    put(chosen ? fonts().bold : fonts().sans, chosen ? theme().text : theme().muted, share, em() * 0.3f);
    if (chosen) draw->AddRect({left, at.y}, {x, at.y + height}, theme().text, em() * 0.2f, 0, em() * 0.1f);
    x += em() * 0.5f;
  }
  ImGui::InvisibleButton("candidates", {std::max(1.f, width - at_right), height});
  mark(view, "candidates");
  ImGui::SetItemTooltip("%s", about_candidates);
  ImGui::SetCursorScreenPos({at.x + width - badge_width(), at.y + em() * 0.1f});
  badge(Source::measured, about_source);
}

/// One bar; its width is the probability, as a part of the likeliest's.
void draw_bar(const Scene& scene, const Candidate& candidate, double most, ImVec2 at, ImVec2 size, float font_size) {
  ImDrawList* draw = ImGui::GetWindowDrawList();
  const Theme& t = theme();
  const bool chosen = candidate.token == scene.step().token;
  const float name_width = size.x * 0.36f, share_width = font_size * 3.4f, y = at.y + (size.y - font_size) / 2;
  const float bar = (size.x - name_width - share_width) * float(std::max(0., candidate.probability) / most);
  const ImVec4 clip{at.x, at.y, at.x + name_width - font_size * 0.4f, at.y + size.y};
  const std::string name = token_name(scene.timeline, candidate.token);
  draw->AddText(fonts().mono, font_size, {at.x + font_size * 0.3f, y}, t.text, name.c_str(), nullptr, 0, &clip);
  const ImVec2 a{at.x + name_width, at.y + size.y * 0.16f}, b{a.x + std::max(2.f, bar), at.y + size.y * 0.84f};
  draw->AddRectFilled(a, b, chosen ? t.accent : faded(t.muted, 0.45f), 2);
  draw->AddText(chosen ? fonts().bold : fonts().sans, font_size, {b.x + font_size * 0.4f, y}, chosen ? t.text : t.muted,
                per_cent(candidate.probability).c_str());
  if (chosen) draw->AddRect(at, {a.x - font_size * 0.2f, at.y + size.y}, t.text, em() * 0.2f, 0, em() * 0.1f);
}

void draw_candidate_bars(const Scene& scene, View& view, ImVec2 size) {
  const ImVec2 at = ImGui::GetCursorScreenPos();
  muted("Next token");
  ImGui::SameLine(0, em() * 0.8f);
  badge(Source::measured, about_source);
  const std::vector<Candidate> all = candidates_and_chosen(scene.step());
  const float top = em() * 1.5f, note = size.y > 14 * em() ? em() * 2.6f : 0;
  const float row = std::min({(size.y - top - note) / float(std::max<std::size_t>(5, all.size())), 2.6f * em()});
  const float font_size = std::min(row * 0.78f, 1.6f * em());
  const double most = std::max(1e-12, all.front().probability);
  ImGui::SetCursorScreenPos({at.x, at.y + top});
  ImGui::InvisibleButton("candidates", {size.x, row * float(all.size())});
  mark(view, "candidates");
  ImGui::SetItemTooltip("%s", about_candidates);
  for (std::size_t i = 0; i < all.size(); ++i)
    draw_bar(scene, all[i], most, {at.x, at.y + top + row * float(i)}, {size.x, row * 0.9f}, font_size);
  if (note == 0) return;
  ImGui::GetWindowDrawList()->AddText(fonts().sans, em() * 0.86f,
                                      {at.x, at.y + top + row * float(all.size()) + em() * 0.6f}, theme().muted,
                                      about_candidates, nullptr, size.x);
}

}  // namespace

void draw_tokens(const Scene& scene, View& view) {
  const ImVec2 at = ImGui::GetCursorScreenPos(), room = ImGui::GetContentRegionAvail();
  const bool beside = room.y > 5.6f * em() && room.x > 34 * em(), legend = room.y > 10 * em();
  const float bars = beside ? std::clamp(room.x * 0.3f, 15 * em(), 34 * em()) : 0;
  const float line = beside || room.y < 3.2f * em() ? 0 : em() * 1.5f;
  if (legend) draw_legend(at.x + room.x - bars - (beside ? em() : 0));
  const float top = ImGui::GetCursorScreenPos().y - at.y;
  draw_chips(scene, view, {room.x - bars - (beside ? em() : 0), std::max(em(), room.y - line - top)});
  if (beside) {
    ImGui::SetCursorScreenPos({at.x + room.x - bars, at.y});
    draw_candidate_bars(scene, view, {bars, room.y});
  } else if (line > 0) {
    ImGui::SetCursorScreenPos({at.x, at.y + room.y - em() * 1.3f});
    draw_candidate_line(scene, view, room.x);
  }
  ImGui::SetCursorScreenPos(at);
  ImGui::Dummy({1, 1});
}

}  // namespace kvcache::visualizer
