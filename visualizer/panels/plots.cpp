#include "plots.hpp"

#include <fmt/core.h>
#include <implot.h>

#include <algorithm>
#include <cmath>

#include "common/readable.hpp"
#include "theme.hpp"

namespace kvcache::visualizer {
namespace {

constexpr float small_text = 0.84f * text_size;

/// 1, 2 and 5 of each decade where two or three are shown; else whole decades.
std::vector<double> log_ticks(double least, double most, int most_ticks) {
  const int first = int(std::floor(std::log10(least))), last = int(std::ceil(std::log10(most)));
  const int decades = last - first, every = std::max(1, (decades + most_ticks - 1) / std::max(1, most_ticks));
  std::vector<double> ticks;
  for (int d = first; d <= last; ++d)
    for (const double factor : {1., 2., 5.}) {
      if (factor > 1 ? 3 * decades > most_ticks + 3 : (d - last) % every != 0) continue;
      const double tick = factor * std::pow(10., d);
      if (tick >= least * 0.999 && tick <= most * 1.001) ticks.push_back(tick);
    }
  return ticks;
}

void byte_ticks(double most, int most_ticks, std::vector<double>& ticks, std::vector<std::string>& labels) {
  const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double unit = 1;
  int name = 0;
  while (most / unit >= 1024 && name < 4) unit *= 1024, ++name;
  ticks = round_ticks(0, most / unit, most_ticks, false);
  for (double& tick : ticks) {
    labels.push_back(fmt::format("{:g} {}", tick, units[name]));
    tick *= unit;
  }
}

void set_up_y(const Axes& axes, float height) {
  const int most_ticks = std::clamp(int(height / (em() * 1.9f)), 2, 8);
  ImPlot::SetupAxisLimits(ImAxis_Y1, axes.y_least, axes.y_most, ImPlotCond_Always);
  ImPlot::SetupAxisFormat(ImAxis_Y1, axes.y_format);
  if (axes.log_y) ImPlot::SetupAxisScale(ImAxis_Y1, ImPlotScale_Log10);
  std::vector<double> ticks;
  std::vector<std::string> labels;
  if (axes.y_is_bytes)
    byte_ticks(axes.y_most, most_ticks, ticks, labels);
  else
    ticks = axes.log_y ? log_ticks(axes.y_least, axes.y_most, most_ticks)
                       : round_ticks(axes.y_least, axes.y_most, most_ticks, false);
  std::vector<const char*> names;
  for (const std::string& label : labels) names.push_back(label.c_str());
  ImPlot::SetupAxisTicks(ImAxis_Y1, ticks.data(), int(ticks.size()), names.empty() ? nullptr : names.data());
}

ImPlotSpec line_spec(ImU32 colour, float width) {
  ImPlotSpec spec;
  spec.LineColor = as_vec4(colour);
  spec.LineWeight = width * ImGui::GetStyle().FontScaleMain;
  return spec;
}

}  // namespace

SmallControls::SmallControls()
    : is_narrow_(ImGui::GetContentRegionAvail().x < text_size * ImGui::GetStyle().FontScaleMain * 26) {
  if (is_narrow_) ImGui::PushFont(fonts().sans, small_text);
  ImGui::PushStyleVar(ImGuiStyleVar_FramePadding, {em() * 0.4f, em() * 0.18f});
  ImGui::PushStyleVar(ImGuiStyleVar_ItemSpacing, {em() * 0.35f, em() * 0.35f});
}
SmallControls::~SmallControls() {
  ImGui::PopStyleVar(2);
  if (is_narrow_) ImGui::PopFont();
}

SmallText::SmallText(bool roomy) { ImGui::PushFont(fonts().sans, roomy ? text_size : small_text); }
SmallText::~SmallText() { ImGui::PopFont(); }

void same_line_if_fits(float width, float gap) {
  const float right = ImGui::GetCursorScreenPos().x + ImGui::GetContentRegionAvail().x;
  const float between = gap < 0 ? ImGui::GetStyle().ItemSpacing.x : gap;
  if (ImGui::GetItemRectMax().x + between + width <= right) ImGui::SameLine(0, gap);
}

void plot_legend(std::initializer_list<Entry> entries) {
  const SmallText small;
  for (const Entry& entry : entries) legend(entry.name, entry.colour);
}

void caption(const std::string& full, const std::string& brief) {
  const SmallText small;
  const float room = ImGui::GetContentRegionAvail().y;
  const auto fits = [](const std::string& text) {
    return ImGui::CalcTextSize(text.c_str()).x <= ImGui::GetContentRegionAvail().x;
  };
  const bool after_legend = ImGui::GetCursorPosX() > ImGui::GetCursorStartPos().x + 1;
  const bool same_line = after_legend && fits(brief);
  if (after_legend && !same_line) ImGui::NewLine();
  if (!same_line && room < em() * 9) return;
  const bool show_full = fits(full) || (!same_line && room > em() * 20);
  ImGui::PushStyleColor(ImGuiCol_Text, theme().muted);
  wrapped(show_full ? full : brief);
  ImGui::PopStyleColor();
  if (!show_full) ImGui::SetItemTooltip("%s", full.c_str());
}

std::string fitting(std::initializer_list<std::string> wordings) {
  for (const std::string& words : wordings)
    if (ImGui::CalcTextSize(words.c_str()).x <= ImGui::GetContentRegionAvail().x) return words;
  return wordings.size() == 0 ? std::string() : *(wordings.end() - 1);
}

void comparing_progress(const Scene& scene) {
  const Progress& progress = scene.progress;
  const int steps = scene.comparison.steps(), all = scene.timeline.steps();
  if (progress.what.empty() || progress.what == "decoding" || steps == 0 || progress.total == 0) return;
  const SmallText small;
  const int repeats = progress.total / all, repeat = std::min(repeats, (progress.done - 1) / all + 1);
  muted(steps < all ? fmt::format("compared {} of {} steps", steps, all)
                    : fmt::format("compared all {} steps; repeat {} of {}", all, repeat, repeats));
  ImGui::SameLine();
  ImGui::ProgressBar(float(progress.done) / float(progress.total), {-1, em()}, "");
}

void verdict(Verdict found, const std::string& words) {
  const float line = ImGui::GetFrameHeight();
  ImGui::PushFont(fonts().bold, small_text);
  const ImVec2 text = ImGui::CalcTextSize(words.c_str()), pad{em() * 0.5f, em() * 0.15f};
  ImGui::SetCursorPosY(ImGui::GetCursorPosY() + (line - text.y) / 2 - pad.y);
  ImGui::Dummy({text.x + 2 * pad.x, text.y + 2 * pad.y});
  const ImVec2 a = ImGui::GetItemRectMin(), b = ImGui::GetItemRectMax();
  const ImU32 colours[] = {theme().decoded, theme().accent, theme().error}, colour = colours[int(found)];
  ImGui::GetWindowDrawList()->AddRectFilled(a, b, faded(colour, 0.22f), em() * 0.3f);
  ImGui::GetWindowDrawList()->AddRect(a, b, colour, em() * 0.3f, 0, 1.5f);
  ImGui::GetWindowDrawList()->AddText({a.x + pad.x, a.y + pad.y}, theme().text, words.c_str());
  ImGui::PopFont();
}

void draw_bar(const char* name, std::span<const BarPiece> pieces, const std::string& value, const BarLook& look) {
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const float text_y = at.y + (look.height - em()) / 2, gap = em() * 0.5f;
  ImDrawList* draw = ImGui::GetWindowDrawList();
  if (look.name_width > 0) draw->AddText({at.x, text_y}, theme().muted, name);
  const float start = at.x + (look.name_width > 0 ? look.name_width + gap : 0);
  const float most = std::max(1.f, at.x + ImGui::GetContentRegionAvail().x - look.value_width - gap - start);
  const float top = at.y + look.height * 0.1f, bottom = at.y + look.height * 0.9f;
  double sum = 0;
  float x = start;
  for (const BarPiece& piece : pieces) {
    sum += piece.length;
    const float end = start + most * float(std::min(1., sum / std::max(look.full, 1e-300)));
    const ImVec2 a{x, top}, b{std::max(end, piece.length > 0 ? x + 1 : x), bottom};
    if (piece.length > 0) draw->AddRectFilled(a, b, piece.colour, 2);
    if (!piece.tip.empty() && ImGui::IsWindowHovered() && ImGui::IsMouseHoveringRect(a, b))
      ImGui::SetTooltip("%s", piece.tip.c_str());
    x = b.x;
  }
  if (look.limit >= 0) {
    const float at_limit = start + most * float(std::min(1., look.limit / std::max(look.full, 1e-300)));
    draw->AddLine({at_limit, at.y}, {at_limit, at.y + look.height}, theme().text, em() * 0.12f);
    x = std::max(x, at_limit);
  }
  draw->AddText({x + gap, text_y}, theme().text, value.c_str());
  ImGui::Dummy({1, look.height});
}

ImU32 part_colour(Part part) {
  switch (part) {
    case Part::projection:
      return theme().prompt;
    case Part::attention:
      return theme().newest;
    case Part::feed_forward:
      return theme().decoded;
    case Part::output_layer:
      return IM_COL32(0xCC, 0x79, 0xA7, 255);
    case Part::copying:
      return theme().moved;
    default:
      return theme().muted;
  }
}

std::vector<double> round_ticks(double least, double most, int most_ticks, bool whole) {
  if (!(most > least)) return {least};
  const double range = most - least, wanted = range / std::max(1, most_ticks);
  const double decade = std::pow(10., std::floor(std::log10(wanted)));
  double step = decade;
  for (const double factor : {2., 5., 10.})
    if (step < wanted && factor * decade <= range) step = factor * decade;
  if (whole) step = std::max(1., step);
  std::vector<double> ticks;
  for (double i = std::ceil(least / step - 1e-9); i * step <= most + 1e-9 * range; ++i)
    ticks.push_back(i * step + 0.0);  // -0 becomes 0
  return ticks;
}

Axes axes_over_tokens(const Scene& scene) {
  const double first = scene.timeline.length_after(0), last = scene.timeline.length_after(scene.timeline.steps() - 1);
  const double margin = std::max(0.5, (last - first) * 0.01);
  Axes axes;
  axes.x_least = first - margin, axes.x_most = last + margin;
  axes.x_label = "tokens in the text";
  return axes;
}

bool begin_plot(const char* id, const Axes& axes) {
  const ImVec2 room = ImGui::GetContentRegionAvail();
  if (room.y < em() * 2.5f || room.x < em() * 8) return false;
  ImGui::PushFont(fonts().sans, room.y > 24 * em() ? text_size : small_text);
  ImPlot::PushStyleVar(ImPlotStyleVar_PlotMinSize, {em() * 4, em() * 2});
  ImPlot::PushStyleVar(ImPlotStyleVar_PlotPadding, {em() * 0.2f, em() * 0.3f});
  if (!ImPlot::BeginPlot(id, {-1, -1}, ImPlotFlags_CanvasOnly)) {
    ImPlot::PopStyleVar(2);
    ImGui::PopFont();
    return false;
  }
  const bool labelled = axes.x_label && room.y > em() * 8, tiny = room.y < em() * 5;
  const ImPlotAxisFlags flags = ImPlotAxisFlags_Lock | ImPlotAxisFlags_NoMenus | ImPlotAxisFlags_NoHighlight;
  ImPlot::SetupAxis(ImAxis_X1, labelled ? axes.x_label : nullptr, flags | (tiny ? ImPlotAxisFlags_NoTickLabels : 0));
  ImPlot::SetupAxis(ImAxis_Y1, nullptr, flags);
  ImPlot::SetupAxisLimits(ImAxis_X1, axes.x_least, axes.x_most, ImPlotCond_Always);
  const auto ticks = round_ticks(std::ceil(axes.x_least), axes.x_most, std::max(2, int(room.x / (em() * 4))), true);
  ImPlot::SetupAxisTicks(ImAxis_X1, ticks.data(), int(ticks.size()));
  set_up_y(axes, room.y - em() * (labelled ? 3 : 2));
  return true;
}

void end_plot(View& view, const char* name) {
  const ImVec2 at = ImPlot::GetPlotPos(), size = ImPlot::GetPlotSize();
  if (view.record_marks) view.marks[name] = {at, {at.x + size.x, at.y + size.y}};
  ImPlot::EndPlot();
  ImPlot::PopStyleVar(2);
  ImGui::PopFont();
}

void plot_line(const char* label, const std::vector<double>& x, const std::vector<double>& y, int first, ImU32 colour,
               float width) {
  const int count = int(std::min(x.size(), y.size())) - first;
  if (count > 0) ImPlot::PlotLine(label, x.data() + first, y.data() + first, count, line_spec(colour, width));
}

void plot_band(const char* label, const std::vector<double>& x, const std::vector<double>& low,
               const std::vector<double>& high, int first, ImU32 colour, float opacity) {
  const int count = int(std::min(x.size(), low.size())) - first;
  ImPlotSpec spec = line_spec(colour, 1);
  spec.FillColor = as_vec4(colour);
  spec.FillAlpha = opacity;
  if (count > 0) ImPlot::PlotShaded(label, x.data() + first, low.data() + first, high.data() + first, count, spec);
}

void plot_stairs(const char* label, const std::vector<double>& x, const std::vector<double>& y, ImU32 colour,
                 float width) {
  ImPlot::PlotStairs(label, x.data(), y.data(), int(std::min(x.size(), y.size())), line_spec(colour, width));
}

void plot_ring(double x, double y, ImU32 colour) {
  ImPlotSpec spec = line_spec(colour, 1.6f);
  spec.Flags = ImPlotItemFlags_NoLegend;
  spec.Marker = ImPlotMarker_Circle;
  spec.MarkerSize = em() * 0.3f;
  spec.MarkerLineColor = as_vec4(colour), spec.MarkerFillColor = as_vec4(faded(colour, 0));
  ImPlot::PlotScatter("##ring", &x, &y, 1, spec);
}

void vertical_line(double x) {
  ImPlotSpec spec = line_spec(faded(theme().text, 0.55f), 1.2f);
  spec.Flags = ImPlotItemFlags_NoLegend;
  ImPlot::PlotInfLines("##shown", &x, 1, spec);
}

void horizontal_line(double y, ImU32 colour) {
  ImPlotSpec spec = line_spec(colour, 1.2f);
  spec.Flags = int(ImPlotItemFlags_NoLegend) | int(ImPlotInfLinesFlags_Horizontal);
  ImPlot::PlotInfLines("##level", &y, 1, spec);
}

void plot_note(const char* text, double x_most, double y, ImU32 colour) {
  ImPlot::PushStyleColor(ImPlotCol_InlayText, colour);
  ImPlot::PlotText(text, x_most, y, {-ImGui::CalcTextSize(text).x / 2 - em() * 0.4f, -em() * 0.65f});
  ImPlot::PopStyleColor();
}

void callout(double x, double y, ImU32 colour, const std::string& text, bool above) {
  ImPlot::Annotation(x, y, as_vec4(colour), {em() * 0.7f, (above ? -0.7f : 0.7f) * em()}, true, "%s", text.c_str());
}

void callouts(double x, Callout a, Callout b) {
  if (a.y < b.y) std::swap(a, b);
  const ImVec2 upper = ImPlot::PlotToPixels(x, a.y), lower = ImPlot::PlotToPixels(x, b.y);
  const bool close = lower.y - upper.y < em() * 2;
  // Towards the farther end of the plot.
  const float side = upper.x < ImPlot::GetPlotPos().x + ImPlot::GetPlotSize().x / 2 ? em() * 0.7f : -em() * 0.7f;
  ImPlot::Annotation(x, a.y, as_vec4(a.colour), {side, -em() * (close ? 1.6f : 0.7f)}, true, "%s", a.text.c_str());
  ImPlot::Annotation(x, b.y, as_vec4(b.colour), {side, em() * (close ? 0.5f : -0.7f)}, true, "%s", b.text.c_str());
}

std::optional<int> step_under_mouse(const Scene& scene, View& view, int steps) {
  if (steps < 1 || !ImPlot::IsPlotHovered()) return {};
  const double tokens = ImPlot::GetPlotMousePos().x;
  const int step = std::clamp(int(std::lround(tokens)) - scene.timeline.length_after(0), 0, steps - 1);
  if (ImGui::IsMouseDown(ImGuiMouseButton_Left)) {
    view.step = step;
    view.playing = view.is_opening = false;
    view.stage = -1;
  }
  view.hovered_position = scene.timeline.length_after(step) - 1;
  return step;
}

std::string step_in_words(const Scene& scene, int step) {
  return fmt::format("step {}, position {}: {} tokens in the text", step, scene.timeline.length_after(step) - 1,
                     scene.timeline.length_after(step));
}

void coloured(ImU32 colour, const std::string& text) {
  ImGui::PushStyleColor(ImGuiCol_Text, colour);
  ImGui::TextUnformatted(text.c_str());
  ImGui::PopStyleColor();
}

}  // namespace kvcache::visualizer
