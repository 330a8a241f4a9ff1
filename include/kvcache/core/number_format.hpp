// The number formats that files hold, and how each becomes a Scalar: plainly, one number at a time. This is the
// reference; math/packed_formats.hpp does the same fast.
//
// The block formats are GGUF's. A block is 32 numbers of a row, with a scale (Q8_0, Q4_0) or a scale and a minimum
// (Q4_1), both halves, in front: https://github.com/ggml-org/ggml, src/ggml-common.h.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>

namespace kvcache {

enum class NumberFormat { f32, f16, bf16, q8_0, q4_0, q4_1 };

namespace detail {
struct FormatSize {
  const char* name;
  int block_numbers, block_bytes;
};
inline constexpr FormatSize format_sizes[] = {{"F32", 1, 4},    {"F16", 1, 2},    {"BF16", 1, 2},
                                              {"Q8_0", 32, 34}, {"Q4_0", 32, 18}, {"Q4_1", 32, 20}};
}  // namespace detail

inline constexpr int number_formats = int(std::size(detail::format_sizes));

constexpr const char* name(NumberFormat format) { return detail::format_sizes[int(format)].name; }
/// How many neighbours in a row are stored together; rows are whole blocks.
constexpr int block_numbers(NumberFormat format) { return detail::format_sizes[int(format)].block_numbers; }
constexpr int block_bytes(NumberFormat format) { return detail::format_sizes[int(format)].block_bytes; }
/// Of `count` numbers, which must be whole blocks.
constexpr std::size_t bytes_of(NumberFormat format, std::size_t count) {
  return count / std::size_t(block_numbers(format)) * std::size_t(block_bytes(format));
}

/// A half, by its bits, as a float: exactly. The exponent is shifted into its place and its bias corrected, from 15 to
/// 127; numbers below the smallest with an exponent of its own are whole multiples of 2^-24. The same on every
/// processor and for the compiler, which an instruction for it is not.
constexpr float float_of_half(std::uint16_t half) {
  const std::uint32_t sign = std::uint32_t(half & 0x8000) << 16, size = half & 0x7fff;
  if (size < 0x0400) {
    const float number = float(size) * 0x1p-24f;
    return sign ? -number : number;
  }
  const std::uint32_t bias = size >= 0x7c00 ? 255 - 31 : 127 - 15;  // infinities and what is no number stay so
  return std::bit_cast<float>(sign | ((size << 13) + (bias << 23)));
}

namespace detail {

inline std::uint16_t bits16_at(const std::byte* bytes) {
  std::uint16_t bits;
  std::memcpy(&bits, bytes, 2);
  return bits;
}
inline float half_at(const std::byte* bytes) { return float_of_half(bits16_at(bytes)); }

/// Number i of a block that begins at `block`.
inline float number_at(NumberFormat format, const std::byte* block, int i) {
  const auto low_or_high_half = [&](const std::byte* bytes) {  // numbers 0 to 15 lie in the low halves, then the high
    return float(std::to_integer<int>(bytes[i % 16]) >> (i < 16 ? 0 : 4) & 15);
  };
  switch (format) {
    case NumberFormat::f32: {
      float number;
      std::memcpy(&number, block, 4);
      return number;
    }
    case NumberFormat::f16:
      return half_at(block);
    case NumberFormat::bf16:  // the upper half of a float
      return std::bit_cast<float>(std::uint32_t(bits16_at(block)) << 16);
    case NumberFormat::q8_0:
      return half_at(block) * float(std::to_integer<std::int8_t>(block[2 + i]));
    case NumberFormat::q4_0:
      return half_at(block) * (low_or_high_half(block + 2) - 8);
    case NumberFormat::q4_1:
      return half_at(block) * low_or_high_half(block + 4) + half_at(block + 2);
  }
  return 0;
}

}  // namespace detail

/// Reads `count` numbers, whole blocks at any address, into `numbers`. F32, F16 and BF16 are exact; the others are
/// computed in float, as GGUF's own tools do.
template <class Scalar>
void read_numbers(NumberFormat format, const std::byte* bytes, std::size_t count, Scalar* numbers) {
  const std::size_t in_block = std::size_t(block_numbers(format));
  for (std::size_t i = 0; i < count; ++i)
    numbers[i] =
        Scalar(detail::number_at(format, bytes + i / in_block * std::size_t(block_bytes(format)), int(i % in_block)));
}

}  // namespace kvcache
