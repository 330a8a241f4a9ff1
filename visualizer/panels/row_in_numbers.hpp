// One row of keys or values in text: what attention reads, and where the cache rounds, what lies there instead.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "kvcache/cache/row_codes.hpp"

namespace kvcache::visualizer {

struct RowInNumbers {
  const char* letter;  // "K" or "V"
  int position;
  std::span<const float> read, given;  // [head_dim]; not given: it is not recorded
  RowCodes codes;                      // none: it lies there as plain numbers
};

/// "K[4] = 0.259 -1.032 ...", of any numbers of the row: as many as fit, from `first` on.
std::string numbers_in_line(const RowInNumbers& row, std::span<const float> numbers, int first, std::size_t characters);

/// The row as it is read, its codes and its errors, in columns: as many as fit, from `first` on. Then how number d
/// comes from its code.
struct CodesInLines {
  std::string read, codes, errors, formula;  // the last two may be empty
};
CodesInLines codes_in_lines(const RowInNumbers& row, int first, int d, std::size_t characters);
inline constexpr int code_column = 8;  // characters

/// How number d comes from its code: "int8: 32 * 0.00813 = 0.26016". Empty: it has none.
std::string formula_of(const RowInNumbers& row, int d);

}  // namespace kvcache::visualizer
