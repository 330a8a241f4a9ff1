#include "kvcache/io/tokenizer_json.hpp"

#include <doctest/doctest.h>

#include <functional>

#include "kvcache/io/make_tokenizer.hpp"
#include "kvcache/io/vocab_and_merges.hpp"
#include "kvcache/text/utf8_stream.hpp"
#include "temporary_folder.hpp"

using namespace kvcache;
using kvcache_test::TemporaryFolder;
using nlohmann::json;

namespace {
const std::filesystem::path goldens = std::filesystem::path(KVCACHE_GOLDENS) / "tokenizers";
using Ids = std::vector<int>;

Tokenizer load_tokenizer_json(const std::filesystem::path& path) {
  return make_tokenizer(read_tokenizer_json(path), path.string());
}
/// A golden tokenizer with something changed.
Tokenizer changed(const std::function<void(json&)>& change, const char* name = "gpt2_rule.json") {
  const TemporaryFolder folder;
  json content = read_json(goldens / name);
  change(content);
  return load_tokenizer_json(folder.write("tokenizer.json", content.dump()));
}
void refused(const std::function<void(json&)>& change, const char* sentence) {
  CAPTURE(sentence);
  CHECK_THROWS_WITH_AS(changed(change), doctest::Contains(sentence), Error);
  CHECK_THROWS_WITH(changed(change), doctest::Contains("tokenizer.json"));
}
json split_step(const json& pattern) {
  return {{"type", "Split"}, {"pattern", pattern}, {"behavior", "Isolated"}, {"invert", false}};
}
json sequence(std::vector<json> steps) { return {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}}; }
const json whole_bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
}  // namespace

TEST_CASE("ids and texts are those of Hugging Face's tokenizers") {
  for (const std::string name : {"gpt2_rule", "prefix_space", "digits", "llama3_rule", "qwen2_rule", "vocab_merges"}) {
    CAPTURE(name);
    const bool is_old = name == "vocab_merges";  // a folder of two files
    const Tokenizer tokenizer =
        is_old ? Tokenizer(read_vocab_and_merges(goldens / name / "vocab.json", goldens / name / "merges.txt"))
               : load_tokenizer_json(goldens / (name + ".json"));
    const json rows = read_json(goldens / (name + (is_old ? "/golden.json" : ".golden.json")));
    CHECK(rows.size() > 100);
    for (const json& row : rows) {
      CAPTURE(row["text"].dump());
      const Ids ids = tokenizer.encode(row["text"].get<std::string>());
      CHECK(ids == row["ids"].get<Ids>());
      Utf8Stream stream;
      const std::string decoded = stream.add(tokenizer.decode(ids));
      CHECK(decoded + stream.finish() == row["decoded"].get<std::string>());
    }
  }
}

TEST_CASE("what becomes of matches and gaps, and of bytes without a token, is as in Hugging Face's tokenizers") {
  const json golden = read_json(goldens / "changes.json");
  REQUIRE(golden["changes"].size() == 16);
  for (const json& each : golden["changes"]) {
    CAPTURE(each["name"].get<std::string>());
    const Tokenizer tokenizer = changed([&](json& j) {
      if (each["change"].contains("model")) j["model"]["vocab"] = j["model"]["merges"] = nullptr;  // replaced whole
      j.merge_patch(each["change"]);
    });
    for (std::size_t i = 0; i < golden["texts"].size(); ++i) {
      CAPTURE(golden["texts"][i].dump());
      CHECK(tokenizer.encode(golden["texts"][i].get<std::string>()) == each["ids"][i].get<Ids>());
    }
  }
}

TEST_CASE("digits may be cut one by one or in runs") {
  const auto digits = [](bool each) {
    return changed([&](json& j) {
      j["pre_tokenizer"] = sequence({{{"type", "Digits"}, {"individual_digits", each}}, whole_bytes});
      j["model"]["merges"] = {"1 2"};
    });
  };
  CHECK(digits(true).encode("12").size() == 2);
  CHECK(digits(false).encode("12").size() == 1);
}

TEST_CASE("a pattern may be a text, and steps may stand in a sequence within a sequence") {
  const Tokenizer tokenizer = changed([](json& j) {
    j["pre_tokenizer"] =
        sequence({split_step({{"String", "a."}}), sequence({split_step({{"Regex", "b"}}), whole_bytes})});
    int id = 900;
    for (const char* token : {"xa", "ya", "y.", "bc"}) j["model"]["vocab"][token] = id++;
    j["model"]["merges"] = {"x a", "y a", "y .", "b c"};
  });
  CHECK(tokenizer.encode("xa").size() == 1);
  CHECK(tokenizer.encode("xa.").size() == 3);
  CHECK(tokenizer.encode("ya,").size() == 2);  // the dot is no regular expression
  CHECK(tokenizer.encode("bc").size() == 2);
}

