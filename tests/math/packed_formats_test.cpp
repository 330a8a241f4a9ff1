#include "kvcache/math/packed_formats.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "random_packed.hpp"

using namespace kvcache;

namespace {

constexpr NumberFormat packed_ones[] = {NumberFormat::f16, NumberFormat::bf16, NumberFormat::q8_0, NumberFormat::q4_0,
                                        NumberFormat::q4_1};

std::vector<float> by_reference(NumberFormat format, const std::vector<std::byte>& bytes, std::size_t count) {
  std::vector<float> numbers(count);
  read_numbers(format, bytes.data(), count, numbers.data());
  return numbers;
}

}  // namespace

TEST_CASE("unpacking gives the numbers that the plain reference gives") {
  Random random(1);
  for (const NumberFormat format : packed_ones) {
    CAPTURE(name(format));
    constexpr int rows = 5, cols = 96;
    const auto bytes = random_packed(format, rows * cols, random);
    const std::vector<float> expected = by_reference(format, bytes, rows * cols);
    std::vector<float> got(rows * cols + 1, 7.f);
    packed_format(format)->unpack(bytes.data(), rows, cols, got.data());
    // A multiplication and an addition may be one instruction here and two there.
    const float allowed = format == NumberFormat::q4_0 || format == NumberFormat::q4_1 ? 2e-6f : 0;
    for (std::size_t i = 0; i < expected.size(); ++i) CHECK(std::abs(got[i] - expected[i]) <= allowed);
    CHECK(got.back() == 7);  // not one more than asked for
  }
}

TEST_CASE("all halves and all bfloat16 numbers are unpacked exactly, and those that are no number to none") {
  for (const NumberFormat format : {NumberFormat::f16, NumberFormat::bf16}) {
    std::vector<std::uint16_t> bits;
    for (int i = 0; i < 65536; ++i) bits.push_back(std::uint16_t(i));
    std::vector<float> got(bits.size()), expected(bits.size());
    const auto* bytes = reinterpret_cast<const std::byte*>(bits.data());
    packed_format(format)->unpack(bytes, 1, int(bits.size()), got.data());
    read_numbers(format, bytes, bits.size(), expected.data());
    int wrong = 0;
    for (std::size_t i = 0; i < bits.size(); ++i)
      if (std::isnan(expected[i]))
        wrong += !std::isnan(got[i]);
      else
        wrong += got[i] != expected[i] || std::signbit(got[i]) != std::signbit(expected[i]);
    CHECK(wrong == 0);
  }
}

TEST_CASE("a product with packed rows is that with the unpacked ones") {
  Random random(2);
  for (const NumberFormat format : packed_ones)
    for (const int cols : {32, 64, 576}) {
      CAPTURE(name(format));
      CAPTURE(cols);
      constexpr int rows = 7;
      const auto bytes = random_packed(format, std::size_t(rows * cols), random);
      const std::vector<float> numbers = by_reference(format, bytes, std::size_t(rows * cols));
      std::vector<float> x(std::size_t(cols) + 1), y(rows + 1, 7.f);
      for (float& number : x) number = float(random.uniform(-1, 1));
      packed_format(format)->multiply(bytes.data(), rows, cols, x.data(), y.data());
      for (int r = 0; r < rows; ++r) {
        double sum = 0, size = 0;
        for (int c = 0; c < cols; ++c) {
          const double term = double(numbers[std::size_t(r * cols + c)]) * double(x[std::size_t(c)]);
          sum += term, size += std::abs(term);
        }
        CHECK(std::abs(double(y[std::size_t(r)]) - sum) <= 1e-6 * size);
      }
      CHECK(y[rows] == 7);
    }
}

TEST_CASE("every format but F32 is packed, under its own name and size") {
  CHECK(packed_format(NumberFormat::f32) == nullptr);
  for (const NumberFormat format : packed_ones) {
    const PackedFormat& functions = *packed_format(format);
    CHECK(functions.name == std::string(name(format)));
    CHECK(functions.row_bytes(64) == bytes_of(format, 64));
  }
}

TEST_CASE("rows are used in place only where their address and length suit") {
  alignas(16) std::byte bytes[64]{};
  CHECK(usable_in_place(NumberFormat::f32, bytes + 4, 5));
  CHECK_FALSE(usable_in_place(NumberFormat::f32, bytes + 2, 32));
  CHECK(usable_in_place(NumberFormat::f16, bytes + 2, 32));
  CHECK_FALSE(usable_in_place(NumberFormat::f16, bytes + 1, 32));
  CHECK_FALSE(usable_in_place(NumberFormat::f16, bytes, 48));
  CHECK(usable_in_place(NumberFormat::q8_0, bytes + 34, 64));
}
