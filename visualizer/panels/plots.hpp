// What the panels with plots share: one look, and one meaning of the mouse. Plots do not pan or zoom: they always show
// all there is, and a click or a drag in them moves to the step under the mouse.
#pragma once

#include <imgui.h>

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kvcache/core/work.hpp"
#include "scene.hpp"
#include "view.hpp"
#include "widgets.hpp"

namespace kvcache::visualizer {

/// While it lives, controls are drawn small, and smaller still where the panel is narrow: the header is one line.
class SmallControls {
 public:
  SmallControls();
  ~SmallControls();
  SmallControls(const SmallControls&) = delete;
  SmallControls& operator=(const SmallControls&) = delete;

 private:
  bool is_narrow_;
};

/// While it lives, text is a little smaller; where there is plenty of room it is not.
class SmallText {
 public:
  explicit SmallText(bool roomy = false);
  ~SmallText();
  SmallText(const SmallText&) = delete;
  SmallText& operator=(const SmallText&) = delete;
};

/// SameLine, if so much still fits beside the last item; else the next item begins a line.
void same_line_if_fits(float width, float gap = -1);
/// Curves and their colours, in a line above a plot, where they hide nothing. A caption may follow on the same line.
struct Entry {
  const char* name;
  ImU32 colour;
};
void plot_legend(std::initializer_list<Entry> entries);
/// A muted note, after a legend or on a line of its own: the full text if there is room, else the short one, with the
/// full one as its tooltip. Left out if the plot below needs the room.
void caption(const std::string& full, const std::string& brief);
/// The first of some wordings that fits into what is left of the line; else the last.
std::string fitting(std::initializer_list<std::string> wordings);
/// A thin bar and a few words while steps are being compared; nothing otherwise.
void comparing_progress(const Scene& scene);
/// A sign of how a check came out: a coloured box with a few words, in the middle of a line of controls. `expected`:
/// not the same, and for such a cache that is no fault.
enum class Verdict { good, expected, bad };
void verdict(Verdict found, const std::string& words);

/// One bar of several that share a scale: its name, pieces one after the other, and what it says in figures.
struct BarPiece {
  double length = 0;
  ImU32 colour = 0;
  std::string tip;
};
struct BarLook {
  double full = 1;        // what the whole width stands for
  float name_width = 0;   // 0: the name is there already, on the same line
  float value_width = 0;  // kept free at the right
  float height = 0;
  double limit = -1;  // marked by a line, if not negative
};
void draw_bar(const char* name, std::span<const BarPiece> pieces, const std::string& value, const BarLook& look);

/// The colour of a part of the work, the same in every panel.
ImU32 part_colour(Part part);

struct Axes {
  double x_least = 0, x_most = 1, y_least = 0, y_most = 1;
  const char* x_label = nullptr;
  const char* y_format = "%g";
  bool log_y = false;
  bool y_is_bytes = false;
};
/// The horizontal axis of all plots over a run: how many tokens the text has.
Axes axes_over_tokens(const Scene& scene);
/// Fills the room that is left. Always followed by end_plot, if true. False: there is too little room.
bool begin_plot(const char* id, const Axes& axes);
/// Remembers where the inside of the plot is, for tests.
void end_plot(View& view, const char* name);

void plot_line(const char* label, const std::vector<double>& x, const std::vector<double>& y, int first, ImU32 colour,
               float width = 2.2f);
void plot_band(const char* label, const std::vector<double>& x, const std::vector<double>& low,
               const std::vector<double>& high, int first, ImU32 colour, float opacity = 0.28f);
void plot_stairs(const char* label, const std::vector<double>& x, const std::vector<double>& y, ImU32 colour,
                 float width = 2.2f);
/// A ring, for a value that does not belong to the curve.
void plot_ring(double x, double y, ImU32 colour);
void vertical_line(double x);
void horizontal_line(double y, ImU32 colour);
/// Words that stand on a level, at the right end of the plot.
void plot_note(const char* text, double x_most, double y, ImU32 colour);
/// A box with a figure that points to a place, from the right: from below, under a curve that rises, or from above.
void callout(double x, double y, ImU32 colour, const std::string& text, bool above = false);
/// Two of them, kept apart where their values are close.
struct Callout {
  double y = 0;
  ImU32 colour = 0;
  std::string text;
};
void callouts(double x, Callout a, Callout b);

/// The step under the mouse, of the first `steps`, while the mouse is in the plot. A click or drag goes there.
std::optional<int> step_under_mouse(const Scene& scene, View& view, int steps);
/// The first line of every tooltip of a plot.
std::string step_in_words(const Scene& scene, int step);
void coloured(ImU32 colour, const std::string& text);

/// Round numbers for an axis, at most `most_ticks` of them.
std::vector<double> round_ticks(double least, double most, int most_ticks, bool whole);

}  // namespace kvcache::visualizer
