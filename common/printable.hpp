// Text from outside, such as a file's name or what a model writes, as it can be shown without obeying it.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

#include "kvcache/text/utf8.hpp"

namespace kvcache {

/// A terminal takes control characters as orders: to colour, to erase, to call its window names. So they are written
/// out, and bytes that are no UTF-8 too: "\x1b[31m". With `keep_lines`, line ends and tabs stay.
inline std::string printable(std::string_view text, bool keep_lines = false) {
  std::string shown;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Front front = utf8_front(text.substr(at));
    const std::string_view piece = text.substr(at, front.bytes);
    const bool is_whole = front.kind == Utf8Front::Kind::whole;
    if (is_whole && (piece == "\n" || piece == "\t") && keep_lines)
      shown += piece;
    else if (is_whole && (piece == "\n" || piece == "\t" || piece == "\r"))
      shown += piece == "\n" ? "\\n" : piece == "\t" ? "\\t" : "\\r";
    else if (is_whole && front.code_point >= 0x20 && (front.code_point < 0x7F || front.code_point > 0x9F))
      shown += piece;
    else if (is_whole && front.code_point > 0x7F)  // the second set of control characters, U+0080 to U+009F
      shown += fmt::format("\\u{:04x}", unsigned(front.code_point));
    else
      for (const char byte : piece) shown += fmt::format("\\x{:02x}", unsigned(static_cast<unsigned char>(byte)));
    at += front.bytes;
  }
  return shown;
}

}  // namespace kvcache
