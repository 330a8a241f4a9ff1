#include "kvcache/text/utf8.hpp"

#include <doctest/doctest.h>

#include "kvcache/text/white_space.hpp"

using namespace kvcache;
using Kind = Utf8Front::Kind;

TEST_CASE("every code point but the surrogates survives writing and reading") {
  int wrong = 0;
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    append_utf8(text, c);
    const Utf8Front front = utf8_front(text);
    const std::size_t bytes = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    wrong += front.kind != Kind::whole || front.code_point != c || front.bytes != bytes || text.size() != bytes;
    wrong += find_invalid_utf8(text) != std::string_view::npos;
  }
  CHECK(wrong == 0);
}

TEST_CASE("the first byte that begins no whole character is found") {
  const auto at = [](std::string_view text) { return find_invalid_utf8(text); };
  CHECK(at("") == std::string_view::npos);
  CHECK(at("caf\xC3\xA9") == std::string_view::npos);
  CHECK(at("caf\xE9") == 3);           // Latin-1
  CHECK(at("a\x80") == 1);             // a continuation without a beginning
  CHECK(at("\xC0\xAF") == 0);          // '/' in two bytes
  CHECK(at("\xE0\x9F\xBF") == 0);      // U+07FF in three
  CHECK(at("\xF0\x8F\xBF\xBF") == 0);  // U+FFFF in four
  CHECK(at("ab\xED\xA0\x80") == 2);    // a surrogate
  CHECK(at("\xED\x9F\xBF") == std::string_view::npos);
  CHECK(at("\xF4\x90\x80\x80") == 0);  // U+110000
  CHECK(at("\xF4\x8F\xBF\xBF") == std::string_view::npos);
  CHECK(at("\xF5") == 0);
  CHECK(at("\xE4\xBA\xBA\xE4\xBA") == 3);  // cut off
  CHECK(at("\xE4\xBA"
           "a") == 0);
}

TEST_CASE("what cannot become a character is told apart from what more bytes may complete") {
  CHECK(utf8_front("\xF0\x9F\x98").kind == Kind::cut_off);
  CHECK(utf8_front("\xF0\x9F\x98").bytes == 3);
  CHECK(utf8_front("\xF0\x9F\x98x").kind == Kind::invalid);
  CHECK(utf8_front("\xF0\x9F\x98x").bytes == 3);
  CHECK(utf8_front("\xED\xA0\x80").bytes == 1);
  CHECK(utf8_front("\xED").kind == Kind::cut_off);
}

TEST_CASE("an error about bytes says where and which") {
  CHECK_NOTHROW(check_utf8("Test", "fine"));
  CHECK_THROWS_WITH_AS(check_utf8("Test", "caf\xE9!"), doctest::Contains("Test: the text is not UTF-8"), Error);
  CHECK_THROWS_WITH(check_utf8("Test", "caf\xE9!"), doctest::Contains("at byte 3, which is 0xE9"));
}

TEST_CASE("white space is Unicode's White_Space, 25 characters") {
  int count = 0;
  for (char32_t c = 0; c <= 0x10FFFF; ++c) count += is_white_space(c);
  CHECK(count == 25);
  CHECK(!is_white_space(0x180E));
  CHECK(!is_white_space(0x200B));
  CHECK(leading_white_space(" \t\u3000\u0085x ") == 7);
  CHECK(trailing_white_space(" x\u3000 \u2028") == 7);
  CHECK(leading_white_space("") == 0);
  CHECK(trailing_white_space("") == 0);
  CHECK(trailing_white_space("\u180e") == 0);
  CHECK(trailing_white_space(" \n") == 2);
}
