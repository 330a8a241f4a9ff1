// How a row lies in storage, where a format does not keep numbers as they are: a code for each number, and the scales
// that neighbours share. For observers alone: attention reads numbers.
#pragma once

#include <concepts>
#include <string>
#include <vector>

#include "kvcache/cache/concept.hpp"

namespace kvcache {

/// What the codes of a row mean.
struct CodeFormat {
  std::string name;  // for people; empty: there are no codes, the numbers lie there as they are
  int share = 0;     // so many neighbours have one scale and one minimum; 0: a code is its number's own 16 bits

  bool has_codes() const { return !name.empty(); }
  /// Scales, and minima, of a row.
  int ranges(int head_dim) const { return share == 0 ? 0 : (head_dim + share - 1) / share; }
  bool operator==(const CodeFormat&) const = default;
};

/// The key or the value of one token for one head: number = minimum + scale * code. All four are exact as floats.
struct RowCodes {
  CodeFormat format;
  std::vector<float> codes;           // [head_dim], whole numbers; empty: the row has none
  std::vector<float> scales, minima;  // [ranges]

  float scale(int d) const { return scales[std::size_t(d / format.share)]; }
  float minimum(int d) const { return minima[std::size_t(d / format.share)]; }
  void clear() {
    format.name.clear(), format.share = 0;
    codes.clear(), scales.clear(), minima.clear();
  }
  bool operator==(const RowCodes&) const = default;
};

/// A block that can show how its rows are stored. A row store need not: then its rows are drawn without codes.
template <class B>
concept CodedBlock = KeyValueBlock<B> && requires(const B& block, int row, RowCodes& to) {
  { block.key_codes(row, /*replaced*/ to) } -> std::same_as<void>;
  { block.value_codes(row, /*replaced*/ to) } -> std::same_as<void>;
};

}  // namespace kvcache
