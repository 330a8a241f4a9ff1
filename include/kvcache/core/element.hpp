// The number formats that files hold, and how each becomes a Scalar.
#pragma once

#include <Eigen/Core>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace kvcache {

enum class Element { f32, f16, bf16 };

constexpr std::size_t bytes_of(Element element) { return element == Element::f32 ? 4 : 2; }
constexpr const char* name(Element element) {
  return element == Element::f32 ? "F32" : element == Element::f16 ? "F16" : "BF16";
}

/// Reads `count` numbers, packed and not necessarily aligned, into `numbers`. Exact: every format is a subset of float.
template <class Scalar>
void read_elements(Element element, const std::byte* bytes, std::size_t count, Scalar* numbers) {
  if (element == Element::f32) {
    for (std::size_t i = 0; i < count; ++i) {
      float number;
      std::memcpy(&number, bytes + 4 * i, 4);
      numbers[i] = Scalar(number);
    }
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t bits;
    std::memcpy(&bits, bytes + 2 * i, 2);
    if (element == Element::bf16)  // the upper half of a float
      numbers[i] = Scalar(std::bit_cast<float>(std::uint32_t(bits) << 16));
    else
      numbers[i] = Scalar(float(Eigen::numext::bit_cast<Eigen::half>(bits)));
  }
}

}  // namespace kvcache
