#include "kvcache/io/gguf.hpp"

#include <doctest/doctest.h>

#include "gguf_writer.hpp"
#include "temporary_folder.hpp"

using namespace kvcache;
using kvcache_test::GgufWriter, kvcache_test::TemporaryFolder;
using Type = GgufWriter::Type;

namespace {

const std::string four_floats("\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40\0\0\x80\x40", 16);  // 1, 2, 3, 4

std::string sentence_of(const std::string& bytes) {
  const TemporaryFolder folder;
  try {
    const Gguf file(folder.write("model.gguf", bytes));
    return "accepted";
  } catch (const Error& error) {
    return error.what();
  }
}
std::string sentence_of(const GgufWriter& file) { return sentence_of(file.bytes()); }
GgufWriter with_tensor() {
  GgufWriter file;
  file.tensor("x", {2, 2}, 0, four_floats);
  return file;
}

}  // namespace

TEST_CASE("a GGUF file gives its metadata, of every type, and its tensors with the outermost dimension first") {
  for (const std::uint32_t version : {2u, 3u}) {
    GgufWriter file;
    file.version = version;
    file.text("general.architecture", "llama").number("a", Type::u8, std::uint8_t(200));
    file.number("b", Type::i8, std::int8_t(-3)).number("c", Type::u16, std::uint16_t(60000));
    file.number("d", Type::i16, std::int16_t(-30000)).number("e", Type::u32, std::uint32_t(4'000'000'000));
    file.number("f", Type::i32, std::int32_t(-7)).number("g", Type::f32, 0.5f).number("h", Type::boolean, char(1));
    file.number("i", Type::u64, ~std::uint64_t(0)).number("j", Type::i64, std::int64_t(-1) << 60);
    file.number("k", Type::f64, 1e-300).texts("l", {"one", "", "\xc4\xa0t"}).numbers<std::int32_t>("m", Type::i32, {});
    file.numbers<float>("n", Type::f32, {1.5f, -2.f});
    file.tensor("x", {2, 1}, 0, four_floats.substr(0, 8)).tensor("q", {32, 2}, 8, std::string(68, '\1'));
    const TemporaryFolder folder;
    const Gguf read(folder.write("a.gguf", file.bytes()));
    CHECK(read.version() == int(version));
    const nlohmann::json& m = read.metadata();
    CHECK(m.size() == 15);
    CHECK(m["general.architecture"] == "llama");
    CHECK(m["a"] == 200);
    CHECK(m["b"] == -3);
    CHECK(m["c"] == 60000);
    CHECK(m["d"] == -30000);
    CHECK(m["e"] == 4'000'000'000);
    CHECK(m["f"] == -7);
    CHECK(m["g"] == 0.5);
    CHECK(m["h"] == true);
    CHECK(m["i"] == ~std::uint64_t(0));
    CHECK(m["j"] == std::int64_t(-1) << 60);
    CHECK(m["k"] == 1e-300);
    CHECK(m["l"] == nlohmann::json{"one", "", "\xc4\xa0t"});
    CHECK(m["m"] == nlohmann::json::array());
    CHECK(m["n"] == nlohmann::json{1.5, -2.0});
    REQUIRE(read.tensors().size() == 2);
    const Tensor& x = read.tensors().at("x");
    CHECK(x.shape == std::vector<std::size_t>{1, 2});
    float numbers[2];
    read_numbers(x.format, x.bytes.data(), 2, numbers);
    CHECK(numbers[1] == 2);
    const Tensor& q = read.tensors().at("q");
    CHECK(q.format == NumberFormat::q8_0);
    CHECK(q.bytes.size() == 68);
    CHECK((q.bytes.data() - x.bytes.data()) == 32);  // aligned
  }
}

TEST_CASE("the alignment that a file says is used") {
  GgufWriter file;
  file.alignment = 64;
  file.number("general.alignment", Type::u32, std::uint32_t(64));
  file.tensor("x", {2}, 0, four_floats.substr(0, 8)).tensor("y", {2}, 0, four_floats.substr(8));
  const TemporaryFolder folder;
  const Gguf read(folder.write("a.gguf", file.bytes()));
  float y = 0;
  read_numbers(NumberFormat::f32, read.tensors().at("y").bytes.data(), 1, &y);
  CHECK(y == 3);
  for (const std::uint32_t wrong : {0u, 4u, 33u, 1u << 21}) {
    GgufWriter other;
    other.number("general.alignment", Type::u32, wrong);
    CHECK(sentence_of(other).find("must be a power of two from 8 to 2^20") != std::string::npos);
  }
}

TEST_CASE("bad GGUF files get a sentence that says what is wrong") {
  const auto says = [](const GgufWriter& file, const std::string& sentence) {
    CAPTURE(sentence);
    CHECK(sentence_of(file).find(sentence) != std::string::npos);
    CHECK(sentence_of(file).find("model.gguf") != std::string::npos);
  };
  CHECK(sentence_of(with_tensor()) == "accepted");
  CHECK(sentence_of("GGUF").find("no GGUF file") != std::string::npos);
  CHECK(sentence_of(std::string(100, 'x')).find("does not begin with the letters GGUF") != std::string::npos);
  GgufWriter file = with_tensor();
  file.version = 1;
  says(file, "is GGUF version 1; versions 2 and 3 can be read");
  file.version = 3 << 24;
  says(file, "big-endian files cannot be read");
  file = with_tensor(), file.tensor_count = 1'000'000'000;
  says(file, "claims 1000000000 tensors, but only");
  file = with_tensor(), file.value_count = ~std::uint64_t(0);
  says(file, "claims 18446744073709551615 metadata values");
  file = with_tensor();
  says(file.number("x", Type(13), 0), "has type 13; GGUF knows types 0 to 12");
  file = with_tensor();
  says(file.number("x", Type::u8, '\1').number("x", Type::u8, '\1'), "'x' stands twice");
  file = with_tensor();
  says(file.tensor("x", {1}, 0, "1234"), "tensor \"x\" stands twice");
  file = {};
  says(file.tensor("x", {}, 0, ""), "has 0 dimensions");
  file = {};
  says(file.tensor("x", {0}, 0, ""), "has a dimension of 0");
  file = {};
  says(file.tensor("x", {std::uint64_t(1) << 40, std::uint64_t(1) << 40}, 0, ""), "it is empty or too large");
  file = {};
  says(file.tensor("x", {33}, 8, std::string(40, 'x')), "rows of 33 numbers are not whole blocks of Q8_0");
  file = {};
  says(file.tensor("x", {5}, 0, four_floats), "[5] of F32 needs 20 bytes at byte 0 of the data, but the file has only");
  file = {};
  says(file.tensor_at("x", {4}, 0, 7, four_floats), "no multiple of the file's alignment 32");
  file = with_tensor();
  says(file.tensor_at("y", {2}, 0, 0, ""), "overlap; the file is broken");
  file = {};
  says(file.tensor_at("x", {4}, 0, ~std::uint64_t(31), four_floats), "needs 16 bytes at byte 18446744073709551584");
  const std::string whole = with_tensor().text("key", "value").bytes();
  for (std::size_t length = 1; length < whole.size(); ++length)
    CHECK(sentence_of(whole.substr(0, length)) != "accepted");
}

TEST_CASE("a tensor of a type that cannot be read is known by its name and type, and ends where the next begins") {
  const TemporaryFolder folder;
  GgufWriter writer;
  writer.tensor("q", {256}, 12, std::string(144, 'x')).tensor("f", {1}, 0, "1234");
  writer.tensor("n", {3}, 999, std::string(32, 'x'));
  const Gguf file(folder.write("model.gguf", writer.bytes()));
  REQUIRE(file.unread().size() == 2);
  CHECK(file.unread().at("q").type == "Q4_K");
  CHECK(file.unread().at("q").bytes == 160);  // 144, and what fills up to the next multiple of 32
  CHECK(file.unread().at("n").type == "number 999");
  CHECK(file.unread().at("n").bytes == 32);
  REQUIRE(file.find_shape("q") != nullptr);
  CHECK(*file.find_shape("q") == std::vector<std::size_t>{256});
  CHECK(file.tensors().size() == 1);
}

TEST_CASE("an array that claims more than the file holds is refused before memory is asked for") {
  GgufWriter file;
  file.numbers<std::uint64_t>("x", Type::array, {~std::uint64_t(0) >> 1});
  CHECK(sentence_of(file).find("array of arrays") != std::string::npos);
  std::string bytes = GgufWriter().numbers<std::uint8_t>("x", Type::u8, {1, 2, 3}).bytes();
  const std::size_t length_at = 24 + 8 + 1 + 4 + 4;
  for (int i = 0; i < 8; ++i) bytes[length_at + std::size_t(i)] = '\x7f';
  CHECK(sentence_of(bytes).find("values of an array, but only") != std::string::npos);
}
