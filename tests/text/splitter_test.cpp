#include "kvcache/text/splitter.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "kvcache/text/tokenizer_data.hpp"

using namespace kvcache;

namespace {
using Pieces = std::vector<std::string>;
Pieces split(const Splitter& splitter, std::string_view text) {
  Pieces pieces;
  splitter.split(text, [&](std::string_view piece) { pieces.emplace_back(piece); });
  return pieces;
}
Pieces split(std::string_view pattern, std::string_view text) { return split(Splitter(pattern), text); }
}  // namespace

TEST_CASE("matches and the gaps between them are pieces, none empty") {
  CHECK(split("b+", "abbc") == Pieces{"a", "bb", "c"});
  CHECK(split("b", "bb") == Pieces{"b", "b"});
  CHECK(split("x", "abc") == Pieces{"abc"});
  CHECK(split("x", "").empty());
}

TEST_CASE("an empty match cuts where it stands") {  // all as Hugging Face does it
  CHECK(split("x*", "abxxc") == Pieces{"a", "b", "xx", "c"});
  CHECK(split("$", "a\nb\n") == Pieces{"a", "\nb", "\n"});
  CHECK(split("(?=[A-Z])", "helloWorldWide") == Pieces{"hello", "World", "Wide"});
  CHECK(split("x*", "\u00E9\u4EBA\U0001F600") == Pieces{"\u00E9", "\u4EBA", "\U0001F600"});
}

TEST_CASE("GPT-2's rule keeps a space with the word behind it") {
  CHECK(split(gpt2_pattern, "Hello world's  end, 42 \u00E9t\u00E9s!") ==
        Pieces{"Hello", " world", "'s", " ", " end", ",", " 42", " \u00E9t\u00E9s", "!"});
  CHECK(split(gpt2_pattern, "a   ") == Pieces{"a", "   "});
}

TEST_CASE("\\s is Unicode's White_Space, without U+180E, inside a class and outside") {
  CHECK(split("\\s", "a\u180Eb c") == Pieces{"a\u180Eb", " ", "c"});
  CHECK(split("\\S+", "a\u180Eb c") == Pieces{"a\u180Eb", " ", "c"});
  CHECK(split("[x\\s]", "\u180E\u3000\u0085") == Pieces{"\u180E", "\u3000", "\u0085"});
  CHECK(split("[^\\sx]+", "\u180Ea\u2028bx") == Pieces{"\u180Ea", "\u2028", "b", "x"});
  CHECK(split("[\\S]", "\u180E ") == Pieces{"\u180E", " "});
  CHECK(split("[^\\S]", "\u180E \u1680") == Pieces{"\u180E", " ", "\u1680"});
  CHECK(split("[\\s-]", "a-b c") == Pieces{"a", "-", "b", " ", "c"});
}

TEST_CASE("^ and $ hold at line ends, as in Ruby") {
  CHECK(split("^a", "a\na") == Pieces{"a", "\n", "a"});
  CHECK(split("a$", "a\na") == Pieces{"a", "\n", "a"});
  CHECK(split(".", "\r\n\u2028") == Pieces{"\r", "\n", "\u2028"});
  CHECK(split("\r$", "a\r\n") == Pieces{"a", "\r", "\n"});
}

TEST_CASE("a script's name means the script, not the characters that it shares") {
  CHECK(split("\\p{Han}", "\u3001\u4E00\u3007") == Pieces{"\u3001", "\u4E00", "\u3007"});
  CHECK(split("\\p{Han}+", "a\u3001\u3001\u4E00") == Pieces{"a\u3001\u3001", "\u4E00"});  // U+3001 is shared
  CHECK(split("\\p{^L}+", "a1 b") == Pieces{"a", "1 ", "b"});
}

TEST_CASE("code points may be written as Ruby does") {
  CHECK(split("\\u4E00|\\x{E9}", "a\u4E00b\u00E9") == Pieces{"a", "\u4E00", "b", "\u00E9"});
}

