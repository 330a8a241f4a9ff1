#include "panels/row_in_numbers.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdint>

namespace kvcache::visualizer {
namespace {

/// "K[4]", or "K[4][8...]" where the first number shown is the eighth.
std::string name_of(const RowInNumbers& row, int first) {
  return fmt::format("{}[{}]{}", row.letter, row.position, first > 0 ? fmt::format("[{}...]", first) : "");
}
/// Where a code is its number's own bits, in hexadecimal.
std::string code_text(const RowInNumbers& row, int d) {
  const int code = int(row.codes.codes[std::size_t(d)]);
  return row.codes.format.share == 0 ? fmt::format("{:04x}", code) : fmt::format("{}", code);
}
/// The text, and numbers from `first` on, as many as fit.
std::string line(std::string text, std::size_t count, int first, std::size_t characters, const auto& number) {
  for (std::size_t i = std::size_t(first); i < count; ++i) {
    const std::string next = number(i);
    const bool is_last = i + 1 == count;
    if (text.size() + next.size() + (is_last ? 0 : 4) > characters) return text + " ...";
    text += next;
  }
  return text;
}

}  // namespace

std::string numbers_in_line(const RowInNumbers& row, std::span<const float> numbers, int first,
                            std::size_t characters) {
  return line(name_of(row, first) + " =", numbers.size(), first, characters,
              [&](std::size_t i) { return fmt::format(" {:6.3f}", numbers[i]); });
}

std::string formula_of(const RowInNumbers& row, int d) {
  const RowCodes& codes = row.codes;
  if (!codes.format.has_codes()) return "";
  const float number = row.read[std::size_t(d)];
  if (codes.format.share == 0)
    return fmt::format("{}: the bits {} are {:.5f}", codes.format.name, code_text(row, d), number);
  const std::string minimum = codes.minimum(d) != 0 ? fmt::format("{:.5g} + ", codes.minimum(d)) : "";
  return fmt::format("{}: {}{} * {:.4g} = {:.5f}", codes.format.name, minimum, code_text(row, d), codes.scale(d),
                     number);
}

CodesInLines codes_in_lines(const RowInNumbers& row, int first, int d, std::size_t characters) {
  const std::string name = name_of(row, first), margin(name.size(), ' ');
  const std::size_t count = row.read.size();
  CodesInLines lines;
  lines.read = line(name + " read ", count, first, characters,
                    [&](std::size_t i) { return fmt::format(" {:7.3f}", row.read[i]); });
  if (!row.codes.format.has_codes()) {
    lines.codes = margin + " whole: 32-bit floats, as they were given";
    return lines;
  }
  lines.codes = line(margin + " code ", count, first, characters,
                     [&](std::size_t i) { return fmt::format(" {:>7}", code_text(row, int(i))); });
  lines.formula = fmt::format("{} [{}] {}", margin, d, formula_of(row, d));
  if (row.given.empty()) return lines;
  lines.errors = line(margin + " error", count, first, characters,
                      [&](std::size_t i) { return fmt::format(" {:+7.4f}", row.read[i] - row.given[i]); });
  lines.formula += fmt::format("; given {:.5f}", row.given[std::size_t(d)]);
  return lines;
}

}  // namespace kvcache::visualizer
