// How the numbers of each packed format become floats, a few SIMD lanes at a time. That is all a format says; products
// and tiles (packed_formats.hpp) are made of it.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <experimental/simd>

#include "kvcache/core/number_format.hpp"

namespace kvcache::packed {

namespace simd = std::experimental;  // Parallelism TS 2, in libstdc++

using Floats = simd::native_simd<float>;        // 16, 8 or 4 lanes, as the processor has
using Ints = simd::rebind_simd_t<int, Floats>;  // as many
inline constexpr int lanes = int(Floats::size());
inline constexpr int block_size = 32;  // numbers; 16-bit formats have no blocks, and are read as many at a time

static_assert(lanes <= 16 && 16 % lanes == 0);

template <class Lanes>
Lanes load(const auto* numbers) {  // converts: Floats from bytes are one widening and one conversion
  return Lanes(numbers, simd::element_aligned);
}
inline Floats to_floats(const Ints& numbers) { return simd::static_simd_cast<Floats>(numbers); }

inline float to_float(std::uint16_t half) { return float(Eigen::numext::bit_cast<Eigen::half>(half)); }

// Each block has unpack(use): calls use(i, floats) for its numbers i to i + lanes - 1, in any order, all 32 once.

struct Q8_0 {  // d * q
  std::uint16_t scale;
  std::int8_t numbers[32];
  void unpack(auto&& use) const {
    const Floats d = to_float(scale);
    for (int i = 0; i < 32; i += lanes) use(i, d * load<Floats>(numbers + i));
  }
};

/// Two numbers a byte: the first 16 in the low halves, the others in the high ones.
inline void unpack_nibbles(const std::uint8_t* bytes, float scale, float minimum, auto&& use) {
  const Floats d = scale, m = minimum;
  for (int i = 0; i < 16; i += lanes) {
    const Ints both = load<Ints>(bytes + i);
    use(i, d * to_floats(both & 15) + m);
    use(i + 16, d * to_floats(both >> 4) + m);
  }
}
struct Q4_0 {  // d * (q - 8)
  std::uint16_t scale;
  std::uint8_t bytes[16];
  void unpack(auto&& use) const { unpack_nibbles(bytes, to_float(scale), -8 * to_float(scale), use); }
};
struct Q4_1 {  // d * q + m
  std::uint16_t scale, minimum;
  std::uint8_t bytes[16];
  void unpack(auto&& use) const { unpack_nibbles(bytes, to_float(scale), to_float(minimum), use); }
};

struct BFloat16 {  // the upper halves of floats
  std::uint16_t numbers[32];
  void unpack(auto&& use) const {
    for (int i = 0; i < 32; i += lanes) use(i, std::bit_cast<Floats>(Ints(load<Ints>(numbers + i) << 16)));
  }
};
struct Float16 {
  std::uint16_t numbers[32];
  void unpack(auto&& use) const {
    for (int i = 0; i < 32; i += lanes) {
      const Ints half = load<Ints>(numbers + i);
      const Floats size = std::bit_cast<Floats>(Ints((half & 0x7fff) << 13)) * 0x1p112f;
      use(i, std::bit_cast<Floats>(Ints(std::bit_cast<Ints>(size) | ((half & 0x8000) << 16))));
    }
  }
};

static_assert(sizeof(Q8_0) == block_bytes(NumberFormat::q8_0) && sizeof(Q4_0) == block_bytes(NumberFormat::q4_0) &&
              sizeof(Q4_1) == block_bytes(NumberFormat::q4_1));
static_assert(sizeof(BFloat16) == block_size * block_bytes(NumberFormat::bf16) && sizeof(Float16) == sizeof(BFloat16));

}  // namespace kvcache::packed
