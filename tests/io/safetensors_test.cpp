#include "kvcache/io/safetensors.hpp"

#include <doctest/doctest.h>

#include "temporary_folder.hpp"

using namespace kvcache;
using kvcache_test::TemporaryFolder;

namespace {

/// A safetensors file: the header's length, the header, the data.
std::string file_of(const std::string& header, const std::string& data) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += char(std::uint64_t(header.size()) >> (8 * i) & 255);
  return bytes + header + data;
}
const std::string eight_bytes("\0\0\x80\x3f\0\0\0\x40", 8);  // 1.0f, 2.0f

std::string sentence_of(const std::string& bytes) {
  const TemporaryFolder folder;
  try {
    Safetensors file(folder.write("model.safetensors", bytes));
    return "accepted";
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace

TEST_CASE("a safetensors file gives its tensors by name, in every format that can be read") {
  const TemporaryFolder folder;
  const Safetensors file(folder.write("a.safetensors", file_of(R"({"__metadata__": {"format": "pt"},
      "x": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]},
      "h": {"dtype": "F16", "shape": [1], "data_offsets": [8, 10]},
      "b": {"dtype": "BF16", "shape": [1], "data_offsets": [10, 12]},
      "none": {"dtype": "F32", "shape": [0, 5], "data_offsets": [12, 12]}})",
                                                               eight_bytes + std::string("\x00\x3e\xc0\x3f", 4))));
  REQUIRE(file.tensors().size() == 4);
  const Tensor& x = file.tensors().at("x");
  CHECK(x.shape == std::vector<std::size_t>{2, 1});
  float numbers[2];
  read_numbers(x.format, x.bytes.data(), 2, numbers);
  CHECK(numbers[0] == 1.0f);
  CHECK(numbers[1] == 2.0f);
  CHECK(file.tensors().at("none").bytes.empty());
  CHECK(file.metadata() == std::map<std::string, std::string>{{"format", "pt"}});
  CHECK(Safetensors(folder.write("b.safetensors", file_of("{}", ""))).metadata().empty());
}

TEST_CASE("a safetensors file that contradicts itself is refused with a sentence") {
  const auto header = [](const std::string& entry) { return file_of("{\"x\": " + entry + "}", eight_bytes); };
  const auto says = [](const std::string& bytes, const char* what) {
    const std::string sentence = sentence_of(bytes);
    CAPTURE(sentence);
    CHECK(sentence.find(what) != std::string::npos);
    CHECK(sentence.find("model.safetensors") != std::string::npos);
  };
  says("", "the file is empty");
  says("abc", "3 bytes are too few");
  says(file_of("{}", "").replace(7, 1, "\x7f"), "the header claims");
  says(file_of("{\"x\": ", ""), "the header is not JSON");
  says(file_of("[]", ""), "not a JSON object");
  says(file_of("{\"x\": 3}", ""), "must be an object");
  says(file_of(R"({"__metadata__": 3})", ""), "'__metadata__' must be an object");
  says(file_of(R"({"__metadata__": {"steps": 3}})", ""),
       "'__metadata__': 'steps' must be a string, but is a number (3)");
  says(header(R"({"dtype": "F32", "shape": [1]})"), "has no 'data_offsets'");
  says(header(R"({"dtype": "F32", "shape": [1], "data_offsets": [0]})"),
       "'data_offsets' has 1 numbers; it must have 2");
  says(header(R"({"dtype": "I64", "shape": [2], "data_offsets": [0, 8]})"), "needs 16 bytes, but its offsets span 8");
  says(header(R"({"dtype": "F32", "shape": [2], "data_offsets": [0, 80]})"),
       "bytes 0 to 80 lie outside the file's 8 bytes");
  says(header(R"({"dtype": "F32", "shape": [2], "data_offsets": [8, 0]})"), "bytes 8 to 0 lie outside");
  says(header(R"({"dtype": "F32", "shape": [3], "data_offsets": [0, 8]})"), "needs 12 bytes, but its offsets span 8");
  says(header(R"({"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]})"), "a dimension is -2; it must be 0 to");
  says(header(R"({"dtype": "F32", "shape": [2.5], "data_offsets": [0, 8]})"),
       "a dimension must be a whole number, but is a number (2.5)");
  says(header(R"({"dtype": "F32", "shape": [4294967296, 4294967296, 2], "data_offsets": [0, 8]})"), "overflows");
  says(header(R"({"dtype": "F32", "shape": [0, 9223372036854775807, 9223372036854775807], "data_offsets": [0, 8]})"),
       "needs 0 bytes, but its offsets span 8");
  says(
      header(
          R"({"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "y": {"dtype": "F32", "shape": [1], "data_offsets": [2, 6]})"),
      "tensors \"x\" and \"y\" overlap");
  says(file_of(std::string(100000, '['), ""), "the header is not JSON");
  CHECK(sentence_of(header(R"({"dtype": "F32", "shape": [2], "data_offsets": [0, 8]})")) == "accepted");
}

TEST_CASE("a tensor of a type that cannot be read is known by its name, type and size") {
  const TemporaryFolder folder;
  const Safetensors file(folder.write("a.safetensors", file_of(R"({"mask": {"dtype": "U8", "shape": [2, 2],
      "data_offsets": [0, 4]}, "new": {"dtype": "F4", "shape": [7], "data_offsets": [4, 8]}})",
                                                               eight_bytes)));
  CHECK(file.tensors().empty());
  REQUIRE(file.unread().size() == 2);
  CHECK(file.unread().at("mask").type == "U8");
  CHECK(file.unread().at("mask").shape == std::vector<std::size_t>{2, 2});
  CHECK(file.unread().at("mask").bytes == 4);
  CHECK(file.unread().at("new").bytes == 4);  // a type that nobody knows yet
}

TEST_CASE("a safetensors file cut anywhere, or with any bit flipped, is read or refused, never followed blindly") {
  const std::string whole = file_of(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", eight_bytes);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    CHECK(sentence_of(whole.substr(0, length)) != "accepted");
  }
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = char(flipped[bit / 8] ^ (1 << bit % 8));
    CHECK_NOTHROW(sentence_of(flipped));  // anything but an Error would leave it
  }
}

TEST_CASE("a file that is not there, or a folder, is named") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(Safetensors(folder.path() / "none"), doctest::Contains("none: cannot be opened: No such file"),
                       Error);
  CHECK_THROWS_WITH_AS(Safetensors{folder.path()}, doctest::Contains("not a file"), Error);
}
