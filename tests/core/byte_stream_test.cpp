#include "kvcache/core/byte_stream.hpp"

#include <doctest/doctest.h>

#include <limits>

using namespace kvcache;

namespace {

ByteWriter some_of_everything() {
  ByteWriter to;
  to.number(std::uint8_t(7));
  to.number(-2);
  to.number(0.1);
  to.text("héllo");
  to.text("");
  to.bytes(std::as_bytes(std::span("ab", 2)));
  to.room(2)[1] = std::byte(9);
  return to;
}
bool reads_back(std::span<const std::byte> bytes) {
  ByteReader from(bytes, "x.bin");
  bool same = from.number<std::uint8_t>() == 7 && from.number<int>() == -2 && from.number<double>() == 0.1;
  same = same && from.text() == "héllo" && from.text().empty() && from.bytes(2)[1] == std::byte('b');
  same = same && from.bytes(1, 2)[1] == std::byte(9) && from.bytes(0).empty();
  from.check_finished();
  return same;
}

}  // namespace

TEST_CASE("what is written is read back") { CHECK(reads_back(some_of_everything().written())); }

TEST_CASE("the lowest byte of a number comes first") {
  ByteWriter to;
  to.number(std::uint32_t(0x01020304));
  CHECK(to.written()[0] == std::byte(4));
  CHECK(to.written()[3] == std::byte(1));
}

TEST_CASE("bytes that were cut off anywhere are refused") {
  const ByteWriter written = some_of_everything();
  for (std::size_t n = 0; n < written.written().size(); ++n)
    CHECK_THROWS_AS(reads_back(written.written().first(n)), Error);
}

TEST_CASE("a read beyond the end says where, and changes nothing") {
  const std::byte bytes[6]{};
  ByteReader from(bytes, "x.bin");
  from.number<std::uint32_t>();
  CHECK_THROWS_WITH_AS(from.number<std::uint64_t>(),
                       "x.bin: 8 bytes are needed at byte 4, but only 2 are left; they were cut off, or are something "
                       "else",
                       Error);
  CHECK(from.left() == 2);
  CHECK_THROWS_WITH_AS(from.check_finished(), doctest::Contains("2 bytes more than expected follow byte 4"), Error);
}

TEST_CASE("a count that would overflow or ask for all memory is refused before anything is made") {
  const std::byte bytes[8]{};
  ByteReader from(bytes);
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
  for (const auto& [count, each] :
       {std::pair<std::size_t, std::size_t>{most, 2}, {2, most}, {most, most}, {9, 1}, {1, 9}})
    CHECK_THROWS_WITH_AS(from.bytes(count, each), doctest::Contains("only 8 are left"), Error);
  CHECK(from.bytes(most, 0).empty());
  CHECK(from.bytes(2, 4).size() == 8);
  ByteWriter text;
  text.number(std::uint32_t(0xffffffff));
  ByteReader long_text(text.written());
  CHECK_THROWS_WITH_AS(long_text.text(), doctest::Contains("4294967295 bytes are needed"), Error);
}
