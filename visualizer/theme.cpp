#include "theme.hpp"

#include <implot.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <string>

#include "font_files.hpp"

namespace kvcache::visualizer {
namespace {

constexpr ImU32 rgb(unsigned hex) { return IM_COL32((hex >> 16) & 255, (hex >> 8) & 255, hex & 255, 255); }

// Contrast of text on panel: 14.2 (muted 6.5). The states of a slot differ by at least 33 (CIELAB) for normal sight and
// for the three kinds of colour blindness.
constexpr Theme dark_theme{.ground = rgb(0x0E1218),
                           .panel = rgb(0x151B23),
                           .raised = rgb(0x1E2631),
                           .hover = rgb(0x2A3544),
                           .line = rgb(0x2B3644),
                           .popup = rgb(0x0B0F14),
                           .text = rgb(0xE4E9F0),
                           .muted = rgb(0x93A0B2),
                           .accent = rgb(0x56B4E9),
                           .on_accent = rgb(0x0B1117),
                           .empty = rgb(0x1F2833),
                           .reserved = rgb(0x33404F),
                           .prompt = rgb(0x3A66C8),
                           .decoded = rgb(0x36C795),
                           .newest = rgb(0xF0E442),
                           .on_newest = rgb(0x14181E),
                           .moved = rgb(0xD55E00),
                           .with_cache = rgb(0x56B4E9),
                           .without_cache = rgb(0xE69F00),
                           .error = rgb(0xFF7A66)};
constexpr Theme light_theme{.ground = rgb(0xE9EDF2),
                            .panel = rgb(0xFBFCFD),
                            .raised = rgb(0xE3E9F0),
                            .hover = rgb(0xD3DCE6),
                            .line = rgb(0xC5CFDA),
                            .popup = rgb(0xFFFFFF),
                            .text = rgb(0x17202B),
                            .muted = rgb(0x55626F),
                            .accent = rgb(0x0B6CA8),
                            .on_accent = rgb(0xFFFFFF),
                            .empty = rgb(0xE6EBF0),
                            .reserved = rgb(0xC3CDD8),
                            .prompt = rgb(0x2F5BBE),
                            .decoded = rgb(0x1FA277),
                            .newest = rgb(0xF2D600),
                            .on_newest = rgb(0x14181E),
                            .moved = rgb(0xC24E00),
                            .with_cache = rgb(0x0B6CA8),
                            .without_cache = rgb(0xC77700),
                            .error = rgb(0xB3261E)};

Theme current = dark_theme;
Fonts loaded;

void colour_imgui(const Theme& t) {
  ImGuiStyle& style = ImGui::GetStyle();
  const auto set = [&](ImU32 colour, std::initializer_list<ImGuiCol> where) {
    for (const ImGuiCol i : where) style.Colors[i] = as_vec4(colour);
  };
  set(t.text, {ImGuiCol_Text});
  set(t.muted, {ImGuiCol_TextDisabled});
  set(t.panel, {ImGuiCol_WindowBg, ImGuiCol_TabSelected, ImGuiCol_TabDimmedSelected});
  set(t.popup, {ImGuiCol_PopupBg});
  set(t.line, {ImGuiCol_Border, ImGuiCol_ButtonActive, ImGuiCol_TabDimmedSelectedOverline});
  set(t.raised, {ImGuiCol_FrameBg, ImGuiCol_Button, ImGuiCol_Header, ImGuiCol_TableHeaderBg});
  set(t.hover, {ImGuiCol_FrameBgHovered, ImGuiCol_FrameBgActive, ImGuiCol_ScrollbarGrab, ImGuiCol_ButtonHovered,
                ImGuiCol_HeaderHovered, ImGuiCol_HeaderActive, ImGuiCol_TabHovered});
  set(t.ground, {ImGuiCol_TitleBg, ImGuiCol_TitleBgActive, ImGuiCol_TitleBgCollapsed, ImGuiCol_Separator, ImGuiCol_Tab,
                 ImGuiCol_TabDimmed, ImGuiCol_DockingEmptyBg});
  set(t.accent, {ImGuiCol_CheckMark, ImGuiCol_SliderGrab, ImGuiCol_SliderGrabActive, ImGuiCol_SeparatorHovered,
                 ImGuiCol_SeparatorActive, ImGuiCol_TabSelectedOverline, ImGuiCol_NavCursor, ImGuiCol_PlotHistogram});
  set(faded(t.panel, 0), {ImGuiCol_ScrollbarBg});
  set(faded(t.accent, 0.4f), {ImGuiCol_DockingPreview});
  set(faded(t.accent, 0.3f), {ImGuiCol_TextSelectedBg});
}

void colour_implot(const Theme& t) {
  ImPlotStyle& style = ImPlot::GetStyle();
  style = ImPlotStyle();
  style.PlotPadding = {8, 8}, style.LabelPadding = {6, 4}, style.LegendPadding = {10, 8};
  style.LegendInnerPadding = {8, 6}, style.LegendSpacing = {14, 3};
  style.PlotBorderSize = 0, style.MajorTickLen = {4, 4}, style.MinorTickLen = {2, 2};
  style.MinorAlpha = 0.35f, style.PlotMinSize = {80, 60};
  style.Colors[ImPlotCol_FrameBg] = as_vec4(faded(t.panel, 0));
  style.Colors[ImPlotCol_PlotBg] = as_vec4(t.ground);
  style.Colors[ImPlotCol_PlotBorder] = as_vec4(t.line);
  style.Colors[ImPlotCol_LegendBg] = as_vec4(faded(t.panel, 0.85f));
  style.Colors[ImPlotCol_LegendBorder] = as_vec4(faded(t.line, 0));
  style.Colors[ImPlotCol_AxisText] = as_vec4(t.muted);
  style.Colors[ImPlotCol_AxisGrid] = as_vec4(faded(t.muted, 0.25f));
  style.Colors[ImPlotCol_InlayText] = as_vec4(t.text);
  style.Colors[ImPlotCol_LegendText] = as_vec4(t.text);
}

}  // namespace

const Theme& theme() { return current; }
const Fonts& fonts() { return loaded; }

void load_fonts() {
  ImFontAtlas& atlas = *ImGui::GetIO().Fonts;
  // Room for letters of many sizes. When a texture grows, letters move in it, and are rounded to other pixels: then a
  // step would not look the same from either side.
  atlas.TexMinWidth = 2048, atlas.TexMinHeight = 1024;
  const auto load = [&](const char* file, bool merged = false) -> ImFont* {
    for (const char* folder :
         {"/usr/share/fonts/truetype/dejavu/", "/usr/share/fonts/TTF/", "/usr/share/fonts/dejavu/", "/Library/Fonts/"})
      if (ImFont* font = add_font(atlas, std::string(folder) + file, merged)) return font;
    return nullptr;
  };
  // What a font lacks is looked for in those merged into it, in their order: so all three draw the same characters.
  const auto load_whole = [&](const char* file) {
    ImFont* font = load(file);
    if (font && font != loaded.sans && loaded.sans) load("DejaVuSans.ttf", /*merged*/ true);
    if (font) merge_fallback_fonts(atlas);
    return font;
  };
  loaded = {};
  loaded.sans = load_whole("DejaVuSans.ttf");
  if (!loaded.sans) {
    loaded.sans = atlas.AddFontDefault();
    merge_fallback_fonts(atlas);
  }
  loaded.mono = load_whole("DejaVuSansMono.ttf");
  loaded.bold = load_whole("DejaVuSans-Bold.ttf");
  if (!loaded.mono) loaded.mono = loaded.sans;
  if (!loaded.bold) loaded.bold = loaded.sans;
}

bool can_draw(char32_t character) {
  if (character < 127 || !ImGui::GetCurrentContext()) return true;
  if (character > IM_UNICODE_CODEPOINT_MAX) return false;
  for (ImFont* font : {loaded.sans, loaded.mono, loaded.bold})
    if (font && !font->IsGlyphInFont(ImWchar(character))) return false;
  return true;
}

void apply_theme(bool dark, float scale) {
  current = dark ? dark_theme : light_theme;
  ImGuiStyle& style = ImGui::GetStyle();
  style = ImGuiStyle();
  if (dark)
    ImGui::StyleColorsDark();
  else
    ImGui::StyleColorsLight();
  style.WindowPadding = {10, 8}, style.FramePadding = {8, 5}, style.ItemSpacing = {8, 7};
  style.ItemInnerSpacing = {7, 4}, style.ScrollbarSize = 12, style.GrabMinSize = 11, style.DockingSeparatorSize = 4;
  style.WindowRounding = 0, style.ChildRounding = style.FrameRounding = style.GrabRounding = style.TabRounding = 4;
  style.PopupRounding = 5, style.ScrollbarRounding = 6;
  style.WindowBorderSize = style.FrameBorderSize = style.TabBarBorderSize = 0;
  style.PopupBorderSize = 1, style.TabBarOverlineSize = 2;
  colour_imgui(current);
  style.ScaleAllSizes(scale);
  style.FontSizeBase = text_size, style.FontScaleMain = scale;
  colour_implot(current);
}

ImU32 faded(ImU32 colour, float opacity) {
  return (colour & ~IM_COL32_A_MASK) | (ImU32(std::clamp(opacity, 0.f, 1.f) * 255 + 0.5f) << IM_COL32_A_SHIFT);
}

ImVec4 as_vec4(ImU32 colour) { return ImGui::ColorConvertU32ToFloat4(colour); }

namespace {

constexpr std::size_t shades = 1024;

std::array<ImU32, shades> shades_of_viridis() {
  constexpr std::array<unsigned, 9> stops{0x440154, 0x472D7B, 0x3B528B, 0x2C728E, 0x21918C,
                                          0x28AE80, 0x5EC962, 0xADDC30, 0xFDE725};
  std::array<ImU32, shades> colours;
  for (std::size_t i = 0; i < shades; ++i) {
    const float place = float(i) / float(shades - 1) * float(stops.size() - 1);
    const std::size_t below = std::min(std::size_t(place), stops.size() - 2);
    const float part = place - float(below);
    const auto mixed = [&](int shift) {
      const float low = float((stops[below] >> shift) & 255), high = float((stops[below + 1] >> shift) & 255);
      return int(low + part * (high - low) + 0.5f);
    };
    colours[i] = IM_COL32(mixed(16), mixed(8), mixed(0), 255);
  }
  return colours;
}

}  // namespace

ImU32 viridis(float value) {
  static const std::array<ImU32, shades> colours = shades_of_viridis();
  const float part = value > 0 ? std::min(value, 1.f) : 0.f;  // of what is no number, the first
  return colours[std::size_t(part * float(shades - 1) + 0.5f)];
}

}  // namespace kvcache::visualizer
