// Numbers as codes of 2 or 4 bits: number = minimum + step * code.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kvcache/cache/row_codes.hpp"
#include "kvcache/core/matrix.hpp"

namespace kvcache {

/// What the codes of one group share, in half precision: 4 bytes.
struct CodeRange {
  Eigen::half minimum{0}, step{0};

  static CodeRange of(float least, float largest, int bits) {
    constexpr float most = 65504;  // the largest half
    return {Eigen::half(std::clamp(least, -most, most)),
            Eigen::half(std::min((largest - least) / float((1 << bits) - 1), most))};
  }
  /// By the minimum and step as stored, so that rounding them costs little.
  int code_of(float number, int bits) const {
    const float width = float(step);
    return width > 0 ? std::clamp(int(std::lrint((number - float(minimum)) / width)), 0, (1 << bits) - 1) : 0;
  }
};

/// Of so many codes; they fill whole bytes.
constexpr int code_bytes(int count, int bits) { return count * bits / 8; }

/// Code k stands in byte k % bytes: low bits hold the first codes, so a run of bytes unpacks with one shift.
inline void pack_codes(int count, int bits, std::byte* bytes, auto&& code_at) {
  const int n = code_bytes(count, bits);
  std::fill_n(bytes, n, std::byte(0));
  for (int k = 0; k < count; ++k) bytes[k % n] |= std::byte(code_at(k) << (k / n * bits));
}
template <int bits>
void unpack_codes(int count, const std::byte* bytes, auto&& put) {
  const int n = code_bytes(count, bits);
  const auto* numbers = reinterpret_cast<const std::uint8_t*>(bytes);
  for (int part = 0; part < 8 / bits; ++part)
    for (int j = 0; j < n; ++j) put(part * n + j, float((numbers[j] >> (part * bits)) & ((1 << bits) - 1)));
}
/// Adds the codes themselves, for observers.
inline void list_codes(int count, int bits, const std::byte* bytes, RowCodes& to) {
  const int n = code_bytes(count, bits);
  for (int k = 0; k < count; ++k)
    to.codes.push_back(float(std::to_integer<int>(bytes[k % n]) >> (k / n * bits) & ((1 << bits) - 1)));
}

/// A row with a range for each 32 numbers: [groups] of CodeRange and its codes.
inline constexpr int code_group = 32;
constexpr std::size_t code_row_bytes(int head_dim, int bits) {
  return std::size_t(code_bytes(head_dim, bits)) +
         std::size_t((head_dim + code_group - 1) / code_group) * sizeof(CodeRange);
}
inline void pack_code_row(const float* numbers, int head_dim, int bits, std::byte* row) {
  for (int first = 0; first < head_dim; first += code_group) {
    const ArrayIn<float> group(numbers + first, std::min(code_group, head_dim - first));
    const CodeRange range = CodeRange::of(group.minCoeff(), group.maxCoeff(), bits);
    std::memcpy(row, &range, sizeof range);
    pack_codes(int(group.size()), bits, row + sizeof range, [&](int k) { return range.code_of(group[k], bits); });
    row += sizeof range + std::size_t(code_bytes(int(group.size()), bits));
  }
}
template <int bits>
void unpack_code_row(const std::byte* row, int head_dim, float* numbers) {
  for (int first = 0; first < head_dim; first += code_group) {
    const int count = std::min(code_group, head_dim - first);
    CodeRange range;
    std::memcpy(static_cast<void*>(&range), row, sizeof range);
    const float minimum = float(range.minimum), step = float(range.step);
    const auto put = [&](int k, float code) { numbers[first + k] = minimum + step * code; };
    if (count == code_group)
      unpack_codes<bits>(code_group, row + sizeof range, put);  // a count that the compiler knows
    else
      unpack_codes<bits>(count, row + sizeof range, put);
    row += sizeof range + std::size_t(code_bytes(count, bits));
  }
}
inline void list_code_row(const std::byte* row, int head_dim, int bits, RowCodes& to) {
  to.format.share = std::min(code_group, head_dim);
  for (int first = 0; first < head_dim; first += code_group) {
    const int count = std::min(code_group, head_dim - first);
    CodeRange range;
    std::memcpy(static_cast<void*>(&range), row, sizeof range);
    to.scales.push_back(float(range.step)), to.minima.push_back(float(range.minimum));
    list_codes(count, bits, row + sizeof range, to);
    row += sizeof range + std::size_t(code_bytes(count, bits));
  }
}

}  // namespace kvcache
