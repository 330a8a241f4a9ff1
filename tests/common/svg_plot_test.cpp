#include "common/svg_plot.hpp"

#include <doctest/doctest.h>

#include <regex>

using namespace kvcache;

namespace {

constexpr double largest = std::numeric_limits<double>::max(), smallest = std::numeric_limits<double>::denorm_min();

/// All numbers of the attributes that say where something is.
std::vector<double> coordinates(const std::string& svg) {
  static const std::regex attribute(R"re( (?:x|y|x1|x2|y1|y2|cx|cy|points)="([^"]*)")re"), number(R"([^ ,]+)");
  std::vector<double> all;
  for (std::sregex_iterator at(svg.begin(), svg.end(), attribute), end; at != end; ++at) {
    const std::string value = (*at)[1];
    for (std::sregex_iterator n(value.begin(), value.end(), number); n != end; ++n)
      all.push_back(std::strtod(n->str().c_str(), nullptr));
  }
  return all;
}
std::vector<std::string> labels(const std::string& svg, const char* anchor) {
  const std::regex text(std::string("text-anchor=\"") + anchor + R"(" fill="#444">([^<]*)<)");
  std::vector<std::string> all;
  for (std::sregex_iterator at(svg.begin(), svg.end(), text), end; at != end; ++at) all.push_back((*at)[1]);
  return all;
}

}  // namespace

TEST_CASE("whatever the numbers are, all is drawn inside the picture") {
  const std::vector<double> odd{0,        1,        -1,        1e16,   1e16 + 2, 1e17,   1e300,       -1e300, largest,
                                -largest, smallest, -smallest, 1e-310, 2e-310,   1e-300, 1 + 2.3e-16, 1024,   -3.5};
  for (const bool from_zero : {true, false})
    for (const bool logarithmic : {true, false})
      for (const double a : odd)
        for (const double b : odd) {
          SvgPlot plot{"t", "x", "y", {{"s", {{a, b, 1}, {b, a, std::abs(a)}}, true}}, from_zero, logarithmic};
          const std::string svg = to_svg(plot);
          CHECK(svg.size() < 20'000);
          CHECK(svg.find("nan") == std::string::npos);
          CHECK(svg.find("inf") == std::string::npos);
          for (const double at : coordinates(svg)) {
            CHECK(at >= -1);
            CHECK(at <= 721);
          }
        }
}

TEST_CASE("points and bars that are no numbers are left out") {
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  SvgPlot plot{"", "", "", {{"s", {{1, 2, infinity}, {2, nan}, {infinity, 3}, {3, 4, nan}, {4, 3, -1}}, true}}};
  const std::string svg = to_svg(plot);
  CHECK(svg.find("nan") == std::string::npos);
  CHECK(svg.find("inf") == std::string::npos);
  CHECK(std::string(svg).find("<circle") != std::string::npos);
  CHECK(coordinates(svg).size() > 10);
}

TEST_CASE("labels are multiples of 1, 2 or 5, and neighbours differ") {
  SvgPlot plot{"", "", "", {{"s", {{0, 10}, {10, 20}}}}, false};
  CHECK(labels(to_svg(plot), "end") == std::vector<std::string>{"10", "15", "20"});
  plot.series = {{"s", {{1e6, 1000000.1}, {1e6 + 10, 1000000.4}}}};
  const auto fine = labels(to_svg(plot), "end");
  REQUIRE(fine.size() >= 3);
  for (std::size_t i = 1; i < fine.size(); ++i) CHECK(fine[i] != fine[i - 1]);
  plot = {"", "", "", {{"s", {{1, 1}, {1024, 2}}}}, true, true};
  const auto powers = labels(to_svg(plot), "middle");
  CHECK(powers.front() == "1");
  CHECK(std::count(powers.begin(), powers.end(), "1024") == 1);
}

TEST_CASE("names are text, whatever bytes they have") {
  CHECK(detail::svg_text("a<b>&c\"\td\xC3\xA9") == "a&lt;b&gt;&amp;c\"\td\xC3\xA9");
  CHECK(detail::svg_text("\xFF|\x1B[31m|\xC3|\xEF\xBF\xBF|\xED\xA0\x80") ==
        "\xEF\xBF\xBD|\xEF\xBF\xBD[31m|\xEF\xBF\xBD|\xEF\xBF\xBD|\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
  CHECK(detail::svg_text(std::string_view("\0", 1)) == "\xEF\xBF\xBD");
}
