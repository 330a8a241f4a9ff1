#include "kvcache/text/tokenizer.hpp"

#include <doctest/doctest.h>

#include <chrono>

#include "kvcache/text/utf8_stream.hpp"

using namespace kvcache;

namespace {
using Ids = std::vector<int>;

/// Ids 0 to 255 are the bytes; 256: " a", 257: "bc", 258: " abc".
TokenizerData small() {
  TokenizerData data;
  for (int b = 0; b < 256; ++b) data.vocab.emplace_back(to_byte_alphabet(std::string(1, static_cast<char>(b))), b);
  data.vocab.insert(data.vocab.end(), {{"\u0120a", 256}, {"bc", 257}, {"\u0120abc", 258}});
  data.merges = {{"\u0120", "a"}, {"b", "c"}, {"\u0120a", "bc"}};
  data.steps = {{.pattern = gpt2_pattern}};
  return data;
}
void refused(const TokenizerData& data, const char* sentence) {
  CHECK_THROWS_WITH_AS(Tokenizer{data}, doctest::Contains(sentence), Error);
}
}  // namespace

TEST_CASE("text becomes ids and ids become the text") {
  const Tokenizer tokenizer(small());
  CHECK(tokenizer.encode("") == Ids{});
  CHECK(tokenizer.encode("x abc") == Ids{'x', 258});
  CHECK(tokenizer.encode(" ab c") == Ids{256, 'b', ' ', 'c'});
  CHECK(tokenizer.decode(Ids{'x', 258, 257}) == "x abcbc");
  CHECK(tokenizer.decode(Ids{}) == "");
  const std::string text = "caf\u00E9 \u4EBA\n\U0001F600 abc";
  CHECK(tokenizer.decode(tokenizer.encode(text)) == text);
  CHECK(tokenizer.vocab_size() == 259);
  CHECK(tokenizer.bytes_of(258) == " abc");
  CHECK(tokenizer.bytes_of(0xE9) == "\xE9");
}

TEST_CASE("half a character decodes to its bytes, and a stream makes them text") {
  const Tokenizer tokenizer(small());
  const Ids ids = tokenizer.encode("\u00E9");
  REQUIRE(ids == Ids{0xC3, 0xA9});
  Utf8Stream stream;
  CHECK(stream.add(tokenizer.bytes_of(ids[0])) == "");
  CHECK(stream.add(tokenizer.bytes_of(ids[1])) == "\u00E9");
}

TEST_CASE("pieces do not merge across their ends") {
  TokenizerData data = small();
  CHECK(Tokenizer(data).encode("b.c") == Ids{'b', '.', 'c'});
  data.steps = {{.pattern = "b"}};
  CHECK(Tokenizer(data).encode("bc") == Ids{'b', 'c'});
  data.steps = {};
  CHECK(Tokenizer(data).encode("bc") == Ids{257});
  data.steps = {{.pattern = "x"}, {.pattern = "b"}};  // the second cuts the pieces of the first
  CHECK(Tokenizer(data).encode("bcxbc") == Ids{'b', 'c', 'x', 'b', 'c'});
}

TEST_CASE("a prefix space is put before a text without one, after every added token anew") {
  TokenizerData data = small();
  data.added_tokens = {{.id = 300, .content = "<x>"}};
  data.steps[0].add_prefix_space = true;
  const Tokenizer tokenizer(data);
  CHECK(tokenizer.encode("abc") == Ids{258});
  CHECK(tokenizer.encode(" abc") == Ids{258});
  CHECK(tokenizer.encode("abc<x>abc<x>") == Ids{258, 300, 258, 300});
  CHECK(tokenizer.encode("") == Ids{});
}

TEST_CASE("with ignore_merges a piece that is a token is that token") {
  TokenizerData data = small();
  data.vocab.emplace_back("xyz", 259);  // no merge leads there
  CHECK(Tokenizer(data).encode("xyz") == Ids{'x', 'y', 'z'});
  data.ignore_merges = true;
  CHECK(Tokenizer(data).encode("xyz") == Ids{259});
  CHECK(Tokenizer(data).encode("xyzx") == Ids{'x', 'y', 'z', 'x'});
}

TEST_CASE("ids before and after belong to every text") {
  TokenizerData data = small();
  data.before = {'<'};
  data.after = {'>', '>'};
  CHECK(Tokenizer(data).encode_more("bc") == Ids{257});  // but not to what goes on from one
  CHECK(Tokenizer(data).encode("bc") == Ids{'<', 257, '>', '>'});
  CHECK(Tokenizer(data).encode("") == Ids{'<', '>', '>'});
}