TEST_CASE("merges may be pairs or lines") {
  const json pairs = json::array({json::array({"a", "a"})});
  const auto use = [](const json& merges) { return changed([&](json& j) { j["model"]["merges"] = merges; }); };
  CHECK(use(pairs).encode("aa") == use({"#version: 0.2", "a a"}).encode("aa"));
  CHECK(use(pairs).encode("aa").size() == 1);
  CHECK(use(json::array()).encode("aa").size() == 2);
}

TEST_CASE("a template puts its special tokens around every text") {
  const auto post = [](json& j) {
    const json special = {{"BOS", {{"id", "BOS"}, {"ids", {3, 4}}}}, {"EOS", {{"id", "EOS"}, {"ids", {5}}}}};
    const json single = {
        {{"SpecialToken", {{"id", "BOS"}}}}, {{"Sequence", {{"id", "A"}}}}, {{"SpecialToken", {{"id", "EOS"}}}}};
    j["post_processor"] = {
        {"type", "Sequence"},
        {"processors",
         {{{"type", "ByteLevel"}}, {{"type", "TemplateProcessing"}, {"single", single}, {"special_tokens", special}}}}};
  };
  CHECK(changed(post).encode("") == Ids{3, 4, 5});
  auto& single = "/post_processor/processors/1/single";
  const auto with_single = [&](const json& value) {
    return [=](json& j) {
      post(j);
      j[json::json_pointer(single)] = value;
    };
  };
  refused(with_single(json::array()), "'single' has no text A");
  refused(with_single({{{"Sequence", {{"id", "B"}}}}}), "must have the text A once");
  refused(with_single({{{"SpecialToken", {{"id", "PAD"}}}}}), "has no 'PAD'");
  refused(with_single({{{"Other", 1}}}), "has no 'SpecialToken'");
  refused(with_single("text"), "must be an array");
}

TEST_CASE("what changes no id of a text is no reason to refuse a file") {
  const std::string text = "Alice's  12 <|endoftext|>";
  const Ids ids = changed([](json&) {}).encode(text);
  const auto same = [&](const char* place, const json& value) {
    CAPTURE(place);
    CHECK(changed([&](json& j) { j[json::json_pointer(place)] = value; }).encode(text) == ids);
  };
  same("/truncation", {{"max_length", 1}, {"strategy", "LongestFirst"}, {"stride", 0}, {"direction", "Right"}});
  same("/padding", {{"strategy", {{"Fixed", 512}}}, {"pad_id", 0}, {"pad_token", "<|endoftext|>"}});
  same("/normalizer", {{"type", "Sequence"}, {"normalizers", json::array()}});
  same("/model/dropout", 0.0);
  same("/model/unk_token", "<unk>");  // every byte has a token
  same("/model/byte_fallback", true);
  same("/decoder", {{"type", "Sequence"}, {"decoders", {{{"type", "ByteLevel"}}, {{"type", "Fuse"}}}}});
}

TEST_CASE("a token before and one after every text, as RoBERTa has them") {
  const auto roberta = [](json& j) {
    j["post_processor"] = {{"type", "RobertaProcessing"}, {"cls", {"<s>", 3}}, {"sep", {"</s>", 5}}};
  };
  CHECK(changed(roberta).encode("") == Ids{3, 5});
}

