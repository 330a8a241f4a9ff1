// Fuzz target: any bytes in any pieces through Utf8Stream.
#pragma once

#include "fuzz/input_file.hpp"
#include "kvcache/text/utf8_stream.hpp"

namespace kvcache_test {

/// The first byte chooses the cuts; the others are the text.
inline void fuzz_utf8_stream(std::string_view input) {
  if (input.empty()) return;
  const std::string_view bytes = input.substr(1);
  kvcache::Utf8Stream whole, cut;
  std::string at_once = whole.add(bytes), joined;
  at_once += whole.finish();
  unsigned random = static_cast<unsigned char>(input[0]);
  for (std::size_t at = 0; at < bytes.size();) {
    random = random * 1664525u + 1013904223u;
    const std::string_view piece = bytes.substr(at, random >> 29);  // 0 to 7 bytes
    const std::string part = cut.add(piece);
    must(kvcache::find_invalid_utf8(part) == std::string::npos, "a part is not UTF-8");
    joined += part;
    at += piece.size();
  }
  joined += cut.finish();
  must(joined == at_once, "cuts change the text");
  must(kvcache::find_invalid_utf8(joined) == std::string::npos, "the text is not UTF-8");
  if (kvcache::find_invalid_utf8(bytes) == std::string::npos) must(joined == bytes, "valid text was changed");
  must(joined.size() <= 3 * bytes.size(), "more than one U+FFFD for a byte");
  must(cut.add("a") == "a" && cut.finish().empty(), "the stream is not as new after its end");
}

}  // namespace kvcache_test
