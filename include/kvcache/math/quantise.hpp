// Numbers into the formats of core/number_format.hpp: the way back from read_numbers.
//
// Blocks are filled as GGUF's own tools fill them (https://github.com/ggml-org/ggml, quantize_row_*_ref), so the bytes
// are the same.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>

#include "kvcache/core/check.hpp"
#include "kvcache/core/matrix.hpp"
#include "kvcache/core/number_format.hpp"

namespace kvcache {

namespace detail {

/// Rounded to the nearest half; what is too large for one becomes the largest, for an infinity would spoil every sum.
/// An infinity stays one: it is somebody else's mistake, and should show.
inline std::uint16_t half_bits(float number) {
  constexpr float largest = 65504;
  return Eigen::numext::bit_cast<std::uint16_t>(
      Eigen::half(std::isinf(number) ? number : std::clamp(number, -largest, largest)));
}
inline void put16(std::uint16_t bits, std::byte* bytes) { std::memcpy(bytes, &bits, 2); }

/// 32 codes of 4 bits: code i in the low half of byte i, code i + 16 in its high half.
inline void put_nibbles(std::byte* bytes, auto&& code) {
  for (int i = 0; i < 16; ++i) bytes[i] = std::byte(code(i) | code(i + 16) << 4);
}

inline void write_q8_0(const float* numbers, std::byte* block) {
  const float scale = ArrayIn<float>(numbers, 32).abs().maxCoeff() / 127, inverse = scale > 0 ? 1 / scale : 0;
  put16(half_bits(scale), block);
  for (int i = 0; i < 32; ++i) block[2 + i] = std::byte(std::int8_t(std::round(numbers[i] * inverse)));
}
/// scale * (code - 8): the number that is largest without its sign gets code 0, so that it is met exactly.
inline void write_q4_0(const float* numbers, std::byte* block) {
  Eigen::Index at = 0;
  ArrayIn<float>(numbers, 32).abs().maxCoeff(&at);
  const float scale = numbers[at] / -8, inverse = scale != 0 ? 1 / scale : 0;
  put16(half_bits(scale), block);
  put_nibbles(block + 2, [&](int i) { return std::min(15, int(numbers[i] * inverse + 8.5f)); });
}
inline void write_q4_1(const float* numbers, std::byte* block) {
  const ArrayIn<float> all(numbers, 32);
  const float least = all.minCoeff(), scale = (all.maxCoeff() - least) / 15, inverse = scale > 0 ? 1 / scale : 0;
  put16(half_bits(scale), block), put16(half_bits(least), block + 2);
  put_nibbles(block + 4, [&](int i) { return std::min(15, int((numbers[i] - least) * inverse + 0.5f)); });
}

}  // namespace detail

/// The place of the first NaN or infinity, if there is one. Of finite numbers it takes one vectorised pass.
inline std::optional<Eigen::Index> find_not_finite(const float* numbers, Eigen::Index count) {
  if ((ArrayIn<float>(numbers, count) * 0.f).sum() == 0) return {};  // of the others a product with 0 is NaN
  return std::find_if(numbers, numbers + count, [](float x) { return !std::isfinite(x); }) - numbers;
}

/// Writes `count` numbers, whole blocks, as bytes_of(format, count) bytes at any address. F32 is exact; the others
/// round to the nearest number they have. Errors: NaN or infinities for a format of blocks, which has no code for them.
inline void write_numbers(NumberFormat format, const float* numbers, std::size_t count, std::byte* bytes) {
  const std::size_t in_block = std::size_t(block_numbers(format)), step = std::size_t(block_bytes(format));
  if (in_block > 1)
    if (const auto i = find_not_finite(numbers, Eigen::Index(count)))
      fail("number ", *i, " of ", count, " is ", numbers[*i], ", which ", name(format),
           " has no code for; write F32, F16 or BF16, or mend where it comes from");
  for (std::size_t i = 0; i < count; i += in_block, bytes += step) {
    const float* block = numbers + i;
    switch (format) {
      case NumberFormat::f32:
        std::memcpy(bytes, block, 4);
        break;
      case NumberFormat::f16:
        detail::put16(detail::half_bits(*block), bytes);
        break;
      case NumberFormat::bf16:
        detail::put16(Eigen::numext::bit_cast<std::uint16_t>(Eigen::bfloat16(*block)), bytes);
        break;
      case NumberFormat::q8_0:
        detail::write_q8_0(block, bytes);
        break;
      case NumberFormat::q4_0:
        detail::write_q4_0(block, bytes);
        break;
      case NumberFormat::q4_1:
        detail::write_q4_1(block, bytes);
        break;
    }
  }
}

}  // namespace kvcache