TEST_CASE("a quoted text matches itself") {
  const std::string text = R"(a.b*c[d]{2}(?i:e)\s^$|#-&)";
  CHECK(split(quote_pattern(text), "x" + text + "y") == Pieces{"x", text, "y"});
  CHECK(split(quote_pattern("\n\u4EBA "), "a\n\u4EBA b") == Pieces{"a", "\n\u4EBA ", "b"});
}

TEST_CASE("what Oniguruma and PCRE2 read differently is refused by name") {
  const auto refused = [](std::string_view pattern, const char* why) {
    CAPTURE(pattern);
    CHECK_THROWS_WITH_AS(Splitter{pattern}, doctest::Contains(why), Error);
  };
  refused("a\\w", "'\\w' at byte 1");
  refused("\\b", "'\\b'");
  refused("\\h", "'\\h'");
  refused("(a)\\1", "'\\1'");
  refused("[\\z]", "'\\z'");
  refused("a(?i)b", "the group '(?i)' at byte 1");
  refused("(*UTF)a", "the group '(*UT'");
  refused("(?<n>a)", "the group '(?<n'");
  refused("a{2}+", "a '+' after a count");
  refused("a{2}?", "a '?' after a count");
  refused("a{,2}", "a '{' that begins no count");
  refused("a{", "a '{' that begins no count");
  refused("a{b}", "a '{' that begins no count");
  refused("[a[b]]", "a class within a class");
  refused("[a&&b]", "a class within a class");
  refused("[]a]", "an empty class");
  refused("[^]", "an empty class");
  refused("[a", "a class without end");
  refused("[\\s-x]", "a range that begins with a set");
  refused("[a-\\s]", "a range that ends with a set");
  refused("\\pL", "'\\p' without '{name}'");
  refused("\\p{L", "'\\p' without '{name}'");
  refused("\\p{L&}", "the property 'L&'");
  refused("\\xE9", "a code point");
  refused("\\u12", "a code point");
  refused("\\x{}", "a code point");
  refused("(?i:ss)", "'ss' in '(?i:'");
  refused("((?i:(a)fI))", "'fi' in '(?i:'");
  refused("(?i:\u00DF)", "not ASCII in '(?i:'");
  refused("(?i:\\u00DF)", "a code point in '(?i:'");
  refused("\\", "a lone backslash");
  refused("", "is empty");
  CHECK(split("(?i:s)s\u00DF", "Ss\u00DF") == Pieces{"Ss\u00DF"});  // behind the group all is well
}

TEST_CASE("a pattern that is no regular expression is an error with PCRE2's words") {
  CHECK_THROWS_WITH_AS(Splitter("a(b"), doctest::Contains("is not a regular expression"), Error);
  CHECK_THROWS_WITH(Splitter("\\p{Nonsense}"), doctest::Contains("unknown property"));
  CHECK_THROWS_WITH(Splitter("a\xFF"), doctest::Contains("is not a regular expression"));
}

TEST_CASE("a match beyond PCRE2's limits is an error, never a silent gap") {
  const Splitter evil("(a+)+b");
  CHECK_THROWS_WITH_AS(split(evil, std::string(60, 'a') + "cb"), doctest::Contains("gave up at byte 0 of 62"), Error);
  CHECK(split(evil, "aabc") == Pieces{"aab", "c"});  // and the splitter is as good as before
}

TEST_CASE("long runs of one kind are one piece") {
  for (const char c : {' ', 'a', '1', '!', '\n'}) {
    const std::string run(1'000'000, c);
    CHECK(split(gpt2_pattern, run) == Pieces{run});
  }
  const std::string many(300'000, 'a');
  CHECK(split("(a|b)+", many) == Pieces{many});  // needs more room than the JIT has
}

TEST_CASE("text that is not UTF-8 is an error with its place") {
  CHECK_THROWS_WITH_AS(split("a", "ab\xFF"), doctest::Contains("at byte 2, which is 0xFF"), Error);
}
