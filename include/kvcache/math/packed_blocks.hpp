// How the numbers of each packed format become floats, a few SIMD lanes at a time. A block of a format holds codes,
// whole numbers, and says number = scale * code + minimum; products and tiles (packed_formats.hpp) are made of that.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <experimental/simd>
#ifdef __F16C__
#include <immintrin.h>
#endif

#include "kvcache/core/number_format.hpp"
#include "kvcache/math/processor.hpp"

namespace kvcache::packed {
inline namespace KVCACHE_PROCESSOR {

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

/// Every half as a float, by its bits. To look a scale up costs the units that multiply nothing; to convert it costs
/// more than its block's products. Made when it is first asked for: before main() nothing may run that is compiled for
/// another processor than the one that is here.
inline const float* all_halves() {
  static const auto table = [] {
    std::array<float, 65536> floats;
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
    for (int i = 0; i < 32; i += lanes) use(i, load<Floats>(numbers + i));
  }
};

/// Two codes a byte: the first 16 in the low halves, the others in the high ones.
inline void nibbles(const std::uint8_t* bytes, auto&& use) {
  for (int i = 0; i < 16; i += lanes) {
    const Ints both = load<Ints>(bytes + i);
    use(i, to_floats(both & 15));
    use(i + 16, to_floats(both >> 4));
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
    for (int i = 0; i < 32; i += lanes) use(i, std::bit_cast<Floats>(Ints(load<Ints>(numbers + i) << 16)));
  }
};
/// `lanes` halves as floats: one instruction where the processor has it.
inline Floats load_halves(const std::uint16_t* halves) {
#if defined(__AVX512F__)
  return Floats(_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(halves))));
#elif defined(__AVX__) && defined(__F16C__)
  return Floats(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves))));
#else  // the exponent is shifted into its place, and its bias corrected; the largest stands for infinity and NaN
  const Ints half = load<Ints>(halves);
  const Floats size = std::bit_cast<Floats>(Ints((half & 0x7fff) << 13)) * 0x1p112f;
  Ints bits = std::bit_cast<Ints>(size) | ((half & 0x8000) << 16);
  simd::where((half & 0x7c00) == 0x7c00, bits) |= 0x7f800000;
  return std::bit_cast<Floats>(bits);
#endif
}
struct Float16 {
  static constexpr bool has_scale = false, has_minimum = false;
  std::uint16_t numbers[32];
  void codes(auto&& use) const {
    for (int i = 0; i < 32; i += lanes) use(i, load_halves(numbers + i));
  }
};

static_assert(sizeof(Q8_0) == block_bytes(NumberFormat::q8_0) && sizeof(Q4_0) == block_bytes(NumberFormat::q4_0) &&
              sizeof(Q4_1) == block_bytes(NumberFormat::q4_1));
static_assert(sizeof(BFloat16) == block_size * block_bytes(NumberFormat::bf16) && sizeof(Float16) == sizeof(BFloat16));

}  // namespace KVCACHE_PROCESSOR
}  // namespace kvcache::packed
