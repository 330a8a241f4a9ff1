// Files that broke a reader once, or were made to: what tests/fuzz/ does with random files, for those that are kept.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <set>

#include "fuzz/chat_template.hpp"
#include "fuzz/config_json.hpp"
#include "fuzz/gguf.hpp"
#include "fuzz/safetensors.hpp"
#include "fuzz/tokenizer_json.hpp"
#include "fuzz/utf8_stream.hpp"
#include "gguf_writer.hpp"
#include "kvcache/io/checkpoint.hpp"
#include "temporary_folder.hpp"

using namespace kvcache;
using namespace kvcache_test;

namespace {

const std::filesystem::path found = KVCACHE_FOUND_CASES;
const std::map<std::string, std::function<void(std::string_view)>> targets{{"chat_template", fuzz_chat_template},
                                                                           {"config_json", fuzz_config_json},
                                                                           {"gguf", fuzz_gguf},
                                                                           {"safetensors", fuzz_safetensors},
                                                                           {"tokenizer_json", fuzz_tokenizer_json},
                                                                           {"utf8_stream", fuzz_utf8_stream}};

std::set<std::filesystem::path> files_in(const std::filesystem::path& folder) {
  std::set<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files.insert(entry.path());
  return files;
}
/// What is said of a file that must be refused.
std::string sentence_of(const std::string& case_name, const std::function<void(const std::filesystem::path&)>& read) {
  try {
    read(found / case_name);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}
void read_tokenizer(const std::filesystem::path& path) { make_tokenizer(read_tokenizer_json(path), path.string()); }

}  // namespace

TEST_CASE("every file that was found or made to break a reader is read or refused") {
  for (const auto& [name, read] : targets) {
    const std::set<std::filesystem::path> files = files_in(found / name);
    CHECK(files.size() >= 5);
    for (const std::filesystem::path& file : files) {
      CAPTURE(file.string());
      CHECK_NOTHROW(read(read_file(file)));
    }
  }
  CHECK(files_in(found).size() == targets.size());
}

TEST_CASE("the sound ones among them are used, not just refused") {
  for (const std::string name :
       {"llama_f32", "llama_f16", "llama_bf16", "llama_q8_0", "llama_q4_0", "llama_q4_1", "gpt2", "linear"}) {
    CAPTURE(name);
    const auto file = std::make_shared<Gguf>(found / "gguf" / ("sound_" + name));
    const ModelConfig config = read_gguf_config(*file);
    const TensorFiles files{file->path(), file->tensors(), file};
    CHECK_NOTHROW(read_all(read_weights<float>(config, files, gguf_names(config))));
  }
  for (const std::string name : {"gpt-2", "smollm", "llama-bpe", "qwen2"}) {
    const Gguf file(found / "gguf" / ("sound_tokenizer_" + name));
    CHECK(make_tokenizer(read_gguf_tokenizer(file), name).encode("<|endoftext|>").back() == 97);
  }
  for (const bool gpt2 : {false, true}) {
    const auto file = std::make_shared<Safetensors>(found / "safetensors" / (gpt2 ? "sound_gpt2" : "sound_llama"));
    const TensorFiles files{file->path(), file->tensors(), file};
    const TensorNames names = gpt2 ? hugging_face_gpt2_names() : hugging_face_llama_names();
    CHECK_NOTHROW(read_all(read_weights<float>(config_of_case(gpt2), files, names)));
  }
  for (const std::string name : {"sound", "sound_split", "sound_literal"})
    CHECK_NOTHROW(read_tokenizer(found / "tokenizer_json" / name));
  for (const std::string name : {"sound_llama", "sound_gpt2", "sound_llama3_rope", "sound_qwen3"})
    CHECK_NOTHROW(read_config(found / "config_json" / name));
}

TEST_CASE("hostile files get a sentence with the numbers that are wrong") {
  const auto says = [](const std::string& case_name, const auto& read, const std::string& sentence) {
    CAPTURE(case_name);
    CHECK_MESSAGE(sentence_of(case_name, read).find(sentence) != std::string::npos, sentence_of(case_name, read));
  };
  const auto safetensors = [](const std::filesystem::path& path) { Safetensors{path}; };
  const auto config = [](const std::filesystem::path& path) { read_config(path); };
  const auto gguf_config = [](const std::filesystem::path& path) { read_gguf_config(Gguf(path)); };
  const auto merges = [](const std::filesystem::path& path) {
    const TemporaryFolder folder;
    read_vocab_and_merges(folder.write("vocab.json", "{}"), path);
  };
  says("safetensors/deep", safetensors, "the header is not JSON as expected: values are nested more than 100 deep");
  says("safetensors/twenty_thousand_dimensions", safetensors, "has 20000 dimensions; at most 64 are supported");
  says("safetensors/shape_overflows_in_bytes", safetensors, "shape [4611686018427387904] overflows");
  says("config_json/hidden_far_below_zero", config, "'n_embd' -2147483648 is out of range");
  says("config_json/heads_of_two_billion_linear", config, "head_dim 2147483646 or rope theta 10000 is out of range");
  says("config_json/heads_of_two_billion_llama3", config, "head_dim 2147483646 or rope theta 10000 is out of range");
  says("gguf/heads_of_two_billion", gguf_config, "the length of a head, 2147483646, is out of range; 1 to 4096");
  says("gguf/layers_of_four_billion_signed", gguf_config, "'llama.block_count' is 4294967297; it must be -2147483648");
  says("tokenizer_json/merges_not_utf8_of_one", merges,
       "merge 0 must be two tokens, \"a b\" or [\"a\", \"b\"], but is");
  says("tokenizer_json", merges, "cannot be opened; it must be a file");
  says("tokenizer_json/template_of_thousands", read_tokenizer, "sets more than 1000 tokens around a text");
  says("tokenizer_json/template_with_no_token", read_tokenizer, "-1 is not the id of a token");
  says("tokenizer_json/pattern_is_long", read_tokenizer, "a splitting pattern has 20000 bytes; at most 10000");
  says("tokenizer_json/steps_many", read_tokenizer, "41 splitting steps; at most 16 are supported");
}

TEST_CASE("a pattern that would take gigabytes for a text gives up") {
  std::string pattern = "(?:(a)";
  for (int group = 0; group < 2000; ++group) pattern += "|(x)";  // each step back keeps where all groups are: 32 KB
  const Splitter splitter(pattern + ")+!");
  const std::string text = std::string(100'000, 'a') + "b!";
  CHECK_THROWS_WITH_AS(splitter.split(text, [](std::string_view) {}), doctest::Contains("says 'heap limit exceeded'"),
                       Error);
}

TEST_CASE("a pipe is refused, not waited for, and a name that is none is an Error") {
  const TemporaryFolder folder;
  const std::filesystem::path pipe = folder.path() / "model.gguf";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK_THROWS_WITH_AS(Gguf{pipe}, doctest::Contains("not a file"), Error);
  CHECK_THROWS_WITH_AS(Checkpoint(std::string(5000, 'x')), doctest::Contains("File name too long"), Error);
}
