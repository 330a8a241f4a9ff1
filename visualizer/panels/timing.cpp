// What the cache saves in time: every step done both ways, in turns.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "panels.hpp"
#include "plots.hpp"
#include "theme.hpp"
#include "time_ratio.hpp"

namespace kvcache::visualizer {
namespace {

constexpr const char* name_with = "with cache";
constexpr const char* name_without = "without cache";

/// In the order in which they are stacked.
constexpr const auto& parts = all_parts;

/// Three digits, whatever the size.
std::string in_ms(double ms) { return fmt::format("{:.{}f} ms", ms, ms >= 100 ? 0 : ms >= 10 ? 1 : ms >= 1 ? 2 : 3); }
std::string in_seconds(double s) { return s < 1 ? in_ms(1e3 * s) : fmt::format("{:.{}f} s", s, s >= 100 ? 0 : 2); }
std::string as_ratio(double ratio) {
  return fmt::format("{:.{}f} times", ratio, ratio >= 100 ? 0 : ratio >= 10 ? 1 : 2);
}

double largest(const std::vector<double>& numbers, int first) {
  return int(numbers.size()) > first ? *std::max_element(numbers.begin() + first, numbers.end()) : 0;
}
double least(const std::vector<double>& numbers, int first) {
  return int(numbers.size()) > first ? *std::min_element(numbers.begin() + first, numbers.end()) : HUGE_VAL;
}

/// Room above the curves; below them too where zero cannot be shown.
void fit_y(Axes& axes, double low, double high, bool log) {
  axes.log_y = log;
  if (!(high > 0) || high == HUGE_VAL) high = 1;
  axes.y_least = log ? std::clamp(low, high * 1e-6, high) * 0.7 : 0;
  axes.y_most = high * (log ? 1.6 : 1.15);
}

void draw_controls(const Scene& scene, View& view) {
  const SmallControls small;
  struct Choice {
    TimingCurve curve;
    const char *id, *label, *tip;
  };
  constexpr std::array<Choice, 4> choices{{
      {TimingCurve::per_token, "timing-per-token", "per token", "Time of each step"},
      {TimingCurve::cumulative, "timing-cumulative", "total", "Time since the start"},
      {TimingCurve::ratio, "timing-ratio", "ratio", "How many times faster with the cache"},
      {TimingCurve::parts, "timing-parts", "parts", "Projection, attention, feed-forward and the rest"},
  }};
  const bool compared = scene.comparison.steps() > 0;
  ImGui::BeginDisabled(!compared);
  for (const Choice& c : choices) {
    if (c.curve != TimingCurve::per_token) same_line_if_fits(ImGui::CalcTextSize(c.label).x + em() * 0.8f);
    if (button(view, c.id, c.label, c.tip, compared && view.timing == c.curve)) view.timing = c.curve;
  }
  ImGui::EndDisabled();
  same_line_if_fits(em() * 3.5f);
  ImGui::BeginDisabled(compared && view.timing == TimingCurve::parts);
  ImGui::Checkbox("log##timing-log", &view.log_axis);
  mark(view, "timing-log");
  ImGui::EndDisabled();
  badge_at_end(Source::measured, "Clock time on this machine, of steps done while nothing is recorded or drawn.");
}

/// Whether the times are this program's own, in a line if they are not.
void draw_disturbed(const Scene& scene, View& view) {
  const std::string why = scene.comparison.disturbed();
  if (why.empty()) return;
  const SmallText small;
  coloured(theme().error, cut_to_fit("Disturbed: " + why + ". End what else runs, and run again (R).",
                                     ImGui::GetContentRegionAvail().x));
  if (view.record_marks) view.marks["timing-disturbed"] = {};
}

/// Said wherever a ratio would stand.
std::string ratio_in_words(const Scene& scene, double ratio) {
  return scene.comparison.repeats_agree() ? as_ratio(ratio) : "not known, for the repeats disagree";
}

// ---- per token ----

/// A step that reads a long prompt would press all others to the floor.
bool prompt_dwarfs(double prompt_ms, double others_ms) { return others_ms > 0 && prompt_ms > 3 * others_ms; }

/// "3", or "2 to 3" while the last repeat goes on.
std::string count_of_repeats(const Curves& curves) {
  const auto [least, most] = std::minmax_element(curves.repeats.begin(), curves.repeats.end());
  return *least == *most ? fmt::format("{}", *most) : fmt::format("{} to {}", *least, *most);
}
bool are_repeated(const Curves& curves) { return *std::max_element(curves.repeats.begin(), curves.repeats.end()) > 1; }

std::string repeats_in_words(const Curves& curves) {
  return !are_repeated(curves)
             ? "one repeat, so no band, and nothing says how far another would be off"
             : fmt::format("median of {} repeats, band from the 10th to the 90th percentile", count_of_repeats(curves));
}

void legend_of_ways() { plot_legend({{name_without, theme().without_cache}, {name_with, theme().with_cache}}); }

void per_token_tooltip(const Scene& scene, const Curves& curves, int step) {
  const std::size_t s = std::size_t(step);
  if (!ImGui::BeginTooltip()) return;
  ImGui::TextUnformatted(step_in_words(scene, step).c_str());
  coloured(theme().without_cache, "without cache  " + in_ms(curves.without.median_ms[s]));
  coloured(theme().with_cache, "with cache  " + in_ms(curves.with.median_ms[s]));
  ImGui::TextUnformatted(("without / with: " + ratio_in_words(scene, curves.ratio[s])).c_str());
  if (curves.repeats[s] > 1)
    muted(fmt::format("{} repeats; 10th to 90th percentile: without {} to {}, with {} to {}", curves.repeats[s],
                      in_ms(curves.without.low_ms[s]), in_ms(curves.without.high_ms[s]), in_ms(curves.with.low_ms[s]),
                      in_ms(curves.with.high_ms[s])));
  else
    muted("timed once");
  ImGui::EndTooltip();
}

void draw_way(const char* name, const Curves& curves, const Curves::Way& way, bool ring, ImU32 colour) {
  plot_band(name, curves.tokens, way.low_ms, way.high_ms, 1, colour);
  plot_line(name, curves.tokens, way.median_ms, 1, colour);
  if (ring) plot_ring(curves.tokens[0], way.median_ms[0], colour);
}

void per_token_caption(const Curves& curves, bool prompt_left_out, bool band_is_cut) {
  const std::string with = in_ms(curves.with.median_ms[0]), without = in_ms(curves.without.median_ms[0]);
  const std::string both_ways =
      std::string(band_is_cut ? ", higher than the plot in places" : "") + "; both ways in turns, step by step; ";
  if (prompt_left_out)
    caption(repeats_in_words(curves) + both_ways +
                fmt::format("reading the prompt took {} with, {} without: left out", with, without),
            fmt::format("left out: the prompt, {} and {}", without, with));
  else
    caption(repeats_in_words(curves) + both_ways + "ring: reading the prompt",
            !are_repeated(curves) ? "one repeat; ring: reading the prompt"
                                  : fmt::format("median of {}, band 10th to 90th percentile{}; ring: prompt",
                                                count_of_repeats(curves), band_is_cut ? ", cut off" : ""));
}

void draw_per_token(const Scene& scene, View& view) {
  const Curves& curves = view.curves;
  const double others = std::max(largest(curves.with.median_ms, 1), largest(curves.without.median_ms, 1));
  const double prompt = std::max(curves.with.median_ms[0], curves.without.median_ms[0]);
  const bool leave_out = prompt_dwarfs(prompt, others);
  const int first = leave_out ? 1 : 0;
  const double band = std::max(largest(curves.with.high_ms, first), largest(curves.without.high_ms, first));
  const double high = std::min(band, 1.6 * std::max(others, leave_out ? 0 : prompt));
  legend_of_ways();
  per_token_caption(curves, leave_out, high < band);
  Axes axes = axes_over_tokens(scene);
  axes.y_format = "%g ms";
  fit_y(axes, std::min(least(curves.with.low_ms, first), least(curves.without.low_ms, first)), high, view.log_axis);
  if (!begin_plot("##per-token", axes)) return;
  draw_way(name_without, curves, curves.without, !leave_out, theme().without_cache);
  draw_way(name_with, curves, curves.with, !leave_out, theme().with_cache);
  vertical_line(scene.length());
  if (scene.step_index < curves.compared() && scene.step_index >= first) {
    const std::size_t s = std::size_t(scene.step_index);
    const double with = curves.with.median_ms[s], without = curves.without.median_ms[s];
    callouts(scene.length(), {without, theme().without_cache, in_ms(without)}, {with, theme().with_cache, in_ms(with)});
  }
  if (const auto step = step_under_mouse(scene, view, curves.compared())) per_token_tooltip(scene, curves, *step);
  end_plot(view, "timing-plot");
}

// ---- since the start ----

void cumulative_tooltip(const Scene& scene, const Curves& curves, int step) {
  const std::size_t s = std::size_t(step);
  if (!ImGui::BeginTooltip()) return;
  ImGui::TextUnformatted(("from the start to " + step_in_words(scene, step)).c_str());
  coloured(theme().without_cache, "without cache  " + in_seconds(curves.without.total_s[s]));
  coloured(theme().with_cache, "with cache  " + in_seconds(curves.with.total_s[s]));
  ImGui::TextUnformatted(("without / with: " + ratio_in_words(scene, curves.running_ratio[s])).c_str());
  ImGui::EndTooltip();
}

void draw_cumulative(const Scene& scene, View& view) {
  const Curves& curves = view.curves;
  legend_of_ways();
  caption("Time since the start, the prompt included: the medians of all steps, added up. " + repeats_in_words(curves),
          "since the start, with the prompt");
  Axes axes = axes_over_tokens(scene);
  axes.y_format = "%g s";
  fit_y(axes, std::min(curves.with.total_s[0], curves.without.total_s[0]),
        std::max(curves.with.total_s.back(), curves.without.total_s.back()), view.log_axis);
  if (!begin_plot("##cumulative", axes)) return;
  plot_line(name_without, curves.tokens, curves.without.total_s, 0, theme().without_cache);
  plot_line(name_with, curves.tokens, curves.with.total_s, 0, theme().with_cache);
  vertical_line(scene.length());
  if (scene.step_index < curves.compared()) {
    const std::size_t s = std::size_t(scene.step_index);
    const double with = curves.with.total_s[s], without = curves.without.total_s[s];
    callouts(scene.length(), {without, theme().without_cache, in_seconds(without)},
             {with, theme().with_cache, in_seconds(with)});
  }
  if (const auto step = step_under_mouse(scene, view, curves.compared())) cumulative_tooltip(scene, curves, *step);
  end_plot(view, "timing-plot");
}

// ---- ratio ----

void ratio_tooltip(const Scene& scene, const Curves& curves, int step) {
  const std::size_t s = std::size_t(step);
  if (!ImGui::BeginTooltip()) return;
  ImGui::TextUnformatted(step_in_words(scene, step).c_str());
  ImGui::TextUnformatted(("all steps up to here: " + as_ratio(curves.running_ratio[s])).c_str());
  muted("this step alone: " + as_ratio(curves.ratio[s]));
  ImGui::EndTooltip();
}

void draw_ratio(const Scene& scene, View& view) {
  if (!scene.comparison.repeats_agree())
    return wrapped("No ratio is known, for the repeats of the same work took different times.");
  const Curves& curves = view.curves;
  plot_legend({{"all steps so far", theme().decoded}, {"each step", faded(theme().muted, 0.8f)}});
  caption("Time without the cache / time with it. Below 1 the cache costs more than it saves.", "time without / with");
  Axes axes = axes_over_tokens(scene);
  fit_y(axes, std::min({0.7, least(curves.ratio, 0), least(curves.running_ratio, 0)}),
        std::max({1.3, largest(curves.ratio, 0), largest(curves.running_ratio, 0)}), view.log_axis);
  if (!begin_plot("##ratio", axes)) return;
  const std::vector<double> ends{axes.x_least, axes.x_most}, floor{axes.y_least, axes.y_least}, one{1, 1};
  plot_band("##loss", ends, floor, one, 0, theme().error, 0.14f);
  plot_line("each step", curves.tokens, curves.ratio, 0, faded(theme().muted, 0.8f), 1.4f);
  plot_line("all steps so far", curves.tokens, curves.running_ratio, 0, theme().decoded, 2.6f);
  horizontal_line(1, theme().error);
  plot_note("no gain", axes.x_most, 1, theme().error);
  vertical_line(scene.length());
  if (scene.step_index < curves.compared()) {
    const double ratio = curves.running_ratio[std::size_t(scene.step_index)];
    callout(scene.length(), ratio, theme().decoded, as_ratio(ratio));
  }
  if (const auto step = step_under_mouse(scene, view, curves.compared())) ratio_tooltip(scene, curves, *step);
  end_plot(view, "timing-plot");
}

// ---- parts ----

std::string part_in_words(const Curves::Way& way, Part part, int step) {
  const double all = way.stacked_ms.back()[std::size_t(step)], ms = way.part_ms(part, step);
  return fmt::format("{}  {}, {:.0f} %", name(part), in_ms(ms), all > 0 ? 100 * ms / all : 0);
}

/// Parts that took time in any of the first and last steps compared; tokenising never does while decoding.
bool is_worth_naming(const Curves& curves, Part part) {
  const int last = curves.compared() - 1;
  return curves.with.part_ms(part, 0) + curves.without.part_ms(part, 0) + curves.with.part_ms(part, last) +
             curves.without.part_ms(part, last) >
         0;
}

void draw_legend_of_parts(const Curves& curves) {
  const SmallText small;
  const float right = ImGui::GetCursorScreenPos().x + ImGui::GetContentRegionAvail().x;
  bool first = true;
  for (const Part part : parts) {
    if (!is_worth_naming(curves, part)) continue;
    const float width = ImGui::CalcTextSize(name(part)).x + em() * 1.3f;
    if (!first && ImGui::GetCursorScreenPos().x + width > right) ImGui::NewLine();
    legend(name(part), part_colour(part));
    first = false;
  }
  ImGui::NewLine();
}

/// The name of the bar is the switch for the curves below.
void draw_parts_bar(const Curves& curves, View& view, int step, bool with_cache, const BarLook& look) {
  const Curves::Way& way = with_cache ? curves.with : curves.without;
  if (button(view, with_cache ? "timing-parts-with" : "timing-parts-without", with_cache ? "with" : "without",
             "Show its parts over the text, below", view.parts_with_cache == with_cache))
    view.parts_with_cache = with_cache;
  ImGui::SameLine(look.name_width);
  std::array<BarPiece, part_count> pieces;
  for (const Part part : parts)
    pieces[std::size_t(part)] = {way.part_ms(part, step), part_colour(part), part_in_words(way, part, step)};
  BarLook beside = look;
  beside.name_width = 0;
  draw_bar("", pieces, in_ms(way.stacked_ms.back()[std::size_t(step)]), beside);
}

void draw_parts_bars(const Scene& scene, View& view) {
  const Curves& curves = view.curves;
  const int step = std::min(scene.step_index, curves.compared() - 1);
  const SmallText text(ImGui::GetContentRegionAvail().y > 18 * em());
  const SmallControls small;
  const auto width = [](const char* text) { return ImGui::CalcTextSize(text).x; };
  BarLook look;
  look.full =
      std::max(curves.with.stacked_ms.back()[std::size_t(step)], curves.without.stacked_ms.back()[std::size_t(step)]);
  look.name_width = width("without") + em() * 1.8f;
  look.value_width = width("00.00 ms") + em() * 0.5f;
  look.height = ImGui::GetFrameHeight();
  for (const bool with_cache : {false, true}) draw_parts_bar(curves, view, step, with_cache, look);
}

void parts_tooltip(const Scene& scene, const Curves::Way& way, int step) {
  if (!ImGui::BeginTooltip()) return;
  ImGui::TextUnformatted(step_in_words(scene, step).c_str());
  for (auto part = parts.rbegin(); part != parts.rend(); ++part)
    if (way.part_ms(*part, step) > 0) {
      legend("", part_colour(*part));
      ImGui::TextUnformatted(part_in_words(way, *part, step).c_str());
    }
  ImGui::EndTooltip();
}

void draw_parts(const Scene& scene, View& view) {
  const Curves& curves = view.curves;
  draw_parts_bars(scene, view);
  draw_legend_of_parts(curves);
  const Curves::Way& way = view.parts_with_cache ? curves.with : curves.without;
  const int first = prompt_dwarfs(way.median_ms[0], largest(way.median_ms, 1)) ? 1 : 0;
  Axes axes = axes_over_tokens(scene);
  axes.y_format = "%g ms";
  fit_y(axes, 0, largest(way.stacked_ms.back(), first), false);
  if (ImGui::GetContentRegionAvail().y > em() * 9)
    caption(
        fmt::format("{} the cache, each part on top of the others; bars: the step shown; medians of each part{}",
                    view.parts_with_cache ? "with" : "without", first == 1 ? "; reading the prompt is left out" : ""),
        fmt::format("{} the cache, part on part{}", view.parts_with_cache ? "with" : "without",
                    first == 1 ? "; the prompt is left out" : ""));
  if (!begin_plot("##parts", axes)) return;
  const std::vector<double> none(curves.tokens.size(), 0);
  for (std::size_t p = 0; p < part_count; ++p)
    if (is_worth_naming(curves, parts[p]))
      plot_band(fmt::format("##{}", name(parts[p])).c_str(), curves.tokens, p == 0 ? none : way.stacked_ms[p - 1],
                way.stacked_ms[p], first, part_colour(parts[p]), 0.9f);
  vertical_line(scene.length());
  if (const auto step = step_under_mouse(scene, view, curves.compared())) parts_tooltip(scene, way, *step);
  end_plot(view, "timing-plot");
}

// ---- no comparison ----

void draw_recorded(const Scene& scene, View& view) {
  const Curves& curves = view.curves;
  const bool with_cache = scene.timeline.about().use_cache;
  const double others = largest(curves.recorded_ms, 1);
  const int first = prompt_dwarfs(curves.recorded_ms[0], others) ? 1 : 0;
  const NotCompared why = why_not_compared(scene);
  std::string note = why.sentence;
  if (first == 1) note += fmt::format(" Reading the prompt took {}: left out.", in_ms(curves.recorded_ms[0]));
  const ImU32 colour = with_cache ? theme().with_cache : theme().without_cache;
  plot_legend(
      {{with_cache ? "this run, with cache, while being recorded" : "this run, without cache, while being recorded",
        colour}});
  caption(note, scene.will_compare ? "both ways: " + why.brief : "not timed both ways: Run ... (R), \"timed\" above 0");
  if (view.record_marks) view.marks[scene.will_compare ? "timing-to-come" : "timing-not-asked"] = {};
  Axes axes = axes_over_tokens(scene);
  axes.y_format = "%g ms";
  fit_y(axes, least(curves.recorded_ms, first), largest(curves.recorded_ms, first), view.log_axis);
  if (!begin_plot("##recorded", axes)) return;
  plot_line("##recorded", curves.tokens, curves.recorded_ms, 1, colour);
  if (first == 0) plot_ring(curves.tokens[0], curves.recorded_ms[0], colour);
  vertical_line(scene.length());
  if (scene.step_index >= first) {
    const double ms = curves.recorded_ms[std::size_t(scene.step_index)];
    callout(scene.length(), ms, colour, in_ms(ms));
  }
  if (const auto step = step_under_mouse(scene, view, scene.timeline.steps()))
    ImGui::SetTooltip("%s\n%s", step_in_words(scene, *step).c_str(),
                      in_ms(curves.recorded_ms[std::size_t(*step)]).c_str());
  end_plot(view, "timing-plot");
}

}  // namespace

void draw_timing(const Scene& scene, View& view) {
  follow(view.curves, scene, view.run_shown);
  draw_controls(scene, view);
  if (view.curves.compared() == 0) return draw_recorded(scene, view);
  comparing_progress(scene);
  draw_disturbed(scene, view);
  switch (view.timing) {
    case TimingCurve::per_token:
      return draw_per_token(scene, view);
    case TimingCurve::cumulative:
      return draw_cumulative(scene, view);
    case TimingCurve::ratio:
      return draw_ratio(scene, view);
    case TimingCurve::parts:
      return draw_parts(scene, view);
  }
}

}  // namespace kvcache::visualizer
