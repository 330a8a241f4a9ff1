#include "kvcache/text/utf8_stream.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace kvcache;

namespace {

struct Replaced {
  std::string bytes, text;
};
// What Python 3.11 gives for bytes.decode("utf-8", errors="replace").
const std::vector<Replaced> python = {
    {"", ""},
    {"plain", "plain"},
    {"\xF0\x9F\x98\x80!", "\U0001F600!"},
    {"\x80", "\uFFFD"},
    {"\xC0\xAF", "\uFFFD\uFFFD"},
    {"\xE0\x80\xAF", "\uFFFD\uFFFD\uFFFD"},
    {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"},
    {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\x41\uFFFD\uFFFD\x42"},
    {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", "\uFFFD\uFFFD\uFFFD\uFFFD\x41"},
    {"a\xF0\x9F\x98", "a\uFFFD"},
    {"a\xF0\x9F\x98z", "a\uFFFDz"},
    {"\xF0\x9F\x98\xF0\x9F\x98\x80", "\uFFFD\U0001F600"},
    {"\xC3", "\uFFFD"},
};

}  // namespace

TEST_CASE("bytes that can never become a character come out as Python replaces them") {
  for (const auto& [bytes, text] : python) {
    Utf8Stream stream;
    std::string got = stream.add(bytes);
    got += stream.finish();
    CHECK(got == text);
  }
}

TEST_CASE("the pieces in which bytes come do not change the text") {
  for (const auto& [bytes, text] : python)
    for (std::size_t piece = 1; piece <= 3; ++piece) {
      Utf8Stream stream;
      std::string got;
      for (std::size_t at = 0; at < bytes.size(); at += piece) {
        const std::string part = stream.add(std::string_view(bytes).substr(at, piece));
        CHECK(find_invalid_utf8(part) == std::string_view::npos);
        got += part;
      }
      got += stream.finish();
      CHECK(got == text);
    }
}

TEST_CASE("half a character waits for its other half") {
  Utf8Stream stream;
  CHECK(stream.add("a\xC3") == "a");
  CHECK(stream.add("") == "");
  CHECK(stream.add("\xA9") == "\u00E9");
  CHECK(stream.finish() == "");
  CHECK(stream.add("\xE4\xBA") == "");
  CHECK(stream.finish() == "\uFFFD");
  CHECK(stream.finish() == "");
  CHECK(stream.add("new") == "new");
}

TEST_CASE("a wrong byte is replaced at once, it does not wait") {
  Utf8Stream stream;
  CHECK(stream.add("\xFF") == "\uFFFD");
  CHECK(stream.add("\xE4"
                   "b") ==
        "\uFFFD"
        "b");
}
