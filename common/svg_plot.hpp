// A plot as an SVG file: curves or points with error bars, for documents.
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "kvcache/text/utf8.hpp"

namespace kvcache {

struct SvgPoint {
  double x = 0, y = 0, error = 0;  // error: half the length of its bar
};
struct SvgSeries {
  std::string name;
  std::vector<SvgPoint> points;
  bool marks = false;  // a mark at each point, as for few measured values
};
struct SvgPlot {
  std::string title, x_label, y_label;
  std::vector<SvgSeries> series;
  bool y_from_zero = true;
  bool x_logarithmic = false;
};

namespace detail {

/// What XML has no place for, bytes that are no UTF-8 and control characters, is written as U+FFFD.
inline std::string svg_text(std::string_view text) {
  std::string safe;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Front front = utf8_front(text.substr(at));
    const std::string_view piece = text.substr(at, front.bytes);
    const char32_t c = front.kind == Utf8Front::Kind::whole ? front.code_point : 0;
    const bool is_allowed = (c >= 0x20 && c != 0xFFFE && c != 0xFFFF) || c == U'\t' || c == U'\n';
    safe += c == U'<'    ? "&lt;"
            : c == U'>'  ? "&gt;"
            : c == U'&'  ? "&amp;"
            : is_allowed ? piece
                         : std::string_view("\xEF\xBF\xBD");
    at += front.bytes;
  }
  return safe;
}

/// One direction of a plot: from its low end to its high one, which are finite and far enough apart to be told apart.
struct SvgAxis {
  double low = 0, high = 1;

  /// Where a value lies, from 0 to 1. Halves: the range itself may be more than a double can be.
  double part(double value) const { return (value / 2 - low / 2) / (high / 2 - low / 2); }
  double half_range() const { return high / 2 - low / 2; }
  double largest() const { return std::max(std::abs(low), std::abs(high)); }
  /// 1, 2 or 5 times a power of ten, so that about five fit into the range.
  double step() const {
    const double fifth = half_range() / 2.5, power = std::pow(10, std::floor(std::log10(fifth))),
                 leading = fifth / power;
    return power * (leading <= 1 ? 1 : leading <= 2 ? 2 : leading <= 5 ? 5 : 10);
  }
  /// Multiples of step() within the range. Counted, not added up: a step may be too small to move a sum.
  std::vector<double> ticks() const {
    const double each = step(), first = std::ceil(low / each);
    std::vector<double> all;
    for (int i = 0; i < 20; ++i) {
      const double tick = (first + i) * each;
      if (tick > high) break;
      if (all.empty() || tick > all.back()) all.push_back(std::abs(tick) < each / 1e6 ? 0 : tick);
    }
    return all;
  }
  /// With so many digits that neighbours differ.
  std::string label(double tick) const {
    const int digits = int(std::ceil(std::log10(largest()) - std::log10(step()))) + 1;
    return fmt::format("{:.{}g}", tick, std::clamp(digits, 4, 17));
  }
};

/// From the smallest to the largest value; where there is but one, or doubles cannot tell them apart, a little around
/// it.
inline SvgAxis svg_axis(double low, double high) {
  if (!(low <= high)) return {};
  SvgAxis axis{low, high};
  const double least = std::max(1e-12 * axis.largest(), 1e-290);
  if (axis.half_range() < least) {
    const double around = std::max(0.5, 1e-9 * axis.largest());
    const double most = std::numeric_limits<double>::max();
    axis = {std::max(low - around, -most), std::min(high + around, most)};
  }
  return axis;
}

}  // namespace detail

