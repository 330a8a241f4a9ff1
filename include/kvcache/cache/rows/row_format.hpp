// How one row, the key or value of one token for one head, is written as a run of bytes. A new format is one entry.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "kvcache/cache/row_codes.hpp"
#include "kvcache/cache/rows/number_codes.hpp"
#include "kvcache/core/check.hpp"
#include "kvcache/math/packed_formats.hpp"
#include "kvcache/math/quantise.hpp"

namespace kvcache {

/// Rows of one format lie one after another, row_bytes(head_dim) each, and carry their own scales: so rows move as
/// bytes, and a format is three functions, and a fourth for who watches. They are known when the program is compiled
/// (FixedFormats) or chosen when it runs (ChosenFormats), see packed_rows.hpp.
struct RowFormat {
  const char* name;
  const char* what;  // for people
  int multiple_of;   // head_dim must be
  std::size_t (*row_bytes)(int head_dim);
  void (*pack)(const float* numbers, int head_dim, std::byte* row);
  /// `rows` rows one after another: numbers [rows, head_dim].
  void (*unpack)(const std::byte* bytes, int rows, int head_dim, float* numbers);
  bool is_f32 = false;  // such rows are read where they lie
  /// Adds what lies in one row, codes and scales, for people to see. Null: nothing is shown.
  void (*codes)(const std::byte* row, int head_dim, RowCodes& to) = nullptr;
  bool holds_all = false;  // NaN and infinities too, so broken weights show; to pack() only finite numbers are given
};

namespace detail {

template <NumberFormat format>
std::size_t numbers_row_bytes(int head_dim) {
  return bytes_of(format, std::size_t(head_dim));
}
template <NumberFormat format>
void pack_numbers(const float* numbers, int head_dim, std::byte* row) {
  write_numbers(format, numbers, std::size_t(head_dim), row);
}
/// Rows of these formats are one run of numbers. All but the last few are unpacked many at a time.
template <NumberFormat format>
void unpack_numbers(const std::byte* bytes, int rows, int head_dim, float* numbers) {
  const int count = rows * head_dim;
  int many = 0;
  if (const PackedFormat* fast = packed_format(format); fast && usable_in_place(format, bytes, packed::block_size)) {
    many = count - count % packed::block_size;
    fast->unpack(bytes, 1, many, numbers);
  }
  read_numbers(format, bytes + bytes_of(format, std::size_t(many)), std::size_t(count - many), numbers + many);
}

/// The numbers, then their scale: a token of a head has one.
inline std::size_t int8_row_bytes(int head_dim) { return std::size_t(head_dim) + sizeof(float); }
inline void pack_int8(const float* numbers, int head_dim, std::byte* row) {
  const float scale = ArrayIn<float>(numbers, head_dim).abs().maxCoeff() / 127, inverse = scale > 0 ? 1 / scale : 0;
  for (int d = 0; d < head_dim; ++d) row[d] = std::byte(std::int8_t(std::lrint(numbers[d] * inverse)));
  std::memcpy(row + head_dim, &scale, sizeof scale);
}
inline void unpack_int8(const std::byte* bytes, int rows, int head_dim, float* numbers) {
  for (int r = 0; r < rows; ++r, bytes += int8_row_bytes(head_dim), numbers += head_dim) {
    float scale;
    std::memcpy(&scale, bytes + head_dim, sizeof scale);
    const auto* codes = reinterpret_cast<const std::int8_t*>(bytes);
    for (int d = 0; d < head_dim; ++d) numbers[d] = scale * float(codes[d]);
  }
}
inline void int8_codes(const std::byte* row, int head_dim, RowCodes& to) {
  float scale;
  std::memcpy(&scale, row + head_dim, sizeof scale);
  to.format.share = head_dim;
  to.scales.push_back(scale), to.minima.push_back(0);
  for (int d = 0; d < head_dim; ++d) to.codes.push_back(float(std::to_integer<std::int8_t>(row[d])));
}

template <NumberFormat format>
inline constexpr RowFormat number_rows(const char* name, const char* what) {
  RowFormat rows{
      name, what, block_numbers(format), numbers_row_bytes<format>, pack_numbers<format>, unpack_numbers<format>};
  rows.holds_all = block_numbers(format) == 1;
  if constexpr (format == NumberFormat::f32)
    rows.is_f32 = true;
  else
    rows.codes = number_codes<format>;
  return rows;
}

}  // namespace detail

/// The formats whose rows stand alone. (KIVI's do not: cache/rows/kivi_rows.hpp.)
namespace row_formats {
inline constexpr RowFormat f32 = detail::number_rows<NumberFormat::f32>("f32", "as computed: 4 bytes a number"),
                           f16 = detail::number_rows<NumberFormat::f16>("f16", "half precision: 11 bits, up to 65,504"),
                           bf16 = detail::number_rows<NumberFormat::bf16>("bf16", "the upper half of an f32: 8 bits"),
                           int8 = {"int8",
                                   "whole numbers from -127 to 127; one scale, f32, a token and head",
                                   1,
                                   detail::int8_row_bytes,
                                   detail::pack_int8,
                                   detail::unpack_int8,
                                   false,
                                   detail::int8_codes},
                           int4 = detail::number_rows<NumberFormat::q4_1>(
                               "int4", "codes from 0 to 15; a scale and a minimum, f16, for 32 numbers (GGUF's Q4_1)"),
                           q8_0 = detail::number_rows<NumberFormat::q8_0>(
                               "q8_0", "llama.cpp's: whole numbers; a scale, f16, for 32 numbers"),
                           q4_0 = detail::number_rows<NumberFormat::q4_0>(
                               "q4_0", "llama.cpp's: codes less 8; a scale, f16, for 32 numbers");

inline constexpr std::array all{&f32, &f16, &bf16, &int8, &int4, &q8_0, &q4_0};
}  // namespace row_formats

/// Errors: a name that no format has.
inline const RowFormat& find_row_format(std::string_view name) {
  std::string known;
  for (const RowFormat* format : row_formats::all) {
    if (format->name == name) return *format;
    known += (known.empty() ? "" : ", ") + std::string(format->name);
  }
  fail("row format \"", name, "\" is unknown; known are ", known);
}

}  // namespace kvcache
