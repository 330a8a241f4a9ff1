// Turns bytes that come piece by piece into whole characters: one token may hold half a character.
#pragma once

#include <string>
#include <string_view>

#include "kvcache/text/utf8.hpp"

namespace kvcache {

/// Holds back a character's first bytes until its last one has come. All pieces together give what Python's
/// bytes.decode("utf-8", errors="replace") gives for all bytes together: U+FFFD stands for bytes that can never become
/// a character.
class Utf8Stream {
 public:
  /// Takes the next bytes; returns the characters that are whole now, perhaps none.
  std::string add(std::string_view bytes) {
    waiting_ += bytes;
    std::string text;
    std::size_t at = 0;
    while (at < waiting_.size()) {
      const std::string_view rest = std::string_view(waiting_).substr(at);
      const Utf8Front front = utf8_front(rest);
      if (front.kind == Utf8Front::Kind::cut_off) break;
      if (front.kind == Utf8Front::Kind::whole)
        text += rest.substr(0, front.bytes);
      else
        text += replacement;
      at += front.bytes;
    }
    waiting_.erase(0, at);
    return text;
  }

  /// The end: one U+FFFD where a character was left half written, else nothing. The stream is then as new.
  std::string finish() {
    const bool left = !waiting_.empty();
    waiting_.clear();
    return left ? std::string(replacement) : std::string();
  }

 private:
  static constexpr std::string_view replacement = "\xEF\xBF\xBD";  // U+FFFD
  std::string waiting_;                                            // at most 3 bytes between calls
};

}  // namespace kvcache
