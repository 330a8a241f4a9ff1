#include "kvcache/observe/timeline_file.hpp"

#include <doctest/doctest.h>

#include <filesystem>

#include "common/instances.hpp"
#include "recorded.hpp"
#include "temporary_folder.hpp"
#include "threads.hpp"

using namespace kvcache;
using kvcache_test::read_file, kvcache_test::TemporaryFolder;
using nlohmann::json;
using recorded::as_text, recorded::first_difference, recorded::record, recorded::Run, recorded::Wish;

namespace {

std::string words_of(const ModelConfig& c) {
  std::ostringstream text;
  text << std::hexfloat;
  recorded::put(text, c.family, c.layers, c.hidden, c.q_heads, c.kv_heads, c.head_dim, c.ffn, c.vocab, c.max_positions,
                int(c.norm), c.norm_epsilon, int(c.activation), int(c.position), c.rope_theta, int(c.rope_pairs),
                c.qk_norm, c.qkv_bias, c.attention_out_bias, c.ffn_bias, c.tied_output);
  for (const double divisor : c.rope_divisors) recorded::put(text, divisor);
  recorded::put_all(text, "end", c.end_tokens);
  return text.str();
}
std::string words_of(const TimelineAbout& a) {
  std::ostringstream text;
  recorded::put(text, a.model, '|', a.random_weights, words_of(a.config), a.cache, '|', a.use_cache, a.tokens,
                a.sampling, '|', a.number_bytes);
  recorded::put_all(text, "prompt", a.prompt);
  for (const auto& [token, bytes] : a.spelling) recorded::put_bytes(text, token, bytes);
  return text.str();
}
void check_same(const Timeline& a, const Timeline& b) {
  CHECK(first_difference(words_of(a.about()), words_of(b.about())) == "");
  REQUIRE(a.steps() == b.steps());
  for (int i = 0; i < a.steps(); ++i) CHECK(first_difference(as_text(a.step(i)), as_text(b.step(i))) == "");
  CHECK(std::vector(a.text().begin(), a.text().end()) == std::vector(b.text().begin(), b.text().end()));
  CHECK(a.bytes() == b.bytes());
  for (int token = 0; token < a.about().config.vocab; ++token) CHECK((a.spelling(token) == b.spelling(token)));
}

/// A timeline with something other than the default in every field.
Timeline rich_timeline(const Wish& wish = {}) {
  const Timeline recorded = record(random_model<float>(wish.config), wish).timeline;
  TimelineAbout about = recorded.about();
  about.model = "models/caf\xc3\xa9 \"quoted\"\n", about.sampling = "greedy, \\ and more", about.number_bytes = 2;
  about.config.end_tokens = {3, 49}, about.config.rope_theta = 0.1 + 1e6, about.config.norm_epsilon = 1e-5 / 3;
  about.config.tied_output = false, about.config.rope_pairs = RopePairs::interleaved;
  about.spelling = {{3, std::string("a\0b\xff", 4)}, {41, ""}};
  Timeline rich(about);
  for (StepRecord step : recorded.records()) {
    step.spelling = {{step.token, "\xf0\x9f"}, {7, " seven"}};
    step.memory.bookkeeping_bytes = 1234567890123u + std::size_t(step.index);
    step.events.push_back({CacheEvent::Kind::forgotten, 1, 2, 3, 0, "left the window"});
    step.events.push_back({CacheEvent::Kind::cleared, 0, 0, 1, 77});
    step.events.push_back({CacheEvent::Kind::fetched, 0, 0, 0, 78, "", 2, 3, 4});
    step.layouts.assign(
        std::size_t(about.config.layers),
        {40, {{30, 4, 3, 2}, {0, 0, 4}}, {{StoragePiece::Kind::sinks, 0, 4}, {StoragePiece::Kind::page, 8, 8, 1, 3}}});
    step.layouts[1].slots = 41;
    for (std::size_t i = 0; i < part_count; ++i) step.work.seconds[i] = 1.0 / double(3 + i + std::size_t(step.index));
    step.traces[0].attention.numbers[5] = AttentionWeights::not_kept;
    step.traces[1].stages[2][0] = -HUGE_VALF;
    rich.add(step);
  }
  return rich;
}

/// A file of a timeline, whose words can be changed.
class Forgery {
 public:
  explicit Forgery(const Timeline& timeline = rich_timeline()) : path_(folder_.path() / "run.safetensors") {
    save_timeline(timeline, path_);
    bytes_ = read_file(path_);
    std::size_t size = 0;
    for (std::size_t i = 0; i < 8; ++i) size |= std::size_t(static_cast<unsigned char>(bytes_[i])) << (8 * i);
    header = json::parse(bytes_.substr(8, size));
    text = json::parse(header["__metadata__"]["timeline"].get<std::string>());
    data = bytes_.substr(8 + size);
  }
  json header, text;
  std::string data;

