// The vocabulary of SIMD: a few floats side by side, as many as a vector register of the processor holds, by the
// extension that g++ and clang share (https://gcc.gnu.org/onlinedocs/gcc/Vector-Extensions.html). + - * << & == work on
// vectors as on numbers, and a number beside a vector stands for all lanes. Nothing else of the library names a register.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>
#ifdef __SSE2__
#include <immintrin.h>
#endif

#include "kvcache/math/processor.hpp"

namespace kvcache::vectors {
inline namespace KVCACHE_PROCESSOR {

#if defined(__AVX512F__)
inline constexpr int lanes = 16;
#elif defined(__AVX__)
inline constexpr int lanes = 8;
#else
inline constexpr int lanes = 4;
#endif
typedef float Floats __attribute__((vector_size(lanes * sizeof(float))));
typedef std::int32_t Ints __attribute__((vector_size(lanes * sizeof(std::int32_t))));

/// All lanes the same.
inline Floats floats_of(float number) { return Floats{} + number; }
inline Floats to_floats(Ints numbers) { return __builtin_convertvector(numbers, Floats); }
/// The same bits, read as the other type.
inline Floats as_floats(Ints bits) { return reinterpret_cast<Floats>(bits); }
inline Ints as_ints(Floats bits) { return reinterpret_cast<Ints>(bits); }

// Loads and stores are at any address.
#ifdef __SSE2__
namespace detail {
/// `lanes` numbers of 8 or 16 bits, in as wide a register as they need.
template <class Number>
auto load_register(const Number* from) {
  constexpr int bytes = lanes * sizeof(Number);
  const void* at = from;
  if constexpr (bytes == 32) return _mm256_loadu_si256(static_cast<const __m256i*>(at));
  if constexpr (bytes == 16) return _mm_loadu_si128(static_cast<const __m128i*>(at));
  if constexpr (bytes == 8) return _mm_loadl_epi64(static_cast<const __m128i*>(at));
  if constexpr (bytes == 4) return _mm_loadu_si32(at);
}
}  // namespace detail
#endif
inline Floats load_floats(const float* from) {
  Floats floats;
  std::memcpy(&floats, from, sizeof floats);
  return floats;
}
inline void store_floats(Floats floats, float* to) { std::memcpy(to, &floats, sizeof floats); }
template <int count>
void store_first(Floats floats, float* to) {
  std::memcpy(to, &floats, count * sizeof(float));
}
/// Whole numbers of 8 or 16 bits, each widened to 32. (g++ 12 makes a poor job of __builtin_convertvector here.)
#if defined(__AVX512F__)
inline Ints load_ints(const std::int8_t* from) { return Ints(_mm512_cvtepi8_epi32(detail::load_register(from))); }
inline Ints load_ints(const std::uint8_t* from) { return Ints(_mm512_cvtepu8_epi32(detail::load_register(from))); }
inline Ints load_ints(const std::uint16_t* from) { return Ints(_mm512_cvtepu16_epi32(detail::load_register(from))); }
#elif defined(__AVX2__)
inline Ints load_ints(const std::int8_t* from) { return Ints(_mm256_cvtepi8_epi32(detail::load_register(from))); }
inline Ints load_ints(const std::uint8_t* from) { return Ints(_mm256_cvtepu8_epi32(detail::load_register(from))); }
inline Ints load_ints(const std::uint16_t* from) { return Ints(_mm256_cvtepu16_epi32(detail::load_register(from))); }
#elif defined(__SSE2__) && !defined(__AVX__)  // each number twice side by side, and once more: its own bits end on top, and are shifted down
inline Ints load_ints(const std::int8_t* from) {
  const auto bytes = detail::load_register(from), pairs = _mm_unpacklo_epi8(bytes, bytes);
  return Ints(_mm_srai_epi32(_mm_unpacklo_epi16(pairs, pairs), 24));
}
inline Ints load_ints(const std::uint8_t* from) {
  const auto bytes = detail::load_register(from), pairs = _mm_unpacklo_epi8(bytes, bytes);
  return Ints(_mm_srli_epi32(_mm_unpacklo_epi16(pairs, pairs), 24));
}
inline Ints load_ints(const std::uint16_t* from) {
  const auto numbers = detail::load_register(from);
  return Ints(_mm_srli_epi32(_mm_unpacklo_epi16(numbers, numbers), 16));
}
#else
template <class Number>
Ints load_ints(const Number* from) {
  typedef Number Narrow __attribute__((vector_size(lanes * sizeof(Number))));
  Narrow numbers;
  std::memcpy(&numbers, from, sizeof numbers);
  return __builtin_convertvector(numbers, Ints);
}
#endif
/// `lanes` halves (IEEE binary16) as floats: one instruction where the processor has it.
inline Floats load_halves(const std::uint16_t* halves) {
#if defined(__AVX512F__)
  return Floats(_mm512_cvtph_ps(detail::load_register(halves)));
#elif defined(__AVX__) && defined(__F16C__)
  return Floats(_mm256_cvtph_ps(detail::load_register(halves)));
#else  // the exponent is shifted into its place, and its bias corrected; the largest stands for infinity and NaN
  const Ints half = load_ints(halves);
  const Floats size = as_floats((half & 0x7fff) << 13) * 0x1p112f;
  const Ints largest = ((half & 0x7c00) == 0x7c00) & 0x7f800000;  // a comparison's true is -1: all bits
  return as_floats(as_ints(size) | ((half & 0x8000) << 16) | largest);
#endif
}

namespace detail {
/// Number `lane` of two vectors in a row.
template <int lane>
[[gnu::always_inline]] inline float lane_of(Floats a, Floats b) {
  return lane < lanes ? a[lane % lanes] : b[lane % lanes];
}
/// Adds the halves of each number's partial sums, which fill `parts` lanes: a's numbers, then b's, in half as many
/// lanes each. (Compilers make two shuffles of it.)
template <int parts, int... lane>
[[gnu::always_inline]] inline Floats add_halves(Floats a, Floats b, std::integer_sequence<int, lane...>) {
  constexpr int half = parts / 2;
  return Floats{lane_of<lane / half * parts + lane % half>(a, b)...} +
         Floats{lane_of<lane / half * parts + lane % half + half>(a, b)...};
}
}  // namespace detail

/// The sums of the lanes of `count` vectors, in order, in the first lanes: three operations a vector, where each alone
/// would take as many as there are halvings. count: a power of two.
template <int count, int parts = lanes>
[[gnu::always_inline]] inline Floats sums_of(const Floats* vectors) {
  static_assert(count <= lanes);
  if constexpr (parts == 1) {
    return vectors[0];
  } else {
    Floats halved[(count + 1) / 2];
    for (int i = 0; i < count; i += 2) {
      const Floats& second = vectors[i + 1 < count ? i + 1 : count - 1];
      halved[i / 2] = detail::add_halves<parts>(vectors[i], second, std::make_integer_sequence<int, lanes>());
    }
    return sums_of<(count + 1) / 2, parts / 2>(halved);
  }
}
/// The sum of the lanes, halved until it is one.
inline float sum_of(Floats floats) {
#if defined(__AVX512F__)
  const auto eight = __builtin_shufflevector(floats, floats, 0, 1, 2, 3, 4, 5, 6, 7) +
                     __builtin_shufflevector(floats, floats, 8, 9, 10, 11, 12, 13, 14, 15);
  const auto four =
      __builtin_shufflevector(eight, eight, 0, 1, 2, 3) + __builtin_shufflevector(eight, eight, 4, 5, 6, 7);
#elif defined(__AVX__)
  const auto four =
      __builtin_shufflevector(floats, floats, 0, 1, 2, 3) + __builtin_shufflevector(floats, floats, 4, 5, 6, 7);
#else
  const auto four = floats;
#endif
  const auto two = four + __builtin_shufflevector(four, four, 2, 3, 0, 1);
  return two[0] + two[1];
}

}  // namespace KVCACHE_PROCESSOR
}  // namespace kvcache::vectors
