#include "widgets.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdint>

#include "kvcache/text/utf8.hpp"
#include "theme.hpp"

namespace kvcache::visualizer {

namespace {

constexpr float badge_text = text_size * 0.66f;
constexpr const char* badge_names[] = {"MEASURED", "COMPUTED", "SIMULATED"};

}  // namespace

float badge_width() {
  const float size = badge_text * ImGui::GetStyle().FontScaleMain;
  float widest = 0;
  for (const char* name : badge_names) widest = std::max(widest, fonts().bold->CalcTextSizeA(size, FLT_MAX, 0, name).x);
  return widest + 0.9f * size;
}

void badge(Source source, const char* what) {
  const ImU32 colours[] = {theme().decoded, theme().accent, theme().moved};
  const char* name = badge_names[int(source)];
  ImGui::PushFont(fonts().bold, badge_text);
  const ImVec2 text = ImGui::CalcTextSize(name), size{text.x + 0.9f * em(), text.y + 0.32f * em()};
  ImGui::Dummy(size);
  const ImVec2 a = ImGui::GetItemRectMin(), b = ImGui::GetItemRectMax();
  ImDrawList* draw = ImGui::GetWindowDrawList();
  draw->AddRect(a, b, faded(colours[int(source)], 0.9f), size.y / 2, 0, 1);
  draw->AddText({a.x + 0.45f * em(), a.y + 0.16f * em()}, colours[int(source)], name);
  ImGui::PopFont();
  ImGui::SetItemTooltip("%s", what);
}

void badge_at_end(Source source, const char* what, float line) {
  ImGui::SameLine(0, em() * 0.6f);
  if (ImGui::GetContentRegionAvail().x < badge_width()) ImGui::NewLine();
  ImGui::SetCursorPosX(ImGui::GetCursorPosX() + std::max(0.f, ImGui::GetContentRegionAvail().x - badge_width()));
  const float height = 1.32f * badge_text * ImGui::GetStyle().FontScaleMain;
  ImGui::SetCursorPosY(ImGui::GetCursorPosY() + std::round((line - height) / 2));
  badge(source, what);
}

void muted(std::string_view text) {
  ImGui::PushStyleColor(ImGuiCol_Text, theme().muted);
  ImGui::TextUnformatted(text.data(), text.data() + text.size());
  ImGui::PopStyleColor();
}

void wrapped(std::string_view text) {
  ImGui::PushTextWrapPos(0);
  ImGui::TextUnformatted(text.data(), text.data() + text.size());
  ImGui::PopTextWrapPos();
}

std::string cut_to_fit(const std::string& text, float width) {
  const auto width_of = [](const std::string& words) { return ImGui::CalcTextSize(words.c_str()).x; };
  if (width_of(text) <= width) return text;
  std::size_t end = text.size();
  while (end > 0 && width_of(text.substr(0, end) + "...") > width) {
    --end;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // whole characters
  }
  return end < 4 ? "" : text.substr(0, end) + "...";
}

void legend(const char* name, ImU32 colour, bool outlined) {
  const float side = em() * 0.75f;
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const ImVec2 a{at.x, at.y + (em() - side) / 2 + 1}, b{a.x + side, a.y + side};
  ImDrawList* draw = ImGui::GetWindowDrawList();
  draw->AddRectFilled(a, b, colour, 2);
  if (outlined) draw->AddRect(a, b, faded(theme().muted, 0.6f), 2);
  ImGui::SetCursorScreenPos({b.x + em() * 0.4f, at.y});
  muted(name);
  ImGui::SameLine(0, em());
}

namespace {

bool slider(View& view, const char* id, const char* label, float width_em, const std::string& value, auto&& draw) {
  ImGui::AlignTextToFramePadding();
  muted(label);
  ImGui::SameLine(0, ImGui::GetStyle().ItemInnerSpacing.x);
  ImGui::SetNextItemWidth(em() * width_em);
  const bool moved = draw(("##" + std::string(id)).c_str());
  mark(view, id);
  ImGui::SameLine(0, ImGui::GetStyle().ItemInnerSpacing.x);
  ImGui::AlignTextToFramePadding();
  ImGui::TextUnformatted(value.c_str());
  return moved;
}

}  // namespace

bool int_slider(View& view, const char* id, const char* label, int& value, int least, int most, float width_em) {
  return slider(view, id, label, width_em, fmt::format("{}", value), [&](const char* name) {
    return ImGui::SliderInt(name, &value, least, std::max(least, most), "", ImGuiSliderFlags_AlwaysClamp);
  });
}

bool float_slider(View& view, const char* id, const char* label, float& value, float least, float most, float width_em,
                  const char* format, bool logarithmic) {
  char text[32];
  std::snprintf(text, sizeof text, format, double(value));
  return slider(view, id, label, width_em, text, [&](const char* name) {
    return ImGui::SliderFloat(name, &value, least, most, "",
                              ImGuiSliderFlags_AlwaysClamp | (logarithmic ? ImGuiSliderFlags_Logarithmic : 0));
  });
}

bool icon_button(View& view, const char* id, Icon icon, const char* tip, bool primary, bool enabled) {
  const float h = ImGui::GetFrameHeight();
  ImGui::BeginDisabled(!enabled);
  const bool hit = ImGui::InvisibleButton(id, {h * 1.35f, h});
  mark(view, id);
  const ImVec2 a = ImGui::GetItemRectMin(), b = ImGui::GetItemRectMax(), c{(a.x + b.x) / 2, (a.y + b.y) / 2};
  const bool hovered = ImGui::IsItemHovered(), active = ImGui::IsItemActive();
  const Theme& t = theme();
  ImDrawList* draw = ImGui::GetWindowDrawList();
  draw->AddRectFilled(a, b,
                      primary   ? faded(t.accent, active    ? 0.7f
                                                  : hovered ? 0.85f
                                                            : 1)
                      : active  ? t.line
                      : hovered ? t.hover
                                : t.raised,
                      ImGui::GetStyle().FrameRounding);
  const ImU32 ink = !enabled ? faded(t.muted, 0.45f) : primary ? t.on_accent : t.text;
  const float r = h * 0.24f, w = h * 0.085f;
  const auto triangle = [&](float x, float direction) {
    draw->AddTriangleFilled({x - direction * r * 0.8f, c.y - r}, {x + direction * r * 0.8f, c.y},
                            {x - direction * r * 0.8f, c.y + r}, ink);
  };
  const auto bar = [&](float x) { draw->AddRectFilled({x - w, c.y - r}, {x + w, c.y + r}, ink); };
  switch (icon) {
    case Icon::start:
      bar(c.x - r), triangle(c.x + r * 0.3f, -1);
      break;
    case Icon::back:
      triangle(c.x - r * 0.25f, -1), bar(c.x + r);
      break;
    case Icon::play:
      triangle(c.x + r * 0.1f, 1);
      break;
    case Icon::pause:
      bar(c.x - r * 0.55f), bar(c.x + r * 0.55f);
      break;
    case Icon::step:
      bar(c.x - r), triangle(c.x + r * 0.25f, 1);
      break;
    case Icon::end:
      triangle(c.x - r * 0.3f, 1), bar(c.x + r);
      break;
  }
  ImGui::EndDisabled();
  ImGui::SetItemTooltip("%s", tip);
  return hit && enabled;
}

bool button(View& view, const char* id, const char* label, const char* tip, bool selected) {
  if (selected) {
    ImGui::PushStyleColor(ImGuiCol_Button, theme().accent);
    ImGui::PushStyleColor(ImGuiCol_ButtonHovered, theme().accent);
    ImGui::PushStyleColor(ImGuiCol_Text, theme().on_accent);
  }
  const bool hit = ImGui::Button((std::string(label) + "##" + id).c_str());
  if (selected) ImGui::PopStyleColor(3);
  mark(view, id);
  if (tip) ImGui::SetItemTooltip("%s", tip);
  return hit;
}

namespace {

/// Whole characters that leave no ink, or change how their neighbours are drawn: spaces other than the usual one, marks
/// of direction, variation selectors, what joins and what breaks.
bool is_invisible(char32_t c) {
  const auto within = [&](char32_t first, char32_t last) { return c >= first && c <= last; };
  return within(0x80, 0xA0) || c == 0xAD || c == 0x61C || c == 0x1680 || within(0x2000, 0x200F) ||
         within(0x2028, 0x202F) || within(0x205F, 0x206F) || c == 0x3000 || within(0xFE00, 0xFE0F) || c == 0xFEFF ||
         within(0xFFF9, 0xFFFB);
}

}  // namespace

std::string visible(std::string_view bytes) {
  std::string shown;
  while (!bytes.empty()) {
    const Utf8Front front = utf8_front(bytes);
    const std::string_view piece = bytes.substr(0, front.bytes);
    bytes.remove_prefix(front.bytes);
    if (piece == "\n")
      shown += "⏎";
    else if (piece == " ")
      shown += "·";
    else if (front.kind != Utf8Front::Kind::whole || front.code_point < 32 || front.code_point == 127)
      for (const char c : piece) shown += fmt::format("\\x{:02X}", static_cast<unsigned char>(c));
    else if (is_invisible(front.code_point) || !can_draw(front.code_point))
      shown += fmt::format("<U+{:04X}>", std::uint32_t(front.code_point));
    else
      shown += piece;
  }
  return shown;
}

}  // namespace kvcache::visualizer
