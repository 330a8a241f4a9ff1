// A plot as an SVG file: curves or points with error bars, for documents.
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

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

inline std::string svg_text(const std::string& text) {
  std::string safe;
  for (const char c : text) safe += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : std::string(1, c);
  return safe;
}
/// 1, 2 or 5 times a power of ten, so that about five fit into the range.
inline double svg_step(double range) {
  const double power = std::pow(10, std::floor(std::log10(range / 5))), leading = range / 5 / power;
  return power * (leading <= 1 ? 1 : leading <= 2 ? 2 : leading <= 5 ? 5 : 10);
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
  for (const SvgSeries& series : plot.series)
    for (const SvgPoint& p : series.points) {
      if (!std::isfinite(scaled(p.x)) || !std::isfinite(p.y)) continue;
      x_low = std::min(x_low, scaled(p.x)), x_high = std::max(x_high, scaled(p.x));
      y_low = std::min(y_low, p.y - p.error), y_high = std::max(y_high, p.y + p.error);
    }
  if (!(x_low <= x_high)) x_low = 0, x_high = 1, y_low = 0, y_high = 1;
  if (x_high == x_low) x_low -= 0.5, x_high += 0.5;
  const double margin = y_high > y_low ? 0.05 * (y_high - y_low) : 0.5;
  y_high += margin;
  if (!plot.y_from_zero) y_low -= margin;
  const auto x_of = [&](double x) { return left + (scaled(x) - x_low) / (x_high - x_low) * (width - left - right); };
  const auto y_of = [&](double y) {
    return height - bottom - (y - y_low) / (y_high - y_low) * (height - top - bottom);
  };

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
  for (double step = detail::svg_step(y_high - y_low), y = std::ceil(y_low / step) * step; y <= y_high; y += step) {
    line(left, y_of(y), width - right, y_of(y), "#ddd", 1);
    label(left - 8, y_of(y) + 4, "end", fmt::format("{:.4g}", std::abs(y) < step / 1e6 ? 0 : y));
  }
  if (plot.x_logarithmic) {
    for (double e = std::ceil(x_low - 1e-9); e <= x_high + 1e-9; ++e)
      label(x_of(std::exp2(e)), height - bottom + 20, "middle", fmt::format("{:.4g}", std::exp2(e)));
  } else {
    for (double step = detail::svg_step(x_high - x_low), x = std::ceil(x_low / step) * step; x <= x_high; x += step)
      label(x_of(x), height - bottom + 20, "middle", fmt::format("{:.4g}", std::abs(x) < step / 1e6 ? 0 : x));
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
      if (!std::isfinite(scaled(p.x)) || !std::isfinite(p.y)) continue;
      points += fmt::format("{:.1f},{:.1f} ", x_of(p.x), y_of(p.y));
      if (p.error > 0) line(x_of(p.x), y_of(p.y - p.error), x_of(p.x), y_of(p.y + p.error), colour, 1.5);
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