  const std::string& bytes() const { return bytes_; }
  const std::filesystem::path& path() const { return path_; }
  const TemporaryFolder& folder() const { return folder_; }
  /// The sentence that refuses the forged file; empty: it was read.
  std::string sentence() {
    header["__metadata__"]["timeline"] = text.dump();
    return sentence_with_header();
  }
  std::string sentence_with_header() {
    const std::string head = header.dump();
    std::string size;
    for (int i = 0; i < 8; ++i) size += char(head.size() >> (8 * i) & 255);
    return sentence_of(size + head + data);
  }
  std::string sentence_of(const std::string& file) {
    folder_.write("run.safetensors", file);
    try {
      load_timeline(path_);
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  }

 private:
  TemporaryFolder folder_;
  std::filesystem::path path_;
  std::string bytes_;
};

}  // namespace

TEST_CASE("a timeline comes back from its file as it was, for every cache and both families") {
  const Threads one(1);
  const TemporaryFolder folder;
  for (const ModelConfig& config : {small_gpt2(), small_llama()})
    for (const CacheName& cache : cache_names)
      for (const bool use_cache : {true, false}) {
        Wish wish;
        wish.config = config, wish.cache = cache.name, wish.use_cache = use_cache;
        const Timeline timeline = record(random_model<float>(config), wish).timeline;
        save_timeline(timeline, folder.path() / "a.safetensors");
        check_same(load_timeline(folder.path() / "a.safetensors"), timeline);
      }
}

TEST_CASE("rows as they were given to the cache, and rows that were packed later, come back too") {
  const Threads one(1);
  const TemporaryFolder folder;
  Wish wish{.cache = "growing:format=kivi,bits=2,group=4,residual=2", .prompt = 11, .tokens = 9};
  wish.trace.written_rows = true;
  const Timeline timeline = record(random_model<float>(wish.config), wish).timeline;
  save_timeline(timeline, folder.path() / "kivi.safetensors");
  check_same(load_timeline(folder.path() / "kivi.safetensors"), timeline);
  const Safetensors file(folder.path() / "kivi.safetensors");
  CHECK(file.tensors().at("written_keys").shape == std::vector<std::size_t>{3, 2, 19, 8});
  CHECK(file.tensors().contains("rewritten_values"));
}

TEST_CASE("codes come back, of keys and values in different formats, of rows packed at once and later") {
  const Threads one(1);
  const TemporaryFolder folder;
  const auto path = folder.path() / "codes.safetensors";
  for (const char* cache : {"growing:format=kivi,bits=2,group=4,residual=2", "growing:keys=int8,values=f16",
                            "layers:0=growing:values=int8;1=growing:format=kivi,group=4,residual=2;rest=growing"}) {
    Wish wish{.cache = cache, .prompt = 11, .tokens = 9};
    wish.trace.codes = true;
    const Timeline timeline = record(random_model<float>(wish.config), wish).timeline;
    save_timeline(timeline, path);
    const Timeline loaded = load_timeline(path);
    check_same(loaded, timeline);
    int with_codes = 0;
    for (int l = 0; l < 3; ++l)
      for (int p = 0; p < 19; ++p) {
        with_codes += timeline.value_codes(l, 1, p).format.has_codes();
        CHECK((loaded.key_codes(l, 1, p) == timeline.key_codes(l, 1, p)));
        CHECK((loaded.value_codes(l, 1, p) == timeline.value_codes(l, 1, p)));
      }
    CHECK(with_codes > 30);
  }
}

TEST_CASE("the file shows others the codes, and what they mean") {
  const Threads one(1);
  const TemporaryFolder folder;
  const auto path = folder.path() / "codes.safetensors";
  Wish wish{.cache = "growing:keys=int8"};
  wish.trace.codes = true;
  const Timeline timeline = record(random_model<float>(wish.config), wish).timeline;
  save_timeline(timeline, path);
  const Safetensors file(path);
  using Shape = std::vector<std::size_t>;
  CHECK(file.tensors().at("key_codes").shape == Shape{3 * 12, 2, 8});  // layers * positions
  CHECK(file.tensors().at("key_scales").shape == Shape{3 * 12 * 2});
  CHECK(file.tensors().at("key_minima").shape == Shape{3 * 12 * 2});
  CHECK(!file.tensors().contains("value_codes"));
  const json text = json::parse(file.metadata().at("timeline"));
  CHECK(text["steps"][0]["coded"][1] == json{{"layer", 1},
                                             {"first_position", 0},
                                             {"rows", 7},
                                             {"keys", {{"name", "int8"}, {"share", 8}}},
                                             {"values", {{"name", ""}, {"share", 0}}}});
}

TEST_CASE("codes that no cache can hold are refused with a sentence") {
  const Threads one(1);
  Wish wish{.cache = "growing:keys=int8"};
  wish.trace.codes = true;
  const Timeline timeline = record(random_model<float>(wish.config), wish).timeline;
  Forgery forged(timeline);
  const json text = forged.text;
  const auto says = [&](const char* pointer, const json& value, const char* what) {
    forged.text = text;
    forged.text[json::json_pointer(pointer)] = value;
    const std::string sentence = forged.sentence();
    CAPTURE(sentence);
    CHECK(sentence.find(what) != std::string::npos);
  };
  CHECK(forged.sentence() == "");
  says("/steps/0/coded/0/layer", 3, "step 0: the layer of coded rows is 3; it must be from 0 to 2");
  says("/steps/0/coded/0/rows", 8, "the number of coded rows is 8; it must be from 1 to 7");
  says("/steps/0/coded/0/rows", 6, "\"key_codes\" is [36, 2, 8]");
  says("/steps/1/coded/0/first_position", 8, "the first position of coded rows is 8; it must be from 0 to 7");
  says("/steps/0/coded/0/keys/share", 9, "the numbers that share a scale is 9; it must be from 0 to 8");
  says("/steps/0/coded/0/keys/share", -1, "the numbers that share a scale is -1");
  says("/steps/0/coded/0/keys/share", 1, "\"key_scales\" is [72]");
  says("/steps/0/coded/0/values/share", 1, "the numbers that share a scale is 1; it must be from 0 to 0");
  says("/steps/0/coded/0/values/name", "int8", "has no tensor \"value_codes\"");
  for (const float wrong : {0.5f, 65536.f, -32769.f, std::nanf(""), HUGE_VALF}) {
    Timeline odd(timeline.about());
    StepRecord step = timeline.step(0);
    step.codes.keys.codes[3] = wrong;
    odd.add(step);
    const TemporaryFolder folder;
    CHECK_THROWS_WITH_AS(save_timeline(odd, folder.path() / "odd"),
                         doctest::Contains("it must be a whole number from -32768 to 65535"), Error);
  }
}

TEST_CASE("every field comes back, strange bytes and doubles to the last bit") {
  const Threads one(1);
  const TemporaryFolder folder;
  const auto path = folder.path() / "b.safetensors";
  for (const ModelConfig& config : {small_gpt2(), small_llama()}) {
    Wish wish;
    wish.config = config;
    const Timeline timeline = rich_timeline(wish);
    save_timeline(timeline, path);
    check_same(load_timeline(path), timeline);
    save_timeline(load_timeline(path), path);  // over itself
    check_same(load_timeline(path), timeline);
  }
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);  // nothing temporary is left
}

