// What attention sees of KIVI's rows: groups that are packed, then rows that are whole.
#pragma once

#include <cstring>
#include <string>

#include "kvcache/cache/rows/codes.hpp"
#include "kvcache/cache/rows/row_products.hpp"

namespace kvcache {

/// How one side, the keys or the values, is packed.
struct KiviSide {
  int bits = 4;             // of a code: 2, 4 or 8
  bool per_channel = true;  // a range for each channel of a group of tokens; false: for each 32 channels of a token

  bool operator==(const KiviSide&) const = default;
};

/// Of a group of tokens. Per channel: minima [head_dim], steps [head_dim], codes [group, head_dim], up to an even byte;
/// per token: rows.
inline std::size_t kivi_group_bytes(KiviSide side, int group, int head_dim) {
  if (!side.per_channel) return std::size_t(group) * code_row_bytes(head_dim, side.bits);
  const std::size_t codes = std::size_t(group) * std::size_t(code_bytes(head_dim, side.bits));
  return 2 * sizeof(Eigen::half) * std::size_t(head_dim) + codes + codes % 2;
}

inline std::string in_words(KiviSide side) {
  return std::to_string(side.bits) + (side.per_channel ? " bits a channel" : " bits a token");
}

namespace detail {

/// Rows [group, head_dim].
inline void pack_channels(MatrixIn<float> rows, int bits, std::byte* to) {
  const int group = int(rows.rows()), head_dim = int(rows.cols());
  auto* minima = reinterpret_cast<Eigen::half*>(to);
  auto* steps = minima + head_dim;
  for (int d = 0; d < head_dim; ++d) {
    const CodeRange range = CodeRange::of(rows.col(d).minCoeff(), rows.col(d).maxCoeff(), bits);
    minima[d] = range.minimum, steps[d] = range.step;
  }
  std::byte* codes = to + 2 * sizeof(Eigen::half) * std::size_t(head_dim);
  for (int r = 0; r < group; ++r, codes += code_bytes(head_dim, bits))
    pack_codes(head_dim, bits, codes, [&](int d) { return CodeRange{minima[d], steps[d]}.code_of(rows(r, d), bits); });
}
/// Rows [first, first + rows) of a group: numbers [rows, head_dim].
template <int bits>
void unpack_channels(const std::byte* from, int first, int rows, int head_dim, float* numbers) {
  using Halves = Eigen::Map<const Vector<Eigen::half>>;
  const auto* minima = reinterpret_cast<const Eigen::half*>(from);
  alignas(64) float minimum[piece_numbers], step[piece_numbers];
  Eigen::Map<Vector<float>>(minimum, head_dim) = Halves(minima, head_dim).cast<float>();
  Eigen::Map<Vector<float>>(step, head_dim) = Halves(minima + head_dim, head_dim).cast<float>();
  const std::byte* codes = from + 2 * sizeof(Eigen::half) * std::size_t(head_dim);
  for (int r = 0; r < rows; ++r, numbers += head_dim)
    unpack_codes<bits>(head_dim, codes + (first + r) * code_bytes(head_dim, bits),
                       [&](int d, float code) { numbers[d] = minimum[d] + step[d] * code; });
}
/// The codes of one row of a group, for observers. All rows of the group share the range of each channel.
inline void list_channel_codes(const std::byte* from, int row, int head_dim, int bits, RowCodes& to) {
  const auto* minima = reinterpret_cast<const Eigen::half*>(from);
  to.format.share = 1;
  for (int d = 0; d < head_dim; ++d)
    to.minima.push_back(float(minima[d])), to.scales.push_back(float(minima[head_dim + d]));
  from += 2 * sizeof(Eigen::half) * std::size_t(head_dim);
  list_codes(head_dim, bits, from + row * code_bytes(head_dim, bits), to);
}

/// Slots [first, first + rows) of one side of one head. Those before `packed` lie in groups; the others in a ring of
/// whole rows, slot s at s % ring.
struct KiviRun {
  KiviSide side;
  const std::byte* groups;  // [groups, kivi_group_bytes]
  const float* whole;       // [ring, head_dim]
  int first, rows, packed, group, ring, head_dim;

  KiviRun slice(int from, int count) const {
    KiviRun part = *this;
    part.first += from, part.rows = count;
    return part;
  }
  template <class Scalar>
  void for_each_piece(auto&& product) const {
    static_assert(std::same_as<Scalar, float>, "packed rows are computed with in float");
    alignas(64) float unpacked[piece_numbers];
    const int at_once = std::max(1, piece_numbers / head_dim);
    for (int slot = first, end = first + rows, n; slot < end; slot += n) {
      const bool is_packed = slot < packed;
      n = std::min({at_once, end - slot, is_packed ? group - slot % group : ring - slot % ring});
      if (is_packed) unpack(slot, n, unpacked);
      const float* numbers = is_packed ? unpacked : whole + std::ptrdiff_t(slot % ring) * head_dim;
      product(MatrixIn<float>(numbers, n, head_dim, Eigen::OuterStride<>(head_dim)), slot - first);
    }
  }
  void codes(int row, RowCodes& to) const {
    to.clear();
    const int slot = first + row;
    if (slot >= packed) return;  // whole: the numbers lie there as they are
    to.format.name = "kivi, " + in_words(side);
    if (side.per_channel)
      list_channel_codes(group_of(slot), slot % group, head_dim, side.bits, to);
    else
      list_code_row(group_of(slot) + std::size_t(slot % group) * code_row_bytes(head_dim, side.bits), head_dim,
                    side.bits, to);
  }

 private:
  const std::byte* group_of(int slot) const {
    return groups + std::size_t(slot / group) * kivi_group_bytes(side, group, head_dim);
  }
  void unpack(int slot, int n, float* numbers) const {  // rows of one group
    switch (side.bits) {
      case 2:
        return unpack<2>(slot, n, numbers);
      case 4:
        return unpack<4>(slot, n, numbers);
      default:
        return unpack<8>(slot, n, numbers);
    }
  }
  template <int bits>
  void unpack(int slot, int n, float* numbers) const {
    const std::byte* from = group_of(slot);
    if (side.per_channel) return unpack_channels<bits>(from, slot % group, n, head_dim, numbers);
    for (int r = 0; r < n; ++r)
      unpack_code_row<bits>(from + std::size_t(slot % group + r) * code_row_bytes(head_dim, bits), head_dim,
                            numbers + r * head_dim);
  }
};

}  // namespace detail
}  // namespace kvcache
