// What the heat maps are made of: where their cells lie, how they are painted, and what is written around them.
#pragma once

#include <imgui.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scene.hpp"
#include "view.hpp"
#include "widgets.hpp"

namespace kvcache::visualizer {

/// Cells side by side along one axis, from pixel 0 on. A cell may be many pixels wide, or a pixel hold many cells.
struct Lane {
  float pixels = 1;  // along the axis
  float shown = 1;   // cells in them, perhaps a fraction
  float first = 0;   // where the axis begins, in cells
  int count = 1;     // cells there are

  struct Range {
    int begin, end;
  };

  float cell() const { return pixels / shown; }
  /// The first pixel of a cell.
  float edge(int index) const { return std::ceil((float(index) - first) * cell() - 0.5f); }
  /// The cell at so many pixels from the beginning.
  int index_at(float offset) const {
    return std::clamp(int(std::floor(first + offset / cell())), 0, std::max(0, count - 1));
  }
  /// The cells that share a pixel; one, unless cells are narrower than a pixel.
  Range at_pixel(int pixel) const {
    if (cell() >= 1) {
      const int index = index_at(float(pixel) + 0.5f);
      return {index, index + 1};
    }
    const int begin = index_at(float(pixel));
    return {begin, std::clamp(int(std::floor(first + float(pixel + 1) / cell())), begin + 1, count)};
  }
  /// Wide cells leave a pixel free, so that they can be told apart.
  bool has_gaps() const { return cell() >= 5; }
  bool is_gap(int pixel) const {
    return has_gaps() && pixel + 1 < int(pixels) && at_pixel(pixel).begin != at_pixel(pixel + 1).begin;
  }
};

/// Of two numbers in one pixel, the larger.
struct Larger {
  float operator()(float a, float b) const { return std::max(a, b); }
};
/// Of two numbers in one pixel, the one farther from zero.
struct FartherFromZero {
  float operator()(float a, float b) const { return std::abs(b) > std::abs(a) ? b : a; }
};

/// Paints cells: row(index) are the numbers of a row from column 0 on, colour(number) is the colour of one. A row may
/// end early; its other cells hold `beyond`. Where several cells share a pixel, `choose` says which number is shown.
template <class Row, class Colour, class Choose = Larger>
void paint_cells(std::span<ImU32> pixels, const Lane& down, const Lane& across, const Row& row, float beyond,
                 const Colour& colour, const Choose& choose = {}) {
  const int width = int(across.pixels), height = int(down.pixels);
  std::vector<Lane::Range> columns;
  std::vector<bool> gaps;
  for (int x = 0; x < width; ++x) columns.push_back(across.at_pixel(x)), gaps.push_back(across.is_gap(x));
  std::vector<float> merged(std::size_t(across.count));  // one number for each column, of the rows that share a line
  const auto merge = [&](Lane::Range rows) {
    const std::span<const float> first = row(rows.begin);
    std::fill(std::ranges::copy(first, merged.begin()).out, merged.end(), beyond);
    for (int index = rows.begin + 1; index < rows.end; ++index) {
      const std::span<const float> next = row(index);
      float* into = merged.data();
      for (const float number : next) *into = choose(*into, number), ++into;
      for (; into != merged.data() + merged.size(); ++into) *into = choose(*into, beyond);
    }
  };
  for (int y = 0, painted = -1, painted_row = -1; y < height; ++y) {
    if (down.is_gap(y)) continue;
    ImU32* line = pixels.data() + std::size_t(y) * std::size_t(width);
    const Lane::Range rows = down.at_pixel(y);
    if (painted_row == rows.begin && painted >= 0) {  // the same cells as in the line above
      std::copy_n(pixels.data() + std::size_t(painted) * std::size_t(width), width, line);
      continue;
    }
    merge(rows);
    for (int x = 0, drawn_column = -1; x < width; ++x) {
      if (gaps[std::size_t(x)]) continue;
      const Lane::Range cells = columns[std::size_t(x)];
      if (cells.begin == drawn_column) {
        line[x] = line[x - 1];
        continue;
      }
      float number = merged[std::size_t(cells.begin)];
      for (int column = cells.begin + 1; column < cells.end; ++column)
        number = choose(number, merged[std::size_t(column)]);
      line[x] = colour(number);
      drawn_column = cells.begin;
    }
    painted = y, painted_row = rows.begin;
  }
}

/// A colour for -1 (blue) to 1 (orange); 0 is nearly the ground. Both ends are equally far from it in lightness.
ImU32 diverging(float value);
/// Black or white, whichever can be read on a colour.
ImU32 ink_on(ImU32 colour);

enum class Align { left, centre, right };
/// The size of the small font, in pixels.
float small_em();
float small_width(std::string_view text);
/// Small text at a place, without a widget.
void small_text(ImVec2 at, std::string_view text, ImU32 colour, Align align = Align::left, bool mono = false);

/// A bar of colours from its least value to its most, each written at its end: "0 [===] 0.42". Its colours are
/// colour(from) to colour(1).
struct ColourScale {
  std::string least, most;
  ImU32 (*colour)(float);
  float from = 0;
  float bar_em = 4;

  float width() const;
  void draw(ImVec2 at) const;
};

/// Numbers under the cells of a lane that begins at `at`, as many as fit.
void numbers_below(ImVec2 at, const Lane& lane);
/// Every how manieth of cells of a size can have a label that needs `room`: 1, 2, 5, 10, 20 ...
int label_step(float cell, float room);

/// The outline of the cells [rows] x [columns] of a map at `at`; clipped to the map.
void outline_cells(ImVec2 at, const Lane& down, const Lane& across, Lane::Range rows, Lane::Range columns, ImU32 colour,
                   float thickness = 1.5f);

/// Controls and text of a panel are small where it is low.
class PanelStyle {
 public:
  PanelStyle();
  ~PanelStyle();
  PanelStyle(const PanelStyle&) = delete;
  PanelStyle& operator=(const PanelStyle&) = delete;
  bool is_small() const { return is_small_; }

 private:
  bool is_small_;
};
/// The width of a slider, in em, so that two of them and a badge fit into a line of the panel.
float slider_width();
/// What a picture's painting found out, such as the largest value, kept for the frames in which nothing is painted.
float remembered(const char* name);
void remember(const char* name, float value);

/// Short numbers: "0.042", "3.21", "12".
std::string short_number(float value);
/// The token at a position of the text, as it can be seen; its number, if there is no tokenizer: #4711.
std::string token_at(const Scene& scene, int position);
/// Looks at another kv head, and at a query head that reads it.
void choose_kv_head(const Scene& scene, View& view, int kv_head);

}  // namespace kvcache::visualizer
