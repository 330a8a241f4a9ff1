// How the numbers of each packed format become floats, a few SIMD lanes at a time. A block of a format holds codes,
// whole numbers, and says number = scale * code + minimum; products and tiles (packed_formats.hpp) are made of that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kvcache/core/number_format.hpp"
#include "kvcache/math/processor.hpp"
#include "kvcache/math/vectors.hpp"

namespace kvcache::packed {
inline namespace KVCACHE_PROCESSOR {

using vectors::Floats, vectors::Ints, vectors::lanes, vectors::load_ints;

inline constexpr int block_size = 32;  // numbers; 16-bit formats have no blocks, and are read as many at a time

static_assert(lanes <= 16 && 16 % lanes == 0);

/// Every half as a float, by its bits. To look a scale up costs the units that multiply nothing; to convert it costs
/// more than its block's products. Made when it is first asked for: before main() nothing may run that is compiled for
/// another processor than the one that is here.
inline const float* all_halves() {
  static const auto table = [] {  // a vector, for an array would be computed by the compiler, a second for each file
    std::vector<float> floats(65536);
    for (std::size_t bits = 0; bits < floats.size(); ++bits) floats[bits] = float_of_half(std::uint16_t(bits));
    return floats;
  }();
  return table.data();
}

// codes(use) calls use(i, floats) for numbers i to i + lanes - 1 of a block, all 32 in some order. `halves`:
// all_halves().

struct Q8_0 {
  static constexpr bool has_scale = true, has_minimum = false;
  std::uint16_t scale_bits;
  std::int8_t numbers[32];
  float scale(const float* halves) const { return halves[scale_bits]; }
  float minimum(const float*) const { return 0; }
  void codes(auto&& use) const {
    for (int i = 0; i < 32; i += lanes) use(i, vectors::to_floats(load_ints(numbers + i)));
  }
};

/// Two codes a byte: the first 16 in the low halves, the others in the high ones.
inline void nibbles(const std::uint8_t* bytes, auto&& use) {
  for (int i = 0; i < 16; i += lanes) {
    const Ints both = load_ints(bytes + i);
    use(i, vectors::to_floats(both & 15));
    use(i + 16, vectors::to_floats(both >> 4));
  }
}
struct Q4_0 {  // scale * (code - 8)
  static constexpr bool has_scale = true, has_minimum = true;
  std::uint16_t scale_bits;
  std::uint8_t bytes[16];
  float scale(const float* halves) const { return halves[scale_bits]; }
  float minimum(const float* halves) const { return -8 * scale(halves); }
  void codes(auto&& use) const { nibbles(bytes, use); }
};
struct Q4_1 {
  static constexpr bool has_scale = true, has_minimum = true;
  std::uint16_t scale_bits, minimum_bits;
  std::uint8_t bytes[16];
  float scale(const float* halves) const { return halves[scale_bits]; }
  float minimum(const float* halves) const { return halves[minimum_bits]; }
  void codes(auto&& use) const { nibbles(bytes, use); }
};

struct BFloat16 {  // the upper halves of floats
  static constexpr bool has_scale = false, has_minimum = false;
  std::uint16_t numbers[32];
  void codes(auto&& use) const {
    for (int i = 0; i < 32; i += lanes) use(i, vectors::as_floats(load_ints(numbers + i) << 16));
  }
};
struct Float16 {
  static constexpr bool has_scale = false, has_minimum = false;
  std::uint16_t numbers[32];
  void codes(auto&& use) const {
    for (int i = 0; i < 32; i += lanes) use(i, vectors::load_halves(numbers + i));
  }
};

static_assert(sizeof(Q8_0) == block_bytes(NumberFormat::q8_0) && sizeof(Q4_0) == block_bytes(NumberFormat::q4_0) &&
              sizeof(Q4_1) == block_bytes(NumberFormat::q4_1));
static_assert(sizeof(BFloat16) == block_size * block_bytes(NumberFormat::bf16) && sizeof(Float16) == sizeof(BFloat16));

}  // namespace KVCACHE_PROCESSOR
}  // namespace kvcache::packed
