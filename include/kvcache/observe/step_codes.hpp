// How the rows of one step lie in the cache: those that were written in it, and those that it packed. Part of a record.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kvcache/cache/row_codes.hpp"

namespace kvcache {

/// Rows of one layer that lie there as codes, all in the same formats.
struct CodedRows {
  int layer = 0, first_position = 0, rows = 0;
  CodeFormat keys, values;  // one of them may have no codes
};

/// Runs of rows, and their numbers one run after another. Rows that lie there as plain numbers are in no run.
struct StepCodes {
  struct Side {
    std::vector<float> codes;           // of each run, [rows, kv_heads, head_dim]
    std::vector<float> scales, minima;  // of each run, [rows, kv_heads, ranges]
  };
  std::vector<CodedRows> runs;
  Side keys, values;

  struct Row {
    RowCodes key, value;
  };
  /// Adds the row of one position, as each kv head has it. Positions of a layer come in order.
  void add(int layer, int position, std::span<const Row> heads) {
    const CodeFormat &key = heads[0].key.format, &value = heads[0].value.format;
    if (!key.has_codes() && !value.has_codes()) return;
    const bool goes_on = !runs.empty() && runs.back().layer == layer && runs.back().keys == key &&
                         runs.back().values == value && runs.back().first_position + runs.back().rows == position;
    if (!goes_on) runs.push_back({layer, position, 0, key, value});
    ++runs.back().rows;
    for (const Row& head : heads) append(head.key, keys), append(head.value, values);
  }
  /// A row that lies there as plain numbers, or that is not in this step, has no codes.
  RowCodes key(int layer, int kv_head, int position, int kv_heads, int head_dim) const {
    return find(keys, &CodedRows::keys, layer, kv_head, position, kv_heads, head_dim);
  }
  RowCodes value(int layer, int kv_head, int position, int kv_heads, int head_dim) const {
    return find(values, &CodedRows::values, layer, kv_head, position, kv_heads, head_dim);
  }
  /// Of all runs together, for one kv head.
  std::size_t rows_with_codes(CodeFormat CodedRows::*format) const {
    std::size_t rows = 0;
    for (const CodedRows& run : runs) rows += (run.*format).has_codes() ? std::size_t(run.rows) : 0;
    return rows;
  }
  std::size_t ranges(CodeFormat CodedRows::*format, int head_dim) const {
    std::size_t ranges = 0;
    for (const CodedRows& run : runs) ranges += std::size_t(run.rows) * std::size_t((run.*format).ranges(head_dim));
    return ranges;
  }
  std::size_t bytes() const {
    std::size_t numbers = 0;
    for (const Side* side : {&keys, &values}) numbers += side->codes.size() + side->scales.size() + side->minima.size();
    return runs.size() * sizeof(CodedRows) + numbers * sizeof(float);
  }

 private:
  static void append(const RowCodes& row, Side& to) {
    to.codes.insert(to.codes.end(), row.codes.begin(), row.codes.end());
    to.scales.insert(to.scales.end(), row.scales.begin(), row.scales.end());
    to.minima.insert(to.minima.end(), row.minima.begin(), row.minima.end());
  }
  RowCodes find(const Side& side, CodeFormat CodedRows::*which, int layer, int kv_head, int position, int kv_heads,
                int head_dim) const {
    std::size_t before = 0, ranges_before = 0;  // rows, of all kv heads; ranges
    for (const CodedRows& run : runs) {
      const CodeFormat& format = run.*which;
      const auto ranges = std::size_t(format.ranges(head_dim)), dim = std::size_t(head_dim);
      if (run.layer == layer && position >= run.first_position && position - run.first_position < run.rows) {
        if (!format.has_codes()) return {};
        const auto row = std::size_t((position - run.first_position) * kv_heads + kv_head);
        const auto part = [](const std::vector<float>& numbers, std::size_t first, std::size_t count) {
          const auto begin = numbers.begin() + std::ptrdiff_t(first);
          return std::vector<float>(begin, begin + std::ptrdiff_t(count));
        };
        return {format, part(side.codes, (before + row) * dim, dim),
                part(side.scales, ranges_before + row * ranges, ranges),
                part(side.minima, ranges_before + row * ranges, ranges)};
      }
      const std::size_t rows = std::size_t(run.rows) * std::size_t(kv_heads);
      before += format.has_codes() ? rows : 0, ranges_before += rows * ranges;
    }
    return {};
  }
};

}  // namespace kvcache
