// One file, compiled in parts and with other flags each time: see other_flags.sh.
#include <cstdio>

int products(), sums(), formats();  // how many of their results are wrong

#ifdef MAIN

int main() {
  const int wrong = products() + sums() + formats();
  std::printf("%d results are wrong\n", wrong);
  return wrong == 0 ? 0 : 1;
}

#else

#include <kvcache/core/matrix.hpp>

using namespace kvcache;

namespace {
int wrong = 0;
void expect(const char* what, double number, double right) {
  if (number == right) return;
  ++wrong;
  std::printf("%s: %g, and %g is right\n", what, number, right);
}
[[maybe_unused]] MatrixIn<float> given(const float* numbers, int rows, int cols) {
  return {numbers, rows, cols, Eigen::OuterStride<>(cols)};
}
[[maybe_unused]] MatrixOut<float> room(float* numbers, int rows, int cols) {
  return {numbers, rows, cols, Eigen::OuterStride<>(cols)};
}
}  // namespace

#ifdef PRODUCTS
#include <kvcache/math/few_tokens.hpp>
int products() {
  float ones[5 * 64], numbers[3 * 64], product[3 * 5];
  for (float& one : ones) one = 1;
  for (int i = 0; i < 3 * 64; ++i) numbers[i] = float(i % 64);
  detail::multiply_few_tokens(given(numbers, 3, 64), given(ones, 5, 64), room(product, 3, 5));
  for (const float sum : product) expect("a product of few tokens", sum, 2016);
  return wrong;
}
#endif

#ifdef SUMS
#include <kvcache/math/few_tokens.hpp>
int sums() {
  float ones[2 * 3], numbers[3 * 64], sums[2 * 64] = {};
  for (float& one : ones) one = 1;
  for (int i = 0; i < 3 * 64; ++i) numbers[i] = float(i % 64);
  detail::add_few_weighted_rows(given(ones, 2, 3), given(numbers, 3, 64), room(sums, 2, 64));
  for (int i = 0; i < 2 * 64; ++i) expect("a sum of few rows", sums[i], 3 * (i % 64));
  return wrong;
}
#endif

#ifdef FORMATS
#include <kvcache/math/packed_formats.hpp>
// Two blocks in each packed format, of numbers that all of them hold exactly: 0, 1, ... 15 twice, and a scale of 1.
int formats() {
  const float ones[64] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};  // the first 16
  for (const NumberFormat format : {NumberFormat::f16, NumberFormat::bf16, NumberFormat::q8_0, NumberFormat::q4_1}) {
    alignas(4) std::byte row[2 * 64] = {};
    for (int b = 0; b < 2; ++b) {
      std::byte* block = row + b * 32 * block_bytes(format) / block_numbers(format);
      const auto put = [&](int at, std::uint16_t bits) { std::memcpy(block + at, &bits, 2); };
      if (block_numbers(format) == 32) put(0, 0x3c00);  // 1 as a half
      for (int i = 0; i < 32; ++i) {
        const int n = i % 16;
        if (format == NumberFormat::f16)
          put(2 * i, Eigen::numext::bit_cast<std::uint16_t>(Eigen::half(float(n))));
        else if (format == NumberFormat::bf16)
          put(2 * i, std::uint16_t(std::bit_cast<unsigned>(float(n)) >> 16));
        else if (format == NumberFormat::q8_0)
          block[2 + i] = std::byte(n);
        else if (i < 16)
          block[4 + i] = std::byte(n | n << 4);
      }
    }
    float unpacked[64], dot = 0;
    packed_format(format)->unpack(row, 1, 64, unpacked);
    for (int i = 0; i < 64; ++i) expect(name(format), unpacked[i], i % 16);
    packed_format(format)->multiply(row, 1, 64, ones, &dot);
    expect(name(format), dot, 120);
  }
  return wrong;
}
#endif

#endif
