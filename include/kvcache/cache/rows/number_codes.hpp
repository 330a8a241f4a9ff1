// The codes in a row of numbers of a NumberFormat, as they lie there, one number at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kvcache/cache/row_codes.hpp"
#include "kvcache/core/number_format.hpp"

namespace kvcache::detail {

/// F16 and BF16: the bits themselves. Block formats: the codes of each block with its scale and its minimum. (Q4_0
/// stores no minimum, for it is always -8 scales.)
template <NumberFormat format>
void number_codes(const std::byte* row, int head_dim, RowCodes& to) {
  constexpr int in_block = block_numbers(format);
  static_assert(format != NumberFormat::f32, "numbers of 32 bits lie there as they are");
  to.format.share = in_block == 1 ? 0 : in_block;
  for (int d = 0; d < head_dim; ++d) {
    const std::byte* block = row + d / in_block * block_bytes(format);
    const int i = d % in_block;
    const bool begins = in_block > 1 && i == 0;
    const float scale = begins ? half_at(block) : 0;
    if (begins) to.scales.push_back(scale);
    if constexpr (in_block == 1) {
      to.codes.push_back(float(bits16_at(block)));
    } else if constexpr (format == NumberFormat::q8_0) {
      if (begins) to.minima.push_back(0);
      to.codes.push_back(float(std::to_integer<std::int8_t>(block[2 + i])));
    } else {
      constexpr int head = format == NumberFormat::q4_1 ? 4 : 2;  // bytes before the codes
      if (begins) to.minima.push_back(format == NumberFormat::q4_1 ? half_at(block + 2) : -8 * scale);
      to.codes.push_back(float(std::to_integer<int>(block[head + i % 16]) >> (i < 16 ? 0 : 4) & 15));
    }
  }
}

}  // namespace kvcache::detail
