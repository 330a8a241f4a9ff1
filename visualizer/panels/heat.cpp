#include "panels/heat.hpp"

#include <fmt/core.h>

#include <cfloat>

#include "panels/token_name.hpp"
#include "theme.hpp"

namespace kvcache::visualizer {
namespace {

constexpr float small_font = 0.8f;

ImU32 mixed(ImU32 a, ImU32 b, float part) {
  const auto channel = [&](int shift) {
    const float from = float((a >> shift) & 255), to = float((b >> shift) & 255);
    return ImU32(from + part * (to - from) + 0.5f) << shift;
  };
  return channel(IM_COL32_R_SHIFT) | channel(IM_COL32_G_SHIFT) | channel(IM_COL32_B_SHIFT) | IM_COL32_A_MASK;
}

}  // namespace

ImU32 diverging(float value) {
  const bool is_dark = ink_on(theme().panel) == IM_COL32_WHITE;
  const ImU32 zero = is_dark ? IM_COL32(0x20, 0x28, 0x33, 255) : IM_COL32(0xEC, 0xEF, 0xF3, 255);
  const ImU32 negative = is_dark ? IM_COL32(0x5A, 0xB4, 0xFF, 255) : IM_COL32(0x12, 0x55, 0xA8, 255);
  const ImU32 positive = is_dark ? IM_COL32(0xFF, 0xA0, 0x2E, 255) : IM_COL32(0xA8, 0x4B, 0x00, 255);
  const float size = std::isfinite(value) ? std::min(std::abs(value), 1.f) : 0.f;
  return mixed(zero, value < 0 ? negative : positive, size);
}

ImU32 ink_on(ImU32 colour) {
  const ImVec4 c = as_vec4(colour);
  return 0.3f * c.x + 0.59f * c.y + 0.11f * c.z > 0.5f ? IM_COL32(0x10, 0x14, 0x1A, 255) : IM_COL32_WHITE;
}

float small_em() { return em() * small_font; }

float small_width(std::string_view text) {
  return fonts().sans->CalcTextSizeA(small_em(), FLT_MAX, 0, text.data(), text.data() + text.size()).x;
}

void small_text(ImVec2 at, std::string_view text, ImU32 colour, Align align, bool mono) {
  ImFont* font = mono ? fonts().mono : fonts().sans;
  const char *begin = text.data(), *end = begin + text.size();
  const float width = font->CalcTextSizeA(small_em(), FLT_MAX, 0, begin, end).x;
  const float x = align == Align::left ? at.x : align == Align::right ? at.x - width : at.x - width / 2;
  ImGui::GetWindowDrawList()->AddText(font, small_em(), {std::round(x), std::round(at.y)}, colour, begin, end);
}

float ColourScale::width() const { return small_width(least) + em() * (bar_em + 0.7f) + small_width(most); }

void ColourScale::draw(ImVec2 at) const {
  constexpr int pieces = 16;
  const float gap = em() * 0.35f, bar = em() * bar_em, height = em() * 0.55f, left = small_width(least) + gap;
  small_text(at, least, theme().muted);
  small_text({at.x + left + bar + gap, at.y}, most, theme().muted);
  const float y = at.y + (small_em() - height) / 2 + 1;
  for (int i = 0; i < pieces; ++i) {
    const auto x = [&](int piece) { return at.x + left + bar * float(piece) / pieces; };
    const auto at_piece = [&](int piece) { return colour(from + (1 - from) * float(piece) / pieces); };
    ImGui::GetWindowDrawList()->AddRectFilledMultiColor({x(i), y}, {x(i + 1), y + height}, at_piece(i), at_piece(i + 1),
                                                        at_piece(i + 1), at_piece(i));
  }
}

int label_step(float cell, float room) {
  for (int step = 1;; step *= 10)
    for (const int times : {1, 2, 5})
      if (float(step * times) * cell >= room || step >= 100'000'000) return step * times;
}

void numbers_below(ImVec2 at, const Lane& lane) {
  const float widest = small_width(fmt::format("{}", lane.count)) + em() * 0.7f;
  const int step = label_step(lane.cell(), widest);
  const int begin = lane.index_at(0), end = std::min(lane.count, lane.index_at(lane.pixels) + 1);
  for (int i = (begin + step - 1) / step * step; i < end; i += step) {
    const float centre = (lane.edge(i) + lane.edge(i + 1)) / 2;
    if (centre < 0 || centre > lane.pixels) continue;
    small_text({at.x + std::max(centre, 2.f), at.y}, fmt::format("{}", i), theme().muted, Align::centre);
  }
}

void outline_cells(ImVec2 at, const Lane& down, const Lane& across, Lane::Range rows, Lane::Range columns, ImU32 colour,
                   float thickness) {
  const auto extent = [](const Lane& lane, Lane::Range range) {
    const float from = std::max(0.f, lane.edge(range.begin) - 1), to = std::min(lane.pixels, lane.edge(range.end));
    return ImVec2(from, std::max(to, from + 3));  // thin cells still have an outline that can be seen
  };
  if (across.edge(columns.end) <= 0 || across.edge(columns.begin) >= across.pixels) return;
  const ImVec2 x = extent(across, columns), y = extent(down, rows);
  const ImVec2 a{at.x + x.x, at.y + y.x}, b{at.x + x.y, at.y + y.y};
  ImDrawList* draw = ImGui::GetWindowDrawList();
  if (thickness > 1) draw->AddRect(a, b, faded(theme().panel, 0.8f), 0, 0, thickness + 2);  // seen on any colour
  draw->AddRect(a, b, colour, 0, 0, thickness);
}

PanelStyle::PanelStyle() : is_small_(ImGui::GetWindowHeight() < em() * 24) {
  const ImGuiStyle& style = ImGui::GetStyle();
  ImGui::PushStyleVar(ImGuiStyleVar_FramePadding, is_small_ ? ImVec2(em() * 0.4f, em() * 0.18f) : style.FramePadding);
  ImGui::PushStyleVar(ImGuiStyleVar_ItemSpacing, is_small_ ? ImVec2(em() * 0.35f, em() * 0.3f) : style.ItemSpacing);
}
PanelStyle::~PanelStyle() { ImGui::PopStyleVar(2); }

float slider_width() { return std::clamp((ImGui::GetWindowWidth() / em() - 19) / 2, 2.f, 8.f); }

float remembered(const char* name) { return ImGui::GetStateStorage()->GetFloat(ImGui::GetID(name)); }
void remember(const char* name, float value) { ImGui::GetStateStorage()->SetFloat(ImGui::GetID(name), value); }

std::string short_number(float value) {
  const float size = std::abs(value);
  if (size == 0) return "0";
  if (size >= 1000) return fmt::format("{:.3g}", value);
  return fmt::format("{:.{}f}", value, size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : size >= 0.1 ? 3 : 4);
}

std::string token_at(const Scene& scene, int position) {
  return token_name(scene.timeline, scene.timeline.text()[std::size_t(position)]);
}

void choose_kv_head(const Scene& scene, View& view, int kv_head) {
  const int group = scene.config().q_heads / scene.config().kv_heads;
  view.kv_head = kv_head;
  if (view.q_head / group != kv_head) view.q_head = kv_head * group;
}

}  // namespace kvcache::visualizer
