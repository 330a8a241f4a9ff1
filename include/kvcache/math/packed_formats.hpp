// Products with packed rows, and their unpacking: one object of functions for each format.
#pragma once

#include "kvcache/math/packed_blocks.hpp"
#include "kvcache/math/processor.hpp"
#include "kvcache/math/weight_matrix.hpp"

namespace kvcache {

namespace packed {
inline namespace KVCACHE_PROCESSOR {

/// One row times one token. The numbers live in registers only, so this runs at the speed of memory, or nearly so.
/// With scales, a block's sum is scale * (codes . x) + minimum * (sum of x): two products for three numbers less.
/// x_sums [blocks] is used by formats with a minimum alone.
template <class Block>
float dot(const Block* row, const float* x, const float* x_sums, int blocks, const float* halves) {
  Floats sum = {}, sum2 = {};  // two, so that one addition need not wait for the other
  float offset = 0;
  for (int b = 0; b < blocks; ++b, x += block_size) {
    // Memory is asked early: the processor's own looking ahead is too short for blocks this small.
    __builtin_prefetch(reinterpret_cast<const char*>(row + b) + 4096);
    if constexpr (Block::has_scale) {
      Floats part = {};
      row[b].codes([&](int i, Floats code) { part += code * vectors::load_floats(x + i); });
      sum += part * row[b].scale(halves);
      if constexpr (Block::has_minimum) offset += row[b].minimum(halves) * x_sums[b];
    } else {
      row[b].codes([&](int i, Floats w) { (i & 16 ? sum2 : sum) += w * vectors::load_floats(x + i); });
    }
  }
  return vectors::sum_of(sum + sum2) + offset;
}

/// The sum of x over each block: y [cols / block_size].
inline void sum_blocks(const float* x, int blocks, float* y) {
  for (int b = 0; b < blocks; ++b) y[b] = ArrayIn<float>(x + b * block_size, block_size).sum();
}

template <class Block>
void multiply(const std::byte* rows, int count, int cols, const float* x, float* y) {
  const auto* row = reinterpret_cast<const Block*>(rows);  // aligned to 2 bytes: usable_in_place() saw to it
  const int blocks = cols / block_size;
  const float* halves = Block::has_scale ? all_halves() : nullptr;
  static thread_local Room<float> room;
  auto x_sums = room(1, Block::has_minimum ? blocks : 0);
  if (Block::has_minimum) sum_blocks(x, blocks, x_sums.data());
  for (int r = 0; r < count; ++r, row += blocks) y[r] = dot(row, x, x_sums.data(), blocks, halves);
}

template <class Block>
void unpack(const std::byte* rows, int count, int cols, float* numbers) {
  const auto* blocks = reinterpret_cast<const Block*>(rows);
  [[maybe_unused]] const float* halves = Block::has_scale ? all_halves() : nullptr;
  for (std::ptrdiff_t b = 0; b < std::ptrdiff_t(count) * (cols / block_size); ++b, numbers += block_size)
    blocks[b].codes([&](int i, Floats number) {
      if constexpr (Block::has_scale) number = number * blocks[b].scale(halves) + blocks[b].minimum(halves);
      vectors::store_floats(number, numbers + i);
    });
}

template <class Block>
inline constexpr PackedFormat functions_of(const char* name) {
  return {name, block_size, int(sizeof(Block)), multiply<Block>, unpack<Block>};
}

inline constexpr PackedFormat f16 = functions_of<Float16>("F16"), bf16 = functions_of<BFloat16>("BF16"),
                              q8_0 = functions_of<Q8_0>("Q8_0"), q4_0 = functions_of<Q4_0>("Q4_0"),
                              q4_1 = functions_of<Q4_1>("Q4_1");

}  // namespace KVCACHE_PROCESSOR
}  // namespace packed

inline namespace KVCACHE_PROCESSOR {

/// The functions of a format; null for F32, which is not packed.
inline const PackedFormat* packed_format(NumberFormat format) {
  switch (format) {
    case NumberFormat::f32:
      return nullptr;
    case NumberFormat::f16:
      return &packed::f16;
    case NumberFormat::bf16:
      return &packed::bf16;
    case NumberFormat::q8_0:
      return &packed::q8_0;
    case NumberFormat::q4_0:
      return &packed::q4_0;
    case NumberFormat::q4_1:
      return &packed::q4_1;
  }
  return nullptr;
}

/// True if rows of `cols` numbers at this address can be used as they lie: addresses suit their parts (a file may put a
/// tensor anywhere), and rows are whole blocks.
inline bool usable_in_place(NumberFormat format, const std::byte* rows, int cols) {
  const std::uintptr_t address = reinterpret_cast<std::uintptr_t>(rows);
  if (format == NumberFormat::f32) return address % alignof(float) == 0;
  return address % alignof(std::uint16_t) == 0 && cols % packed::block_size == 0;
}

/// Rows of any format, used where they lie. That they can be is the caller's to see: usable_in_place().
inline WeightRows<float> weight_rows(NumberFormat format, const std::byte* bytes, int rows, int cols) {
  if (format == NumberFormat::f32)
    return {.count = rows, .cols = cols, .numbers = reinterpret_cast<const float*>(bytes)};
  return {.count = rows, .cols = cols, .format = packed_format(format), .packed = bytes};
}

}  // namespace KVCACHE_PROCESSOR
}  // namespace kvcache
