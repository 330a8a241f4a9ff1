// Which characters are white space: a list that has not changed since Unicode 6.3.
#pragma once

#include <cstddef>
#include <string_view>

#include "kvcache/text/utf8.hpp"

namespace kvcache {

struct CodePointRange {
  char32_t first, last;
};

/// The property White_Space of Unicode's PropList.txt, in order. U+180E and U+200B are not in it.
inline constexpr CodePointRange white_space[] = {{0x9, 0xD},       {0x20, 0x20},     {0x85, 0x85},     {0xA0, 0xA0},
                                                 {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F},
                                                 {0x205F, 0x205F}, {0x3000, 0x3000}};

constexpr bool is_white_space(char32_t code_point) {
  for (const CodePointRange range : white_space)
    if (code_point >= range.first && code_point <= range.last) return true;
  return false;
}

/// How many bytes of white space stand at the front of a UTF-8 text.
inline std::size_t leading_white_space(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const Utf8Front front = utf8_front(text.substr(at));
    if (!is_white_space(front.code_point)) break;  // 0 where no character is whole
    at += front.bytes;
  }
  return at;
}

/// How many bytes of white space stand at the end of a UTF-8 text.
inline std::size_t trailing_white_space(std::string_view text) {
  std::size_t end = text.size();
  while (end > 0) {
    std::size_t start = end - 1;
    while (start > 0 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;  // not a first byte
    if (!is_white_space(utf8_front(text.substr(start, end - start)).code_point)) break;
    end = start;
  }
  return text.size() - end;
}

}  // namespace kvcache
