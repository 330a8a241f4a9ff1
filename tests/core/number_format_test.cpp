#include "kvcache/core/number_format.hpp"

#include <doctest/doctest.h>

#include <Eigen/Core>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

using namespace kvcache;

namespace {

/// What 16 bits mean, from the definition of the format: sign, exponent, fraction.
double by_definition(std::uint16_t bits, int exponent_bits, int fraction_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1, most = (1 << exponent_bits) - 1;
  const int exponent = bits >> fraction_bits & most, fraction = bits & ((1 << fraction_bits) - 1);
  const double sign = bits >> 15 ? -1 : 1;
  if (exponent == most) return fraction ? std::nan("") : sign * HUGE_VAL;
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias - fraction_bits);  // subnormal
  return sign * std::ldexp(fraction + (1 << fraction_bits), exponent - bias - fraction_bits);
}

/// As one 16-bit number would be read from a file.
template <class Scalar>
Scalar read_one(NumberFormat format, std::uint16_t bits) {
  std::byte bytes[2];
  std::memcpy(bytes, &bits, 2);
  Scalar number;
  read_numbers(format, bytes, 1, &number);
  return number;
}

bool same(double a, double b) { return std::isnan(a) ? std::isnan(b) : a == b && std::signbit(a) == std::signbit(b); }

}  // namespace

TEST_CASE("bytes and names of the formats") {
  CHECK(bytes_of(NumberFormat::f32, 3) == 12);
  CHECK(bytes_of(NumberFormat::f16, 3) == 6);
  CHECK(bytes_of(NumberFormat::bf16, 3) == 6);
  CHECK(bytes_of(NumberFormat::q8_0, 64) == 68);
  CHECK(bytes_of(NumberFormat::q4_0, 64) == 36);
  CHECK(bytes_of(NumberFormat::q4_1, 64) == 40);
  CHECK(name(NumberFormat::f32) == std::string("F32"));
  CHECK(name(NumberFormat::f16) == std::string("F16"));
  CHECK(name(NumberFormat::bf16) == std::string("BF16"));
}

TEST_CASE("all 65536 halves are read exactly, in double and in float") {
  int wrong = 0;
  for (int bits = 0; bits < 65536; ++bits) {
    const double expected = by_definition(std::uint16_t(bits), 5, 10);
    const double eigens = double(Eigen::numext::bit_cast<Eigen::half>(std::uint16_t(bits)));
    wrong += !same(read_one<double>(NumberFormat::f16, std::uint16_t(bits)), expected) || !same(eigens, expected) ||
             !same(double(read_one<float>(NumberFormat::f16, std::uint16_t(bits))), expected);
  }
  CHECK(wrong == 0);
}

TEST_CASE("all 65536 bfloat16 numbers are read exactly") {
  int wrong = 0;
  for (int bits = 0; bits < 65536; ++bits)
    wrong += !same(read_one<double>(NumberFormat::bf16, std::uint16_t(bits)), by_definition(std::uint16_t(bits), 8, 7));
  CHECK(wrong == 0);
}

TEST_CASE("known halves: one, the largest, the smallest, infinity") {
  CHECK(read_one<float>(NumberFormat::f16, 0x3c00) == 1);
  CHECK(read_one<float>(NumberFormat::f16, 0xc000) == -2);
  CHECK(read_one<float>(NumberFormat::f16, 0x7bff) == 65504);
  CHECK(read_one<float>(NumberFormat::f16, 0x0001) == 0x1p-24f);
  CHECK(read_one<float>(NumberFormat::f16, 0x03ff) == 1023 * 0x1p-24f);
  CHECK(read_one<float>(NumberFormat::f16, 0xfc00) == -std::numeric_limits<float>::infinity());
  CHECK(std::isnan(read_one<float>(NumberFormat::f16, 0x7e00)));
  CHECK(read_one<float>(NumberFormat::bf16, 0x3f80) == 1);
}

TEST_CASE("floats are read exactly from any address, the rare ones too") {
  using Limits = std::numeric_limits<float>;
  const std::vector<float> numbers{0.f,
                                   -0.f,
                                   1.f,
                                   0.1f,
                                   -3.75f,
                                   Limits::max(),
                                   Limits::lowest(),
                                   Limits::min(),
                                   Limits::denorm_min(),
                                   Limits::infinity(),
                                   -Limits::infinity(),
                                   Limits::quiet_NaN()};
  for (const std::size_t offset : {0, 1, 3}) {  // a safetensors file promises no alignment
    std::vector<std::byte> bytes(4 * numbers.size() + offset);
    std::memcpy(bytes.data() + offset, numbers.data(), 4 * numbers.size());
    std::vector<double> read(numbers.size() + 1, 7);
    read_numbers(NumberFormat::f32, bytes.data() + offset, numbers.size(), read.data());
    for (std::size_t i = 0; i < numbers.size(); ++i) CHECK(same(read[i], double(numbers[i])));
    CHECK(read.back() == 7);  // not one more than asked for
  }
}

TEST_CASE("blocks: a scale, perhaps a minimum, and 32 numbers, the first 16 in the low halves of bytes") {
  const auto half = [](std::vector<std::byte>& block, std::uint16_t bits) {
    block.push_back(std::byte(bits & 255)), block.push_back(std::byte(bits >> 8));
  };
  std::vector<std::byte> q8_0, q4_0, q4_1;
  half(q8_0, 0x3800), half(q4_0, 0xc000), half(q4_1, 0x3c00), half(q4_1, 0xbc00);  // 0.5; -2; 1 and -1
  for (int i = 0; i < 32; ++i) q8_0.push_back(std::byte(i - 16));
  for (int i = 0; i < 16; ++i) {
    q4_0.push_back(std::byte(i | (15 - i) << 4));
    q4_1.push_back(q4_0.back());
  }
  float a[32], b[32], c[32];
  read_numbers(NumberFormat::q8_0, q8_0.data(), 32, a);
  read_numbers(NumberFormat::q4_0, q4_0.data(), 32, b);
  read_numbers(NumberFormat::q4_1, q4_1.data(), 32, c);
  for (int i = 0; i < 32; ++i) {
    const int nibble = i < 16 ? i : 31 - i;
    CHECK(a[i] == 0.5f * float(i - 16));
    CHECK(b[i] == -2.f * float(nibble - 8));
    CHECK(c[i] == float(nibble) - 1);
  }
}

TEST_CASE("several 16-bit numbers are read in order, from an odd address too") {
  const std::uint16_t halves[] = {0x3c00, 0xc000, 0x4200};
  std::byte bytes[7];
  std::memcpy(bytes + 1, halves, 6);
  double read[4] = {7, 7, 7, 7};
  read_numbers(NumberFormat::f16, bytes + 1, 3, read);
  CHECK(read[0] == 1);
  CHECK(read[1] == -2);
  CHECK(read[2] == 3);
  CHECK(read[3] == 7);
  read_numbers(NumberFormat::f16, bytes + 1, 0, read + 3);
  CHECK(read[3] == 7);
}

TEST_CASE("every half becomes the float that the processor makes of it") {
  int wrong = 0;
  for (int bits = 0; bits < 65536; ++bits) {
    const float number = float_of_half(std::uint16_t(bits));
    const float expected = float(Eigen::numext::bit_cast<Eigen::half>(std::uint16_t(bits)));
    wrong += std::isnan(expected) ? !std::isnan(number) : std::memcmp(&number, &expected, 4) != 0;
  }
  CHECK(wrong == 0);
  static_assert(float_of_half(0x3c00) == 1 && float_of_half(0x0001) == 0x1p-24f && float_of_half(0xfbff) == -65504);
}