TEST_CASE("the file shows others each head's numbers as one run") {
  const Threads one(1);
  const Timeline timeline = rich_timeline();
  const TemporaryFolder folder;
  save_timeline(timeline, folder.path() / "c.safetensors");
  const Safetensors file(folder.path() / "c.safetensors");
  const auto number = [&](const char* name, std::size_t index) {
    float result;
    const Tensor& tensor = file.tensors().at(name);
    read_numbers(tensor.format, tensor.bytes.data() + 4 * index, 1, &result);
    return result;
  };
  using Shape = std::vector<std::size_t>;
  CHECK(file.tensors().at("keys").shape == Shape{3, 2, 12, 8});  // prompt 7, then 5 more
  CHECK(file.tensors().at("attention.1").shape == Shape{6, 12 * 13 / 2});
  CHECK(file.tensors().at("stages.2.projected").shape == Shape{6, 80});
  CHECK(file.tensors().at("stages.0.after_feed_forward").shape == Shape{6, 24});
  CHECK(file.tensors().size() == 2 + 3 * 6);
  for (std::size_t p = 0; p < 12; ++p) {
    CHECK(number("keys", ((1 * 2 + 1) * 12 + p) * 8 + 3) == timeline.key(1, 1, int(p))[3]);
    CHECK(number("values", ((2 * 2 + 0) * 12 + p) * 8 + 7) == timeline.value(2, 0, int(p))[7]);
    for (std::size_t k = 0; k <= p; ++k)
      CHECK(number("attention.1", 4 * 78 + p * (p + 1) / 2 + k) == timeline.attention(1, 4, int(p))[k]);
  }
  CHECK(number("stages.2.projected", 5 * 80 + 9) == timeline.trace(2, 5)->stages[std::size_t(Stage::projected)][9]);
  CHECK(file.metadata().at("format") == "kvcache timeline");
  CHECK(file.metadata().at("version") == "5");
}

