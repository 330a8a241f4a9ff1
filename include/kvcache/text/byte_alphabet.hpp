// GPT-2's alphabet: a printable letter for each of the 256 bytes, so that any bytes can be written as text.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "kvcache/text/utf8.hpp"

namespace kvcache {

/// The letter of a byte. Bytes that print in Latin-1 stand for themselves; the other 68 (controls, space, 0x7F to 0xA0,
/// soft hyphen) take the letters from U+0100 on, in order: a space is U+0120. Source: openai/gpt-2, src/encoder.py.
constexpr char32_t byte_letter(unsigned char byte) {
  const auto prints = [](unsigned b) { return (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b != 0xAD); };
  if (prints(byte)) return byte;
  char32_t letter = 0x100;
  for (unsigned b = 0; b < byte; ++b)
    if (!prints(b)) ++letter;
  return letter;
}

/// The byte of a letter; nothing for a character outside the alphabet.
constexpr std::optional<unsigned char> letter_byte(char32_t letter) {
  constexpr auto bytes = [] {
    std::array<int, 0x144> table{};  // the last letter is U+0143
    table.fill(-1);
    for (unsigned b = 0; b < 256; ++b) table[byte_letter(static_cast<unsigned char>(b))] = int(b);
    return table;
  }();
  if (letter >= bytes.size() || bytes[letter] < 0) return std::nullopt;
  return static_cast<unsigned char>(bytes[letter]);
}

/// Any bytes, written in the alphabet (as UTF-8).
inline std::string to_byte_alphabet(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) append_utf8(text, byte_letter(static_cast<unsigned char>(c)));
  return text;
}

/// The bytes that `text` writes; nothing where it holds a character outside the alphabet or is not UTF-8.
inline std::optional<std::string> from_byte_alphabet(std::string_view text) {
  std::string bytes;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Front front = utf8_front(text.substr(at));
    const auto byte = front.kind == Utf8Front::Kind::whole ? letter_byte(front.code_point) : std::nullopt;
    if (!byte) return std::nullopt;
    bytes += static_cast<char>(*byte);
    at += front.bytes;
  }
  return bytes;
}

}  // namespace kvcache