/// The whole file. Points that are not finite are left out.
inline std::string to_svg(const SvgPlot& plot) {
  constexpr double width = 720, left = 70, right = 20, top = 40, bottom = 56, line_height = 18;
  constexpr double height = 420;  // without the legend, which stands below
  const bool two_columns = std::ranges::all_of(plot.series, [](const SvgSeries& s) { return s.name.size() <= 42; });
  const std::size_t columns = two_columns ? 2 : 1, lines = (plot.series.size() + columns - 1) / columns;
  // Okabe and Ito's colours, which people who see fewer colours can tell apart.
  constexpr std::array colours{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"};
  constexpr double infinity = std::numeric_limits<double>::infinity();
  double x_low = infinity, x_high = -infinity, y_low = plot.y_from_zero ? 0 : infinity, y_high = -infinity;
  const auto scaled = [&](double x) { return plot.x_logarithmic ? std::log2(x) : x; };
  const auto is_drawn = [&](const SvgPoint& p) { return std::isfinite(scaled(p.x)) && std::isfinite(p.y); };
  const auto has_bar = [](const SvgPoint& p) {
    return p.error > 0 && std::isfinite(p.y - p.error) && std::isfinite(p.y + p.error);
  };
  for (const SvgSeries& series : plot.series)
    for (const SvgPoint& p : series.points) {
      if (!is_drawn(p)) continue;
      const double bar = has_bar(p) ? p.error : 0;
      x_low = std::min(x_low, scaled(p.x)), x_high = std::max(x_high, scaled(p.x));
      y_low = std::min(y_low, p.y - bar), y_high = std::max(y_high, p.y + bar);
    }
  const detail::SvgAxis x_axis = detail::svg_axis(x_low, x_high);
  detail::SvgAxis y_axis = detail::svg_axis(y_low, y_high);
  if (plot.y_from_zero && y_low == 0) y_axis.low = 0;
  const double margin = 0.1 * y_axis.half_range();  // a twentieth of the range; little enough to stay finite
  if (std::isfinite(y_axis.high + margin)) y_axis.high += margin;
  if (!plot.y_from_zero && std::isfinite(y_axis.low - margin)) y_axis.low -= margin;
  const auto x_of = [&](double x) { return left + x_axis.part(scaled(x)) * (width - left - right); };
  const auto y_of = [&](double y) { return height - bottom - y_axis.part(y) * (height - top - bottom); };

  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"13\">\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
      "<text x=\"{}\" y=\"22\" font-size=\"15\">{}</text>\n",
      width, height + line_height * double(lines), left, detail::svg_text(plot.title));
  const auto label = [&](double x, double y, const char* anchor, const std::string& text) {
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" fill=\"#444\">{}</text>\n", x, y, anchor,
                       detail::svg_text(text));
  };
  const auto line = [&](double x1, double y1, double x2, double y2, const char* colour, double strength) {
    svg += fmt::format(
        "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\" stroke-width=\"{}\"/>\n", x1, y1,
        x2, y2, colour, strength);
  };
  for (const double y : y_axis.ticks()) {
    line(left, y_of(y), width - right, y_of(y), "#ddd", 1);
    label(left - 8, y_of(y) + 4, "end", y_axis.label(y));
  }
  if (plot.x_logarithmic) {
    const double every = std::max(1.0, std::ceil(x_axis.half_range() / 5));  // about ten powers of two at most
    for (double e = std::ceil(x_axis.low - 1e-9); e <= x_axis.high + 1e-9; e += every)
      if (const double x = std::exp2(e); std::isfinite(x))
        label(x_of(x), height - bottom + 20, "middle", fmt::format("{:.4g}", x));
  } else {
    for (const double x : x_axis.ticks()) label(x_of(x), height - bottom + 20, "middle", x_axis.label(x));
  }
  line(left, height - bottom, width - right, height - bottom, "#444", 1);
  label((left + width - right) / 2, height - 16, "middle", plot.x_label);
  svg +=
      fmt::format("<text transform=\"translate(18 {}) rotate(-90)\" text-anchor=\"middle\" fill=\"#444\">{}</text>\n",
                  (top + height - bottom) / 2, detail::svg_text(plot.y_label));

  for (std::size_t s = 0; s < plot.series.size(); ++s) {
    const SvgSeries& series = plot.series[s];
    const char* colour = colours[s % colours.size()];
    std::string points;
    for (const SvgPoint& p : series.points) {
      if (!is_drawn(p)) continue;
      points += fmt::format("{:.1f},{:.1f} ", x_of(p.x), y_of(p.y));
      if (has_bar(p)) line(x_of(p.x), y_of(p.y - p.error), x_of(p.x), y_of(p.y + p.error), colour, 1.5);
      if (series.marks)
        svg +=
            fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\" fill=\"{}\"/>\n", x_of(p.x), y_of(p.y), colour);
    }
    svg += fmt::format(
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" "
        "stroke-width=\"1.5\"{}/>\n",
        points, colour, s >= colours.size() ? " stroke-dasharray=\"6 3\"" : "");
    const double x = left + double(s / lines) * (width - left) / double(columns),
                 y = height + line_height * (double(s % lines) + 0.3);
    line(x, y - 4, x + 24, y - 4, colour, 3);
    label(x + 32, y, "start", series.name);
  }
  return svg + "</svg>\n";
}

}  // namespace kvcache
