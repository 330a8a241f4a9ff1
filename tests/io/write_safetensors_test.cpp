#include "kvcache/io/write_safetensors.hpp"

#include <doctest/doctest.h>

#include "kvcache/io/safetensors.hpp"
#include "temporary_folder.hpp"

using namespace kvcache;
using kvcache_test::read_file, kvcache_test::TemporaryFolder;

namespace {

TensorToWrite tensor(const char* name, std::vector<std::size_t> shape, std::vector<float> numbers) {
  return {name, std::move(shape), [numbers] { return numbers; }};
}
std::vector<float> numbers_of(const Tensor& tensor) {
  std::vector<float> numbers(tensor.bytes.size() / 4);
  read_numbers(tensor.format, tensor.bytes.data(), numbers.size(), numbers.data());
  return numbers;
}

}  // namespace

TEST_CASE("what is written is read again: tensors, shapes and metadata") {
  const TemporaryFolder folder;
  const std::vector<TensorToWrite> tensors{tensor("b", {2, 3}, {1, 2, 3, 4, 5, -0.0f}), tensor("a", {1}, {7.5}),
                                           tensor("none", {0, 4}, {}), tensor("scalar", {}, {9})};
  write_safetensors(folder.path() / "x.safetensors", tensors, {{"what", "a \"test\"\n"}, {"empty", ""}});
  const Safetensors file(folder.path() / "x.safetensors");
  REQUIRE(file.tensors().size() == 4);
  for (const TensorToWrite& written : tensors) {
    CHECK(file.tensors().at(written.name).shape == written.shape);
    CHECK(numbers_of(file.tensors().at(written.name)) == written.numbers());
  }
  CHECK(file.metadata() == std::map<std::string, std::string>{{"what", "a \"test\"\n"}, {"empty", ""}});
}

TEST_CASE("the bytes are those of the format, and the data begins at a multiple of 8") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "x";
  for (const char* name : {"x", "xy", "xyz", "wxyz", "vwxyz", "uvwxyz", "tuvwxyz", "stuvwxyz"}) {
    write_safetensors(path, std::vector{tensor(name, {1}, {1})});
    const std::string bytes = read_file(path);
    CHECK(bytes.size() % 8 == 4);
    CHECK(bytes.substr(bytes.size() - 4) == std::string("\0\0\x80\x3f", 4));
    CHECK(std::size_t(static_cast<unsigned char>(bytes[0])) == bytes.size() - 12);
    CHECK(bytes.substr(1, 7) == std::string(7, '\0'));
    CHECK(bytes[8] == '{');
  }
}

TEST_CASE("a write that fails leaves what was there, and nothing beside it") {
  const TemporaryFolder folder;
  const auto path = folder.write("x", "old");
  const auto refused = [&](std::vector<TensorToWrite> tensors, const char* sentence) {
    CHECK_THROWS_WITH_AS(write_safetensors(path, tensors), sentence, Error);
    CHECK(read_file(path) == "old");
  };
  refused({tensor("a", {2, 2}, {1, 2, 3})}, "safetensors: tensor \"a\" [2, 2] needs 4 numbers, but 3 were given");
  refused({tensor("a", {1}, {1}), tensor("a", {1}, {1})},
          "safetensors: two tensors are called \"a\"; give each a name of its own");
  refused({tensor("__metadata__", {1}, {1})},
          "safetensors: two tensors are called \"__metadata__\"; give each a name of its own");
  CHECK_THROWS_WITH_AS(write_safetensors(folder.path() / "none" / "x", {}),
                       doctest::Contains("cannot be written: there is no folder"), Error);
  CHECK_THROWS_WITH_AS(write_safetensors(folder.path(), {}), doctest::Contains("it is a folder"), Error);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}