TEST_CASE("layers that were recorded in some steps alone are left out") {
  const Threads one(1);
  const TemporaryFolder folder;
  Wish wish;
  wish.trace = {.all_layers = false, .layer = 1};
  Timeline timeline = record(random_model<float>(wish.config), wish).timeline;
  const LayerTrace other = *timeline.trace(1, 2);
  timeline.add_trace(2, 2, other);
  save_timeline(timeline, folder.path() / "d.safetensors");
  const Timeline loaded = load_timeline(folder.path() / "d.safetensors");
  CHECK(loaded.trace(2, 2) == nullptr);
  for (int step = 0; step < 6; ++step) {
    REQUIRE(loaded.trace(1, step) != nullptr);
    CHECK(loaded.trace(1, step)->attention.numbers == timeline.trace(1, step)->attention.numbers);
  }
}

TEST_CASE("a run that was stopped, even before its first step, is saved too") {
  const Threads one(1);
  const TemporaryFolder folder;
  const Timeline whole = rich_timeline();
  for (const int steps : {0, 1, 3}) {
    Timeline stopped(whole.about());
    for (int i = 0; i < steps; ++i) stopped.add(whole.step(i));
    save_timeline(stopped, folder.path() / "e.safetensors");
    check_same(load_timeline(folder.path() / "e.safetensors"), stopped);
  }
}