TEST_CASE("added tokens are found leftmost first, then the longest") {
  TokenizerData data = small();
  data.added_tokens = {{.id = 300, .content = "<t>"},
                       {.id = 301, .content = "<t>>"},
                       {.id = 302, .content = "t>>!"},
                       {.id = 303, .content = "\u65E5\u672C"}};
  const Tokenizer tokenizer(data);
  CHECK(tokenizer.encode("<t>") == Ids{300});
  CHECK(tokenizer.encode("<t>>!") == Ids{301, '!'});
  CHECK(tokenizer.encode("t>>!<t") == Ids{302, '<', 't'});
  CHECK(tokenizer.encode("b\u65E5\u672Cc") == Ids{'b', 303, 'c'});
  CHECK(tokenizer.decode(Ids{303, 300}) == "\u65E5\u672C<t>");
  CHECK(tokenizer.find_added("<t>>") == 301);
  CHECK(!tokenizer.find_added("bc"));
  CHECK(tokenizer.vocab_size() == 304);
}

TEST_CASE("added tokens that are not normalized are all found before the others") {
  TokenizerData data = small();
  data.added_tokens = {{.id = 300, .content = "xx", .normalized = true}, {.id = 301, .content = "x!"}};
  CHECK(Tokenizer(data).encode("xx!") == Ids{'x', 301});
  data.added_tokens[0].normalized = false;
  CHECK(Tokenizer(data).encode("xx!") == Ids{300, '!'});
}

TEST_CASE("added tokens may take the white space around them") {
  TokenizerData data = small();
  data.added_tokens = {{.id = 300, .content = "<l>", .lstrip = true}, {.id = 301, .content = "<r>", .rstrip = true}};
  const Tokenizer tokenizer(data);
  CHECK(tokenizer.encode("a \u3000<l> b") == Ids{'a', 300, ' ', 'b'});
  CHECK(tokenizer.encode("a <r>\n\t b") == Ids{'a', ' ', 301, 'b'});
  CHECK(tokenizer.encode("<r>  <l>") == Ids{301, 300});
  CHECK(tokenizer.encode("  <l>") == Ids{300});
}

TEST_CASE("white space that one added token took gives no other that takes white space") {  // as Hugging Face does it
  TokenizerData data = small();
  data.added_tokens = {{.id = 300, .content = "\n\n", .lstrip = true, .rstrip = true}, {.id = 301, .content = "\t\t"}};
  const Tokenizer tokenizer(data);
  CHECK(tokenizer.encode("b \n\n\n\n c") == Ids{'b', 300, 'c'});
  CHECK(tokenizer.encode("b\n\n\t\tc") == Ids{'b', 300, 301, 'c'});
}

TEST_CASE("an added token decodes to its text, though its letters are in the byte alphabet") {
  TokenizerData data = small();
  data.added_tokens = {{.id = 300, .content = "\u00E9t\u00E9"}, {.id = 257, .content = "bc"}};
  const Tokenizer tokenizer(data);
  CHECK(tokenizer.encode("\u00E9t\u00E9") == Ids{300});
  CHECK(tokenizer.decode(Ids{300}) == "\u00E9t\u00E9");
  CHECK(tokenizer.find_added("bc") == 257);
}

TEST_CASE("a token outside the byte alphabet decodes to its text and is never made") {
  TokenizerData data = small();
  data.ignore_merges = true;
  data.vocab.emplace_back("\u4EBA", 259);
  const Tokenizer tokenizer(data);
  CHECK(tokenizer.encode("\u4EBA") == Ids{0xE4, 0xBA, 0xBA});
  CHECK(tokenizer.decode(Ids{259}) == "\u4EBA");
}

TEST_CASE("text that is not UTF-8 is an error that says where") {
  const Tokenizer tokenizer(small());
  CHECK_THROWS_WITH_AS(tokenizer.encode("abc\x80"), doctest::Contains("begins at byte 3, which is 0x80"), Error);
  CHECK_THROWS_WITH(tokenizer.encode("\xE4\xBA"), doctest::Contains("byte 0, which is 0xE4"));
}

