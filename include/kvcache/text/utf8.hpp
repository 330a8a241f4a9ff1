// UTF-8: one character is one to four bytes, and not every row of bytes is text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "kvcache/core/check.hpp"

namespace kvcache {

/// What stands at the front of some bytes.
struct Utf8Front {
  enum class Kind {
    whole,    // a character
    cut_off,  // the bytes end before the character does: more bytes may complete it
    invalid   // no byte to come can make a character of it
  };
  Kind kind = Kind::invalid;
  std::size_t bytes = 0;    // length of the character, or of what one U+FFFD replaces: the longest row of bytes that
                            // could have begun a character, at least 1 ("maximal subpart", Unicode 3.9, table 3-8)
  char32_t code_point = 0;  // of a whole character
};

/// Looks at the first character of `text`, which must not be empty. Too long spellings, surrogates and code points
/// above U+10FFFF are invalid: The Unicode Standard, table 3-7, "Well-Formed UTF-8 Byte Sequences".
inline Utf8Front utf8_front(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {Utf8Front::Kind::whole, 1, lead};
  if (lead < 0xC2 || lead > 0xF4) return {Utf8Front::Kind::invalid, 1, 0};
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  char32_t code_point = lead & (0xFFu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if (i == text.size()) return {Utf8Front::Kind::cut_off, i, 0};
    unsigned lowest = 0x80, highest = 0xBF;
    if (i == 1 && lead == 0xE0) lowest = 0xA0;   // below: two bytes would do
    if (i == 1 && lead == 0xED) highest = 0x9F;  // above: surrogates
    if (i == 1 && lead == 0xF0) lowest = 0x90;   // below: three bytes would do
    if (i == 1 && lead == 0xF4) highest = 0x8F;  // above: beyond U+10FFFF
    if (byte(i) < lowest || byte(i) > highest) return {Utf8Front::Kind::invalid, i, 0};
    code_point = code_point << 6 | (byte(i) & 0x3Fu);
  }
  return {Utf8Front::Kind::whole, length, code_point};
}

/// Where the first byte stands that begins no whole character; std::string_view::npos where all is UTF-8.
inline std::size_t find_invalid_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Front front = utf8_front(text.substr(at));
    if (front.kind != Utf8Front::Kind::whole) return at;
    at += front.bytes;
  }
  return std::string_view::npos;
}

/// Errors: text that is not UTF-8, with the place and the value of the first wrong byte. `who` begins the sentence.
inline void check_utf8(std::string_view who, std::string_view text) {
  const std::size_t at = find_invalid_utf8(text);
  if (at == std::string_view::npos) return;
  const unsigned byte = static_cast<unsigned char>(text[at]);
  fail(who, ": the text is not UTF-8: no whole character begins at byte ", at, ", which is 0x",
       "0123456789ABCDEF"[byte >> 4], "0123456789ABCDEF"[byte & 15], "; convert the text to UTF-8 first");
}

/// Writes one character at the end of `text`. The code point must be one that UTF-8 can write (no surrogate).
inline void append_utf8(std::string& text, char32_t code_point) {
  const auto put = [&](char32_t byte) { text += static_cast<char>(static_cast<unsigned char>(byte)); };
  if (code_point < 0x80) return put(code_point);
  if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
  } else {
    if (code_point < 0x10000) {
      put(0xE0 | code_point >> 12);
    } else {
      put(0xF0 | code_point >> 18);
      put(0x80 | (code_point >> 12 & 0x3F));
    }
    put(0x80 | (code_point >> 6 & 0x3F));
  }
  put(0x80 | (code_point & 0x3F));
}

}  // namespace kvcache
