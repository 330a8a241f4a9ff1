// kvcache plot: draws the columns of a CSV file as an SVG picture, so that figures in documents can be drawn again.
#include <fmt/core.h>

#include <cmath>
#include <cstdlib>
#include <memory>
#include <sstream>

#include "commands.hpp"
#include "common/svg_plot.hpp"
#include "common/text_argument.hpp"
#include "kvcache/io/atomic_file.hpp"

namespace kvcache::cli {
namespace {

/// Cells of a line; those with commas stand in quotes.
std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted && line.compare(i, 2, "\"\"") == 0)
      cells.back() += line[i++];  // two stand for one
    else if (c == '"')
      quoted = !quoted;
    else if (c == ',' && !quoted)
      cells.emplace_back();
    else if (c != '\r')
      cells.back() += c;
  }
  return cells;
}
double number_of(const std::string& cell, const std::string& where) {
  if (cell.empty()) return std::nan("");  // no point
  char* end = nullptr;
  const double number = std::strtod(cell.c_str(), &end);
  check(end == cell.c_str() + cell.size(), where, ": \"", cell, "\" is no number");
  return number;
}

/// The first column is x; each other is a curve. A column called "NAME error" holds half the bars of the one before.
void read_csv(const std::string& path, SvgPlot& plot, bool marks) {
  std::istringstream file(text_of_file(path));
  std::string line;
  check(bool(std::getline(file, line)), path, ": is empty; the first line must have names");
  const std::vector<std::string> names = cells_of(line);
  check(names.size() >= 2, path, ": has ", names.size(), " columns; at least 2 are needed: x, and one curve");
  std::vector<int> series_of(names.size(), -1);  // column -> curve; the next one is its error
  const auto is_error = [&](std::size_t c) { return c >= 2 && names[c] == names[c - 1] + " error"; };
  for (std::size_t c = 1; c < names.size(); ++c) {
    if (!is_error(c)) plot.series.push_back({names[c], {}, marks});
    series_of[c] = int(plot.series.size()) - 1;
  }
  for (int number = 2; std::getline(file, line); ++number) {
    if (line.empty() || line == "\r") continue;
    const std::vector<std::string> cells = cells_of(line);
    const std::string where = fmt::format("{}, line {}", path, number);
    check(cells.size() == names.size(), where, ": ", cells.size(), " cells, but the first line has ", names.size());
    for (std::size_t c = 1; c < cells.size(); ++c) {
      auto& points = plot.series[std::size_t(series_of[c])].points;
      if (is_error(c))
        points.back().error = number_of(cells[c], where);
      else
        points.push_back({number_of(cells[0], where), number_of(cells[c], where)});
    }
  }
}

}  // namespace

void add_plot(CLI::App& app) {
  struct Choice {
    SvgPlot plot;
    std::string csv, picture;
    bool marks = false, from_data = false;
  };
  auto choice = std::make_shared<Choice>();
  CLI::App* command = app.add_subcommand("plot", "Draw the columns of a CSV file as an SVG picture");
  command->footer("Example: kvcache plot times.csv times.svg --title \"ms a token\" --x tokens --y ms");
  command
      ->add_option("csv", choice->csv,
                   "first line: names; first column: x; \"NAME error\": bars of NAME; -: standard input")
      ->required();
  command->add_option("picture", choice->picture, "the SVG file to write")->required();
  command->add_option("--title", choice->plot.title, "above the plot");
  command->add_option("--x", choice->plot.x_label, "below the plot");
  command->add_option("--y", choice->plot.y_label, "beside the plot");
  command->add_flag("--marks", choice->marks, "a mark at each point");
  command->add_flag("--log-x", choice->plot.x_logarithmic, "x in powers of two");
  command->add_flag("--from-data", choice->from_data, "y begins at the least value, not at 0");
  command->callback([choice] {
    choice->plot.y_from_zero = !choice->from_data;
    read_csv(choice->csv, choice->plot, choice->marks);
    write_atomically(choice->picture, to_svg(choice->plot));
  });
}

}  // namespace kvcache::cli
