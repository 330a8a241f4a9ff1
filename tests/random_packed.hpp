// Random rows in any format, with scales of a sensible size.
#pragma once

#include <cstring>
#include <memory>
#include <vector>

#include "kvcache/core/random.hpp"
#include "kvcache/math/packed_formats.hpp"

/// `count` numbers, whole blocks; none is infinite or no number.
inline std::vector<std::byte> random_packed(kvcache::NumberFormat format, std::size_t count, kvcache::Random& random) {
  using kvcache::NumberFormat;
  std::vector<std::byte> bytes(kvcache::bytes_of(format, count));
  for (std::byte& byte : bytes) byte = std::byte(random.below(256));
  const auto put = [&](std::size_t at, auto number) { std::memcpy(bytes.data() + at, &number, sizeof number); };
  const auto half = [&] { return Eigen::numext::bit_cast<std::uint16_t>(Eigen::half(float(random.uniform(-1, 1)))); };
  const std::size_t step = std::size_t(kvcache::block_bytes(format));
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    const float number = float(random.uniform(-1, 1));
    if (format == NumberFormat::f32)
      put(at, number);
    else if (format == NumberFormat::bf16)
      std::memcpy(bytes.data() + at, reinterpret_cast<const char*>(&number) + 2, 2);
    else
      put(at, half());  // a half itself, or the scale of a block
    if (format == NumberFormat::q4_1) put(at + 2, half());
  }
  return bytes;
}

/// A matrix of such rows, which keeps them alive.
inline kvcache::WeightMatrix<float> random_packed_matrix(kvcache::NumberFormat format, int rows, int cols,
                                                         kvcache::Random& random) {
  const auto bytes = std::make_shared<const std::vector<std::byte>>(
      random_packed(format, std::size_t(rows) * std::size_t(cols), random));
  return {kvcache::weight_rows(format, bytes->data(), rows, cols), bytes};
}
