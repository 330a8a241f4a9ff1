#include "kvcache/text/byte_alphabet.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace kvcache;

TEST_CASE("each byte has a letter of its own, and the letter leads back to it") {
  std::set<char32_t> letters;
  for (int b = 0; b < 256; ++b) {
    const auto byte = static_cast<unsigned char>(b);
    letters.insert(byte_letter(byte));
    CHECK(letter_byte(byte_letter(byte)) == byte);
  }
  CHECK(letters.size() == 256);
}

TEST_CASE("the letters are GPT-2's") {
  CHECK(byte_letter('A') == 'A');
  CHECK(byte_letter(0) == 0x100);
  CHECK(byte_letter('\n') == 0x10A);
  CHECK(byte_letter(' ') == 0x120);
  CHECK(byte_letter(0x7F) == 0x121);
  CHECK(byte_letter(0xA0) == 0x142);
  CHECK(byte_letter(0xAD) == 0x143);
  CHECK(byte_letter(0xFF) == 0xFF);
  CHECK(to_byte_alphabet(" the\n\xC3\xA9") == "\u0120the\u010A\u00C3\u00A9");
}

TEST_CASE("text outside the alphabet writes no bytes") {
  CHECK(from_byte_alphabet("\u0120the") == " the");
  CHECK(from_byte_alphabet("") == "");
  CHECK(!from_byte_alphabet("a b"));
  CHECK(!from_byte_alphabet("\u00AD"));
  CHECK(!from_byte_alphabet("\u0144"));
  CHECK(!from_byte_alphabet("\u4EBA"));
  CHECK(!from_byte_alphabet("a\xFF"));
}