TEST_CASE("what is not supported is refused by its name") {
  const auto set = [](const char* place, const json& value) {
    return [=](json& j) { j[json::json_pointer(place)] = value; };
  };
  refused(set("/normalizer", {{"type", "NFC"}}), "has a 'normalizer' of type 'NFC', which is not supported");
  refused(set("/normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "Lowercase"}}}}}), "'Lowercase'");
  refused(set("/model/type", "WordPiece"), "model is of type 'WordPiece', which is not supported; supported: BPE");
  refused(set("/model/dropout", 0.1), "model has a 'dropout'");
  refused(set("/model/continuing_subword_prefix", "##"), "model has a 'continuing_subword_prefix'");
  refused(set("/model/end_of_word_suffix", "</w>"), "model has a 'end_of_word_suffix'");
  refused(
      [](json& j) {
        j["model"]["byte_fallback"] = true;
        j["model"]["vocab"].erase("\u0143");
      },
      "model has 'byte_fallback', but no token for byte 173");
  refused(set("/pre_tokenizer", nullptr), "has no pre-tokenizer 'ByteLevel'");
  refused(set("/pre_tokenizer", sequence({})), "has no pre-tokenizer 'ByteLevel'");
  refused(set("/pre_tokenizer", split_step({{"Regex", "a"}})), "has no pre-tokenizer 'ByteLevel'");
  refused(set("/pre_tokenizer/type", "Metaspace"), "pre_tokenizer is of type 'Metaspace'");
  refused(set("/pre_tokenizer", sequence({whole_bytes, split_step({{"Regex", "a"}})})),
          "'Split' comes after ByteLevel");
  for (const auto& [key, value, sentence] : std::vector<std::tuple<const char*, json, const char*>>{
           {"behavior", "Swallowed", "has the behavior 'Swallowed', which is not supported; supported: Isolated"},
           {"pattern", {{"Regex", ""}}, "has an empty pattern"},
           {"pattern", {{"Glob", "*"}}, "has no 'Regex'"},
           {"pattern", {{"Regex", "\\w"}}, "'\\w' at byte 0"},
           {"pattern", {{"Regex", "("}}, "is not a regular expression"}}) {
    json step = split_step({{"Regex", "a"}});
    step[key] = value;
    refused(set("/pre_tokenizer", sequence({step, whole_bytes})), sentence);
  }
  refused(set("/post_processor", {{"type", "RobertaProcessing"}}), "has no 'cls'");
  refused(set("/post_processor", {{"type", "Other"}}), "post_processor is of type 'Other'");
  refused(set("/decoder", {{"type", "Metaspace"}}), "decoder is of type 'Metaspace'");
  refused(set("/decoder", nullptr), "has no 'decoder'");
  refused(set("/added_tokens/0/single_word", true), "'<|endoftext|>' has 'single_word'");
}

TEST_CASE("fields of a wrong type and wrong data are sentences") {
  const auto set = [](const char* place, const json& value) {
    return [=](json& j) { j[json::json_pointer(place)] = value; };
  };
  refused([](json& j) { j = 5; }, "must be an object");
  refused([](json& j) { j.erase("model"); }, "has no 'model'");
  refused([](json& j) { j["model"].erase("vocab"); }, "model has no 'vocab'");
  refused(set("/model", 5), "model must be an object");
  refused(set("/model/vocab", json::array()), "'vocab' must be an object");
  refused(set("/model/vocab/a", "x"), "the id of the token 'a' must be a whole number, but is a string (\"x\")");
  refused(set("/model/vocab/a", -5), "the token 'a' has id -5");
  refused(set("/model/vocab/a", 99999999999), "the id of the token 'a' is 99999999999");
  refused(set("/model/vocab/a", 5.5), "must be a whole number");
  refused(set("/model/merges", "a b"), "'merges' must be an array");
  refused(set("/model/merges/0", "ab"), "merge 0 must be two tokens");
  refused(set("/model/merges/0", "a b c"), "merge 0 must be two tokens");
  refused(set("/model/merges/0", {"a", "b", "c"}), "merge 0 must be two tokens");
  refused(set("/model/merges/0", {"a", 1}), "merge 0 must be two tokens");
  refused(set("/model/merges/0", "a nope"), "needs the token 'nope'");
  refused(set("/model/ignore_merges", 1), "'ignore_merges' must be true or false, but is a number (1)");
  refused(set("/added_tokens", 5), "added_tokens must be an array");
  refused(set("/added_tokens/0", 5), "added_tokens must be an object");
  refused(set("/added_tokens/0/id", "x"), "'id' must be a whole number");
  refused(set("/added_tokens/1/content", "<|endoftext|>"), "stands twice");
  refused(set("/pre_tokenizer/type", 5), "'type' must be a string");
}

TEST_CASE("a damaged file is an error or another tokenizer, never a crash") {
  const TemporaryFolder folder;
  json content = read_json(goldens / "digits.json");
  json few = json::object();  // the alphabet alone, so that the file is short
  for (int b = 0; b < 256; ++b) few[to_byte_alphabet(std::string(1, static_cast<char>(b)))] = b;
  content["model"]["vocab"] = few;
  content["model"]["merges"] = json::array();
  content["added_tokens"] = {{{"id", 256}, {"content", "<x>"}}};
  const std::string text = content.dump();
  REQUIRE_NOTHROW(load_tokenizer_json(folder.write("whole.json", text)));
  int loaded = 0;
  const auto try_to_load = [&](const std::string& damaged) {
    try {
      load_tokenizer_json(folder.write("damaged.json", damaged)).encode("some text 12 <x>");
      ++loaded;
    } catch (const Error&) {
    }
  };
  for (std::size_t length = 0; length < text.size(); length += 7) try_to_load(text.substr(0, length));
  CHECK(loaded == 0);
  for (std::size_t i = 0; i < text.size(); i += 5) {
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i / 5 % 7)));
    try_to_load(damaged);
  }
  CHECK(loaded > 0);  // a changed letter in a name that nobody reads
}
