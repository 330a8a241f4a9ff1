#include "kvcache/math/quantise.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "kvcache/core/random.hpp"

using namespace kvcache;

namespace {

std::vector<float> numbers_of(std::uint64_t seed, std::size_t count, float size) {
  Random random(seed);
  std::vector<float> numbers(count);
  for (float& x : numbers) x = size * float(random.uniform(-1, 1));
  return numbers;
}
std::vector<std::byte> written(NumberFormat format, const std::vector<float>& numbers) {
  std::vector<std::byte> bytes(bytes_of(format, numbers.size()));
  write_numbers(format, numbers.data(), numbers.size(), bytes.data());
  return bytes;
}
std::vector<float> read_back(NumberFormat format, const std::vector<std::byte>& bytes, std::size_t count) {
  std::vector<float> numbers(count);
  read_numbers(format, bytes.data(), count, numbers.data());
  return numbers;
}

}  // namespace

TEST_CASE("numbers come back within half a step of their format") {
  const std::vector<float> numbers = numbers_of(1, 64 * 32, 3);
  const auto worst = [&](NumberFormat format) {
    const std::vector<float> back = read_back(format, written(format, numbers), numbers.size());
    float worst = 0;
    for (std::size_t i = 0; i < numbers.size(); ++i) worst = std::max(worst, std::abs(back[i] - numbers[i]));
    return worst;
  };
  CHECK(worst(NumberFormat::f32) == 0);
  CHECK(worst(NumberFormat::f16) <= 3 * 0x1p-11f);
  CHECK(worst(NumberFormat::bf16) <= 3 * 0x1p-8f);
  CHECK(worst(NumberFormat::q8_0) <= 3 / 127.f / 2 * 1.05f);
  CHECK(worst(NumberFormat::q4_0) <= 3 / 8.f * 1.01f);  // the largest code, 15, stands for 7 steps of 8
  CHECK(worst(NumberFormat::q4_1) <= 6 / 15.f / 2 * 1.01f);
}

TEST_CASE("what is no number stays as it is where numbers lie alone, and is refused where they share a scale") {
  for (const float bad : {NAN, INFINITY, -INFINITY})
    for (const std::size_t place : {0, 33, 63})
      for (int f = 0; f < number_formats; ++f) {
        const NumberFormat format{f};
        std::vector<float> numbers = numbers_of(7, 64, 1);
        numbers[place] = bad;
        if (block_numbers(format) == 1) {
          const float back = read_back(format, written(format, numbers), 64)[place];
          CHECK((back == bad || (std::isnan(bad) && std::isnan(back))));
          continue;
        }
        std::ostringstream sentence;
        sentence << "number " << place << " of 64 is " << bad << ", which " << name(format)
                 << " has no code for; write F32, F16 or BF16, or mend where it comes from";
        CHECK_THROWS_WITH_AS(written(format, numbers), sentence.str().c_str(), Error);
      }
}

TEST_CASE("zeros stay zeros, equal numbers stay as they are, and what is too large becomes the largest") {
  for (int f = 0; f < number_formats; ++f) {
    const NumberFormat format{f};
    CHECK(read_back(format, written(format, std::vector<float>(32, 0.f)), 32) == std::vector<float>(32, 0.f));
    const std::vector<float> same = read_back(format, written(format, std::vector<float>(32, 0.5f)), 32);
    for (const float x : same) CHECK(x == doctest::Approx(0.5).epsilon(0.001));
    for (const float x : read_back(format, written(format, std::vector<float>(32, 1e9f)), 32)) CHECK(std::isfinite(x));
  }
  CHECK(read_back(NumberFormat::f16, written(NumberFormat::f16, {1e9f, -1e9f}), 2) ==
        std::vector<float>{65504, -65504});
}

TEST_CASE("blocks have the bytes that GGUF's own tools write") {
  std::ifstream file(KVCACHE_GOLDENS "/quantised.json");
  const auto golden = nlohmann::json::parse(file);
  const auto numbers = golden["numbers"].get<std::vector<float>>();
  REQUIRE(numbers.size() == 40 * 32);
  for (const NumberFormat format :
       {NumberFormat::f16, NumberFormat::bf16, NumberFormat::q8_0, NumberFormat::q4_0, NumberFormat::q4_1}) {
    CAPTURE(name(format));
    const auto expected = golden["bytes"][name(format)].get<std::vector<int>>();
    const std::vector<std::byte> bytes = written(format, numbers);
    REQUIRE(bytes.size() == expected.size());
    int different = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) different += std::to_integer<int>(bytes[i]) != expected[i];
    CHECK(different == 0);
  }
}