TEST_CASE("a save that fails leaves the file that was there, and nothing else") {
  const Threads one(1);
  const TemporaryFolder folder;
  const Timeline timeline = rich_timeline();
  const auto path = folder.write("f.safetensors", "old");
  Timeline broken(timeline.about());
  StepRecord step = timeline.step(0);
  step.keys.pop_back();
  broken.add(step);
  CHECK_THROWS_WITH_AS(save_timeline(broken, path),
                       doctest::Contains("f.safetensors cannot be saved: step 0 has 335 keys, but its 7 rows need 336"),
                       Error);
  CHECK_THROWS_WITH_AS(save_timeline(Timeline(), path), doctest::Contains("the number of layers is 0"), Error);
  step = timeline.step(0);
  step.candidates[0].probability = std::nan("");
  Timeline odd(timeline.about());
  odd.add(step);
  CHECK_THROWS_WITH_AS(save_timeline(odd, path), doctest::Contains("a candidate has probability nan"), Error);
  CHECK(read_file(path) == "old");
  CHECK_THROWS_WITH_AS(save_timeline(timeline, folder.path() / "none" / "g"),
                       doctest::Contains("cannot be written: there is no folder"), Error);
  CHECK_THROWS_WITH_AS(save_timeline(timeline, folder.path()), doctest::Contains("it is a folder"), Error);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("words that are not UTF-8 are saved with a replacement character") {
  const Threads one(1);
  const TemporaryFolder folder;
  TimelineAbout about = rich_timeline().about();
  about.model = "caf\xe9";
  save_timeline(Timeline(about), folder.path() / "h.safetensors");
  CHECK(load_timeline(folder.path() / "h.safetensors").about().model == "caf\xef\xbf\xbd");
}

TEST_CASE("a file that is no timeline is refused with a sentence") {
  const Threads one(1);
  Forgery forged;
  const auto says = [&](const std::string& sentence, const char* what) {
    CAPTURE(sentence);
    CHECK(sentence.find(what) != std::string::npos);
    CHECK(sentence.find("run.safetensors") != std::string::npos);
  };
  const json header = forged.header;
  const auto with = [&](const char* key, const json& value) {
    forged.header = header;
    forged.header["__metadata__"][key] = value;
    return forged.sentence_with_header();
  };
  CHECK(forged.sentence() == "");
  says(with("format", "pt"), "the format is \"pt\", not \"kvcache timeline\"; open a file that save_timeline wrote");
  for (const char* older : {"1", "2", "3", "4"})
    says(with("version", older),
         ("is a timeline of version " + std::string(older) + "; this program reads version 5: record it anew").c_str());
  says(with("timeline", "{"), "the text of the timeline is not JSON");
  says(with("timeline", "[]"), "must be an object");
  says(with("timeline", "{\"about\": 3}"), "must be an object");
  says(with("timeline", 3), "'__metadata__': 'timeline' must be a string, but is a number (3)");
  forged.header = header;
  forged.header.erase("__metadata__");
  says(forged.sentence_with_header(), "has no 'format' in its metadata; it is not a timeline");
  for (std::size_t length = 0; length < forged.bytes().size(); length += 97)
    CHECK(forged.sentence_of(forged.bytes().substr(0, length)) != "");
  CHECK(forged.sentence_of(forged.bytes().substr(0, forged.bytes().size() - 1)) != "");
  CHECK(forged.sentence_of(forged.bytes()) == "");
  CHECK_THROWS_WITH_AS(load_timeline(forged.folder().path() / "none"), doctest::Contains("No such file"), Error);
}

TEST_CASE("a timeline that contradicts itself is refused with a sentence") {
  const Threads one(1);
  Forgery forged;
  const json text = forged.text;
  const auto says = [&](const char* pointer, const json& value, const char* what) {
    forged.text = text;
    forged.text[json::json_pointer(pointer)] = value;
    const std::string sentence = forged.sentence();
    CAPTURE(pointer);
    CAPTURE(sentence);
    CHECK(sentence.find(what) != std::string::npos);
    CHECK(sentence.find("run.safetensors") != std::string::npos);
  };
  says("/about/config/layers", 4, "step 0 has 3 layouts; it must have one for each of 4 layers, or one for all");
  says("/about/config/head_dim", 6, "tensor \"keys\" is [3, 2, 12, 8]");
  says("/about/config/q_heads", 4, "tensor \"attention.0\" is [6, 78] of F32, but the config and 6 steps need [4, 78]");
  says("/about/config/hidden", 25, "tensor \"stages.0.normalised\" is [6, 24]");
  says("/about/config/layers", 2000000000,
       "model config: the number of layers is 2000000000; it must be from 1 to 1024");
  says("/about/config/kv_heads", 0, "the number of kv heads is 0");
  says("/about/config/layers", 4294967299, "'layers' is 4294967299; it must be -2147483648 to 2147483647");
  says("/about/config/norm", "no_norm", "'norm' is \"no_norm\"; it must be one of layer_norm, rms_norm");
  says("/about/config/end_tokens", {50}, "an end token is 50; it must be from 0 to 49");
  says("/about/prompt", json::array(), "the length of the prompt is 0; it must be from 1 to 48");
  says("/about/prompt/3", -1, "a token of the prompt is -1; it must be from 0 to 49");
  says("/about/tokens", 5, "the number of steps is 6; it must be from 0 to 5");
  says("/about/tokens", 43, "the number of tokens asked for is 43; it must be from 1 to 42");
  says("/about/number_bytes", 0, "the bytes of a number is 0; it must be from 1 to 8");
  says("/about/spelling/50", "00", "a token that is spelt is 50");
  says("/about/spelling/x1", "00", "has \"x1\", which is no token id");
  says("/about/spelling/3", "0", "is \"0\"; it must be bytes as pairs of hexadecimal digits");
  says("/about/spelling/3", "0g", "is \"0g\"; it must be bytes");
  says("/about/use_cache", 1, "'use_cache' must be true or false, but is a number (1)");
  says("/steps/2/index", 3, "step 2 calls itself step 3; steps must come in order");
  says("/steps/1/token", 50, "step 1: the token is 50; it must be from 0 to 49");
  says("/steps/1/token", -1, "step 1: the token is -1");
  says("/steps/1/tokens_fed", 0, "step 1: the number of tokens computed is 0; it must be from 1 to 8");
  says("/steps/1/tokens_reused", 8, "step 1: the number of tokens reused is 8; it must be from 0 to 7");
  says("/steps/1/tokens_reused", 6, "step 1: the number of tokens reused by its work is 7; it must be from 6 to 6");
  says("/steps/1/work/tokens_reused", 6,
       "step 1: the number of tokens reused by its work is 6; it must be from 7 to 7");
  says("/steps/1/work/keys_reused", 43, "step 1: the number of keys reused is 43; it must be from 7 to 42");
  says("/steps/4/first_position", 9, "step 4: the first position is 9; it must be from 10 to 10");
  says("/steps/4/rows", 2000000000, "step 4: the number of rows is 2000000000; it must be from 1 to 1");
  says("/steps/0/rows", 6, "step 0: the number of rows is 6; it must be from 7 to 7");
  says("/steps/0/seconds", -1, "step 0: -1 seconds; they must be from 0 to 1e10");
  says("/steps/0/seconds", nullptr, "has no 'seconds'");
  says("/steps/0/work/seconds/attention", -0.5, "step 0: attention: -0.5 seconds");
  says("/steps/0/work/multiplications/attention", -5, "step 0: attention is -5; it must be from 0");
  says("/steps/0/work/keys_reused", -5, "step 0: the number of keys reused is -5; it must be from 0 to 0");
  says("/steps/0/work/keys_computed", -5, "a count of queries or keys is -5");
  says("/steps/0/memory/used_bytes", -1, "'used_bytes' is -1");
  says("/steps/0/memory/copied_bytes", 18446744073709551615u, "what was copied is 18446744073709551615 bytes");
  says("/steps/0/candidates/0/token", 50, "a candidate is 50");
  says("/steps/0/candidates/0/probability", 1.5, "a candidate has probability 1.5; it must be from 0 to 1");
  says("/steps/0/events/0/kind", "eaten", "'kind' is \"eaten\"; it must be one of moved, forgotten, cleared");
  says("/steps/0/events/0/layer", 3, "the layer of an event is 3; it must be from 0 to 2");
  says("/steps/0/events/0/first_position", -1, "the first position of an event is -1");
  says("/steps/0/events/0/rows", 6, "the rows of an event is 6; it must be from 0 to 5");
  says("/steps/0/layouts/2", json(nullptr), "'layouts'[2] must be an object");
  says("/steps/0/layouts", json::array(),
       "step 0 has 0 layouts; it must have one for each of 3 layers, or one for all");
  says("/steps/0/layouts/1/slots", 1000000000, "the number of slots is 1000000000; it must be from 0 to 67108864");
  says("/steps/0/layouts/1/slots", 32, "the first slot of a run is 30; it must be from 0 to 29");
  says("/steps/0/layouts/1/runs/0/rows", 0, "the rows of a run is 0; it must be from 1 to 7");
  says("/steps/0/layouts/1/runs/0/first_position", 5, "the first position of a run is 5; it must be from 0 to 4");
  says("/steps/0/layouts/1/runs/0/first_position", 3, "position 3 is in two runs; it must be in one");
  says("/steps/0/layouts/1/runs/0/first_slot", 3, "slot 3 is in two runs; it must be in one");
  says("/steps/0/first_position", 0.5, "'first_position' must be a whole number, but is a number (0.5)");

  forged.text = text;
  forged.text["steps"].erase(5);
  CHECK(forged.sentence().find(
            "tensor \"keys\" is [3, 2, 12, 8] of F32, but the config and 5 steps need [3, 2, 11, 8]") !=
        std::string::npos);
}

TEST_CASE("tensors that are missing, of another type or too many are refused with a sentence") {
  const Threads one(1);
  Forgery forged;
  const json header = forged.header;
  const auto says = [&](const char* what) {
    const std::string sentence = forged.sentence();
    CAPTURE(sentence);
    CHECK(sentence.find(what) != std::string::npos);
    forged.header = header;
  };
  forged.header.erase("values");
  says("has no tensor \"values\"; the file is broken");
  forged.header.erase("stages.1.attended");
  says("has no tensor \"stages.1.attended\"");
  forged.header.erase("attention.1");
  says("has 19 tensors, but only 14 belong to a timeline of 3 layers, 2 of them recorded");
  forged.header["attention.3"] = forged.header["attention.1"];
  forged.header.erase("attention.1");
  says("has 20 tensors, but only 14");
  forged.header["values"]["dtype"] = "F16";
  says("needs");
  forged.header["values"]["shape"] = {3, 2, 8, 12};
  says("tensor \"values\" is [3, 2, 8, 12]");
  CHECK(forged.sentence() == "");
}

TEST_CASE("a timeline with any of its bytes changed is read or refused, never followed blindly") {
  const Threads one(1);
  Forgery forged;
  const std::string whole = forged.bytes();
  const std::size_t header = whole.size() - forged.data.size();
  for (std::size_t i = 0; i < header; i += 131) {
    std::string changed = whole;
    changed[i] = char(changed[i] ^ (1 << i % 7));
    CHECK_NOTHROW(forged.sentence_of(changed));  // anything but an Error would leave it
  }
}

TEST_CASE("whatever number stands in the text, the timeline is refused, or all of it can be looked at") {
  const Threads one(1);
  Wish wish{.cache = "growing:format=kivi,group=3,residual=1"};
  wish.trace.codes = true;
  Forgery forged(rich_timeline(wish));
  const json whole = forged.text, flat = whole.flatten();
  const std::vector<json> hostile{-1, 0, 2147483647, -2147483648, 9223372036854775807, 1e300};
  std::size_t turn = 0, read = 0, refused = 0;
  for (const auto& leaf : flat.items()) {  // clang 14 captures no structured bindings
    const std::string pointer = leaf.key();
    if (!leaf.value().is_number() || ++turn % 3 != 0) continue;
    forged.text = whole;
    forged.text[json::json_pointer(pointer)] = hostile[turn / 3 % hostile.size()];
    CAPTURE(pointer);
    const std::string sentence = forged.sentence();
    if (!sentence.empty()) {
      ++refused;
      continue;
    }
    ++read;
    const Timeline timeline = load_timeline(forged.path());
    const ModelConfig& c = timeline.about().config;
    float sum = 0;
    for (int p = 0; p < timeline.length_after(timeline.steps() - 1); ++p)
      for (int l = 0; l < c.layers; ++l) {
        for (int h = 0; h < c.kv_heads; ++h) sum += timeline.key(l, h, p).back() + timeline.value(l, h, p).back();
        for (int h = 0; h < c.kv_heads; ++h)
          for (const RowCodes& row : {timeline.key_codes(l, h, p), timeline.value_codes(l, h, p)})
            if (row.format.share > 0) sum += row.minimum(0) + row.scale(c.head_dim - 1) * row.codes.back();
        for (int h = 0; h < c.q_heads; ++h) sum += timeline.attention(l, h, p).back();
      }
    for (const StepRecord& step : timeline.records())
      for (int l = 0; l < c.layers; ++l) sum += float(step.layout(l).slot_of(0));
    CHECK(std::isfinite(sum));
  }
  CHECK(refused > read);
  CHECK(read > 0);
}

TEST_CASE("the comparison comes back too, and one that contradicts itself is refused") {
  const TemporaryFolder folder;
  const Timeline timeline = rich_timeline();
  Comparison comparison;
  for (int repeat = 0; repeat < 2; ++repeat)
    for (int step = 0; step < timeline.steps(); ++step) {
      ComparedStep compared{repeat, step, {}, {}, 1e-6 / (step + 3.0), 1, step == 2 ? 0 : 1};
      compared.with.seconds[1] = 0.1 / (step + 1.0), compared.without.multiplications[2] = 1000 + step;
      comparison.add(compared);
    }
  comparison.set_share_waited(0.375);  // a run that was disturbed is so when it is opened again
  save_run(timeline, comparison, folder.path() / "run.safetensors");
  const SavedRun loaded = load_run(folder.path() / "run.safetensors");
  REQUIRE(loaded.comparison.all().size() == comparison.all().size());
  CHECK(loaded.comparison.first_other_token() == 2);
  CHECK(loaded.comparison.logit_differences() == comparison.logit_differences());
  CHECK(loaded.comparison.seconds(true, 1) == comparison.seconds(true, 1));
  CHECK(loaded.comparison.runs(false, 1)[1].multiplications[2] == 1001);
  CHECK(loaded.comparison.share_waited() == 0.375);
  CHECK(loaded.comparison.disturbed() == comparison.disturbed());

  Comparison wrong;
  ComparedStep step{};
  const auto complaint = [&] {
    save_run(timeline, wrong, folder.path() / "wrong.safetensors");
    try {
      load_run(folder.path() / "wrong.safetensors");
      return std::string("accepted");
    } catch (const Error& error) {
      return std::string(error.what());
    }
  };
  wrong.add(step), wrong.add(step);
  CHECK(complaint().find("repeat 0, step 0 stands where repeat 0, step 1 should") != std::string::npos);
  wrong = {};
  for (int i = 0; i <= timeline.steps(); ++i) wrong.add({0, i, {}, {}, 0, 0, 0});
  CHECK(complaint().find("the number of steps") != std::string::npos);
  wrong = {};
  step.token_without = 1 << 30;
  wrong.add(step);
  CHECK(complaint().find("the token chosen without") != std::string::npos);
  wrong = {};
  wrong.set_share_waited(1.5);
  CHECK(complaint().find("'share_waited' is 1.5, but must be from 0 to 1") != std::string::npos);
}