TEST_CASE(
    "an id without a token stands for nothing, for models fill up their vocabularies; a negative one is an error") {
  TokenizerData data = small();
  CHECK(Tokenizer(data).decode(Ids{'a', 259, 'b'}) == "ab");
  CHECK(Tokenizer(data).bytes_of(2'000'000'000) == "");
  CHECK_FALSE(Tokenizer(data).has_token(259));
  CHECK_THROWS_WITH_AS(Tokenizer(data).bytes_of(-1), doctest::Contains("-1 is not the id of a token"), Error);
  data.vocab.emplace_back("far", 400);
  CHECK(Tokenizer(data).vocab_size() == 401);
  CHECK(Tokenizer(data).bytes_of(300) == "");  // in a gap
}

TEST_CASE("bytes without a token are left out, or are the unknown token, one for each or one for all") {
  TokenizerData data = small();
  std::erase_if(data.vocab, [](const auto& token) { return token.second == 'x' || token.second == 'y'; });
  CHECK(Tokenizer(data).encode("axyaxa") == Ids{'a', 'a', 'a'});
  data.unknown = "?";
  CHECK(Tokenizer(data).encode("axyaxa") == Ids{'a', '?', '?', 'a', '?', 'a'});
  data.fuse_unknown = true;
  CHECK(Tokenizer(data).encode("axyaxa") == Ids{'a', '?', 'a', '?', 'a'});
  data.unknown = "<unk>";
  refused(data, "the token for unknown bytes, '<unk>', is not in the vocabulary");
  TokenizerData whole = small();
  whole.unknown = "<unk>";  // never needed
  CHECK(Tokenizer(whole).encode("x") == Ids{'x'});
}

TEST_CASE(
    "what becomes of a pattern's matches and gaps") {  // as Hugging Face's tokenizers have it (make_tokenizers.py)
  const auto pieces = [](SplitBehaviour behaviour, bool invert) {
    std::vector<std::string> all;
    split_by(Splitter("-"), behaviour, invert, "a--b-", [&](std::string_view piece) { all.emplace_back(piece); });
    return all;
  };
  using Pieces = std::vector<std::string>;
  using enum SplitBehaviour;
  CHECK(pieces(isolated, false) == Pieces{"a", "-", "-", "b", "-"});
  CHECK(pieces(isolated, true) == Pieces{"a", "-", "-", "b", "-"});
  CHECK(pieces(removed, false) == Pieces{"a", "b"});
  CHECK(pieces(removed, true) == Pieces{"-", "-", "-"});
  CHECK(pieces(contiguous, false) == Pieces{"a", "--", "b", "-"});
  CHECK(pieces(merged_with_previous, false) == Pieces{"a-", "-", "b-"});
  CHECK(pieces(merged_with_next, false) == Pieces{"a", "-", "-b", "-"});
  CHECK(pieces(merged_with_previous, true) == Pieces{"a", "-", "-b", "-"});
  CHECK(pieces(merged_with_next, true) == Pieces{"a-", "-", "b-"});
}

TEST_CASE("what is wrong in the data is an error before the first text") {
  TokenizerData data = small();
  SUBCASE("no byte has a token") {
    std::erase_if(data.vocab, [](const auto& token) { return token.second < 256; });
    data.merges.clear();
    refused(data, "has no token for any single byte");
  }
  SUBCASE("a token twice") {
    data.vocab.emplace_back("bc", 259);
    refused(data, "the token 'bc' stands twice");
  }
  SUBCASE("an id twice") {
    data.vocab.emplace_back("new", 257);
    refused(data, "the token 'new' has id 257, which another token has too");
  }
  SUBCASE("a negative id") {
    data.vocab.emplace_back("new", -1);
    refused(data, "the token 'new' has id -1; ids go from 0 to 4194303");
  }
  SUBCASE("an absurd id") {
    data.vocab.emplace_back("new", 2'000'000'000);
    refused(data, "the token 'new' has id 2000000000");
  }
  SUBCASE("a merge of a token that is not there") {
    data.merges.emplace_back("q", "nope");
    refused(data, "merge 3, 'q' with 'nope', needs the token 'nope'");
  }
  SUBCASE("a merge whose result is not there") {
    data.merges.emplace_back("q", "z");
    refused(data, "merge 3, 'q' with 'z', needs the token 'qz', which is not in the vocabulary");
  }
  SUBCASE("a merge twice") {
    data.merges.emplace_back("b", "c");
    refused(data, "merge 3, 'b' with 'c', stands twice");
  }
  SUBCASE("an added token with the id of another") {
    data.added_tokens = {{.id = 5, .content = "<x>"}};
    refused(data, "the token '<x>' has id 5, which another token has too");
  }
  SUBCASE("an added token with two ids") {
    data.added_tokens = {{.id = 300, .content = "bc"}};
    refused(data, "the added token 'bc' has id 300, but the vocabulary gives it 257");
  }
  SUBCASE("an added token twice") {
    data.added_tokens = {{.id = 300, .content = "<x>"}, {.id = 301, .content = "<x>"}};
    refused(data, "the added token '<x>' stands twice");
  }
  SUBCASE("an empty added token") {
    data.added_tokens = {{.id = 300, .content = ""}};
    refused(data, "added token 300 is empty");
  }
  SUBCASE("an added token that is not UTF-8") {
    data.added_tokens = {{.id = 300, .content = "\xFF"}};
    refused(data, "added token 300: the text is not UTF-8");
  }
  SUBCASE("an id before every text that is no token") {
    data.before = {999};
    refused(data, "999 is not the id of a token");
  }
  SUBCASE("a pattern that is no regular expression") {
    data.steps = {{.pattern = "("}};
    refused(data, "is not a regular expression");
  }
  SUBCASE("steps without end") {
    data.steps.resize(17);
    refused(data, "17 splitting steps; at most 16 are supported");
  }
}

TEST_CASE("a long text without spaces takes well under a second") {
  TokenizerData data = small();
  std::string row = "a";
  for (int id = 259; row.size() < 4096; ++id) {
    data.merges.emplace_back(row, row);
    row += row;
    data.vocab.emplace_back(row, id);
  }
  const Tokenizer tokenizer(data);
  const std::string text(100'000, 'a');
  const auto start = std::chrono::steady_clock::now();
  const Ids ids = tokenizer.encode(text);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  CHECK(tokenizer.decode(ids) == text);
  CHECK(ids.size() == 24 + 4);  // 24 * 4096, then 1696 = 1024 + 512 + 128 + 32
  CHECK(seconds.count() < 1);
}
