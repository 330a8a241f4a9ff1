#include "common/printable.hpp"

#include <doctest/doctest.h>

using namespace kvcache;

TEST_CASE("control characters and bytes that are no text are written out") {
  CHECK(printable("plain, caf\xC3\xA9 \xF0\x9F\x98\x80") == "plain, caf\xC3\xA9 \xF0\x9F\x98\x80");
  CHECK(printable("\x1B[31mred\x07\x7F") == "\\x1b[31mred\\x07\\x7f");
  CHECK(printable("\xC2\x9B"
                  "2J\xC2\x85\xC2\xA0") == "\\u009b2J\\u0085\xC2\xA0");  // U+009B is ESC [ to some terminals
  CHECK(printable("\x9B"
                  "2J\xFF\xE2\x82") == "\\x9b2J\\xff\\xe2\\x82");
  CHECK(printable("a\r\n\tb") == "a\\r\\n\\tb");
  CHECK(printable("a\r\n\tb\x1B", true) == "a\\r\n\tb\\x1b");
  CHECK(printable(std::string_view("\0", 1)) == "\\x00");
  CHECK(printable("").empty());
}
