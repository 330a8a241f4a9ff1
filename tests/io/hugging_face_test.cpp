// Whole models against logits that Hugging Face's transformers computed (tests/goldens/make_models.py).
#include <doctest/doctest.h>

#include <cstring>
#include <fstream>

#include "common/instances.hpp"
#include "golden_answers.hpp"
#include "kvcache/io/checkpoint.hpp"
#include "kvcache/io/find_model.hpp"
#include "temporary_folder.hpp"

using namespace kvcache;
using kvcache_test::read_file;
using kvcache_test::TemporaryFolder;

namespace {

const std::filesystem::path goldens = std::filesystem::path(KVCACHE_GOLDENS) / "models";

/// A copy of a golden model with one of its files changed.
void copy_model(const std::string& name, const TemporaryFolder& folder) {
  for (const char* file : {"config.json", "model.safetensors"})
    std::filesystem::copy_file(goldens / name / file, folder.path() / file);
}
std::string with(const std::string& name, const nlohmann::json& changes) {
  nlohmann::json config = nlohmann::json::parse(read_file(goldens / name / "config.json"));
  for (const auto& [field, value] : changes.items())
    if (value == "absent")
      config.erase(field);
    else
      config[field] = value;
  return config.dump();
}
std::string sentence_of(const std::string& name, const nlohmann::json& changes) {
  const TemporaryFolder folder;
  copy_model(name, folder);
  folder.write("config.json", with(name, changes));
  try {
    load_model<float>(folder.path(), WeightsAs::unpacked);
    return "accepted";
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace

TEST_CASE("the logits of every family and variant are those of transformers, to 1e-4, and so are greedy tokens") {
  int models = 0;
  double worst = 0;
  for (const auto& entry : std::filesystem::directory_iterator(goldens)) {
    const std::string name = entry.path().filename();
    CAPTURE(name);
    const auto golden = nlohmann::json::parse(read_file(entry.path() / "golden.json"));
    const Model<float> model = load_model<float>(entry.path());
    const double difference = kvcache_test::largest_difference(model, golden);
    CHECK(difference < 1e-4);
    worst = std::max(worst, difference);
    REQUIRE(golden["greedy"].size() == 16);
    for (const bool use_cache : {true, false})
      CHECK(kvcache_test::greedy(model, golden, use_cache) == golden["greedy"].get<std::vector<int>>());
    ++models;
  }
  CHECK(models == 19);
  MESSAGE("largest difference from transformers: " << worst);
}

TEST_CASE("stretched rope: what new and old config.json say is the same, and so are the logits") {
  const ModelConfig new_style = read_config(goldens / "llama3_rope/config.json");
  const ModelConfig old_style = read_config(goldens / "llama3_rope_old/config.json");
  REQUIRE(new_style.rope_divisors.size() == 8);
  CHECK(new_style.rope_divisors == old_style.rope_divisors);
  CHECK(new_style.rope_divisors.front() == 1);
  CHECK(new_style.rope_divisors.back() == 8);
  CHECK(read_config(goldens / "llama_linear_rope/config.json").rope_divisors == std::vector<double>(4, 2.0));
}

TEST_CASE("the files of an index are read as one; an index that names others than the folder's files is refused") {
  CHECK(open_safetensors(goldens / "llama_shards").tensors.size() > 10);
  const TemporaryFolder folder;
  for (const char* name : {"../x", "/etc/passwd", "", "a/b"}) {
    folder.write("model.safetensors.index.json", nlohmann::json{{"weight_map", {{"t", name}}}}.dump());
    CHECK_THROWS_WITH_AS(open_safetensors(folder.path()), doctest::Contains("is not the name of a file in this folder"),
                         Error);
  }
  folder.write("model.safetensors.index.json", R"({"weight_map": {"t": "missing.safetensors"}})");
  CHECK_THROWS_WITH_AS(open_safetensors(folder.path()), doctest::Contains("missing.safetensors: cannot be opened"),
                       Error);
  folder.write("model.safetensors.index.json", R"({"weight_map": {}})");
  CHECK_THROWS_WITH_AS(open_safetensors(folder.path()), doctest::Contains("names 0 files"), Error);
  for (const char* name : {"a.safetensors", "b.safetensors"})
    std::filesystem::copy_file(goldens / "llama_mha/model.safetensors", folder.path() / name);
  folder.write("model.safetensors.index.json", R"({"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}})");
  CHECK_THROWS_WITH_AS(open_safetensors(folder.path()), doctest::Contains("stands in two files"), Error);
}

TEST_CASE("a checkpoint opens its tensors once, and its copies share them; what cannot be opened is said each time") {
  const Checkpoint files(goldens / "llama_shards"), copy = files;
  CHECK(&files.tensors() == &copy.tensors());
  const TemporaryFolder folder;
  std::filesystem::copy_file(goldens / "llama_mha/config.json", folder.path() / "config.json");
  const Checkpoint incomplete(folder.path());
  for (int i = 0; i < 2; ++i)
    CHECK_THROWS_WITH_AS(incomplete.tensors(), doctest::Contains("model.safetensors: cannot be opened"), Error);
}

TEST_CASE("a config.json of old and of new transformers says the same") {
  const ModelConfig old_style = read_config(goldens / "llama_gqa/config.json");  // rope_theta at the top, no head_dim
  CHECK(old_style.rope_theta == 50000);
  CHECK(old_style.head_dim == 8);
  CHECK(old_style.kv_heads == 2);
  const ModelConfig new_style = read_config(goldens / "llama_mqa/config.json");  // inside rope_parameters
  CHECK(new_style.rope_theta == 500000);
  CHECK(new_style.kv_heads == 1);
  CHECK(new_style.end_tokens == std::vector<int>{0});
  CHECK(read_config(goldens / "llama_head_dim/config.json").head_dim == 12);  // not hidden / heads
  CHECK(read_config(goldens / "gpt2_no_prefix/config.json").ffn == 80);
}

TEST_CASE("a config.json that cannot be used is refused with a sentence") {
  const auto says = [](const std::string& name, const nlohmann::json& changes, const char* what) {
    const std::string sentence = sentence_of(name, changes);
    CAPTURE(sentence);
    CHECK(sentence.find(what) != std::string::npos);
  };
  says("llama_gqa", {{"model_type", "mamba"}},
       "model_type 'mamba' is not supported; 'gpt2', 'llama', 'qwen2' and 'qwen3' are");
  says("llama_gqa", {{"model_type", "absent"}}, "has no 'model_type'");
  says("llama_gqa", {{"num_hidden_layers", "absent"}}, "has no 'num_hidden_layers'");
  says("llama_gqa", {{"num_hidden_layers", "two"}},
       "'num_hidden_layers' must be a whole number, but is a string (\"two\")");
  says("llama_gqa", {{"num_hidden_layers", 1e30}}, "must be a whole number, but is a number (1e+30)");
  says("llama_gqa", {{"num_hidden_layers", 4294967298}}, "is 4294967298; it must be -2147483648 to 2147483647");
  says("llama_gqa", {{"num_hidden_layers", 0}}, "the number of layers is 0; it must be from 1 to 1024");
  says("llama_gqa", {{"num_hidden_layers", 3}}, "tensor \"model.layers.2.input_layernorm.weight\" [48] is missing");
  says("llama_gqa", {{"num_hidden_layers", 1}}, "has no place in a model of the family llama");
  says("llama_gqa", {{"intermediate_size", 1000000000}}, "feed-forward width is 1000000000; it must be from 1 to");
  says("llama_gqa", {{"vocab_size", 73}}, "has shape [72, 48], but the config asks for [73, 48]");
  says("llama_gqa", {{"num_key_value_heads", 4}}, "6 query heads cannot share 4 kv heads evenly");
  says("llama_gqa", {{"num_key_value_heads", 0}}, "the number of kv heads is 0");
  says("llama_gqa", {{"head_dim", 7}}, "head_dim is 7, but rope turns pairs");
  says("llama_gqa", {{"partial_rotary_factor", 0.5}}, "'partial_rotary_factor' turns a part of each head");
  says("llama_gqa", {{"rope_scaling", {{"partial_rotary_factor", 0.5}}}}, "turns a part of each head");
  says("llama_gqa", {{"quantization_config", {{"quant_method", "gptq"}}}}, "the weights are quantised by 'gptq'");
  says("llama_gqa", {{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 4}}}}, "rope scaling 'yarn' is not supported");
  says("llama_gqa", {{"hidden_act", "gelu"}}, "activation 'gelu' is not supported for llama; silu is");
  says("llama_gqa", {{"rms_norm_eps", -1}}, "norm epsilon is -1");
  says("llama_gqa", {{"tie_word_embeddings", "yes"}}, "must be true or false");
  says("llama_gqa", {{"tie_word_embeddings", false}}, "tensor \"lm_head.weight\" [72, 48] is missing");
  says("llama_gqa", {{"attention_bias", true}}, "q_proj.bias\" [48] is missing");
  says("llama_bias", {{"attention_bias", false}}, "has no place in a model of the family llama");
  says("gpt2", {{"n_head", 5}}, "'n_embd' 32 is not a multiple of 'n_head' 5");
  says("gpt2", {{"activation_function", "relu"}}, "activation 'relu' is not supported for GPT-2; gelu_new is");
  says("gpt2", {{"scale_attn_by_inverse_layer_idx", true}}, "attention scaled otherwise");
  says("llama_gqa", {{"eos_token_id", -1}}, "'eos_token_id' holds -1, not a token id");
  says("llama_gqa", {{"eos_token_id", {0, -2}}}, "'eos_token_id' holds -2, not a token id");
  CHECK(sentence_of("llama_gqa", nlohmann::json::object()) == "accepted");
}

TEST_CASE("rope's base: inside its own object, then at the top, then what Llama's first files leave out") {
  const auto theta = [](const nlohmann::json& changes) {
    const TemporaryFolder folder;
    return read_config(folder.write("config.json", with("llama_gqa", changes))).rope_theta;
  };
  using J = nlohmann::json;
  CHECK(theta({{"rope_theta", "absent"}}) == 10000);
  CHECK(theta({{"rope_theta", nullptr}}) == 10000);
  CHECK(theta({{"rope_theta", 10000}, {"rope_parameters", {{"rope_theta", 5e5}}}}) == 5e5);  // the top one is stale
  CHECK(theta({{"rope_theta", 20000}, {"rope_parameters", {{"rope_type", "default"}}}}) == 20000);
  CHECK(theta({{"rope_theta", 20000}, {"rope_parameters", J::object()}, {"rope_scaling", J::object()}}) == 20000);
  CHECK(theta({{"rope_parameters", {{"rope_theta", 5e5}}},
               {"rope_scaling", {{"type", "default"}, {"rope_theta", 7e5}}}}) == 7e5);
}

TEST_CASE("a window that no layer has, or that is longer than any text, is none") {
  const auto sentence = [](nlohmann::json changes) {
    const TemporaryFolder folder;
    changes["model_type"] = "qwen2", changes["use_sliding_window"] = true;
    if (!changes.contains("sliding_window")) changes["sliding_window"] = 8;
    try {
      read_config(folder.write("config.json", with("llama_gqa", changes)));  // 2 layers
      return std::string("accepted");
    } catch (const Error& error) {
      return std::string(error.what());
    }
  };
  const auto refused = [&](const nlohmann::json& changes) {
    return sentence(changes).find("sliding-window attention is not supported") != std::string::npos;
  };
  CHECK(refused({{"max_window_layers", 1}}));
  CHECK(sentence({{"max_window_layers", 2}}) == "accepted");
  CHECK(sentence(nlohmann::json::object()) == "accepted");  // 28 by default
  CHECK(refused({{"max_window_layers", 2}, {"layer_types", {"full_attention", "sliding_attention"}}}));
  CHECK(sentence({{"max_window_layers", 0}, {"layer_types", {"full_attention", "full_attention"}}}) == "accepted");
  CHECK(sentence({{"max_window_layers", 0}, {"sliding_window", 1000000}}) == "accepted");
  CHECK(sentence({{"max_window_layers", 0}, {"sliding_window", nullptr}}) == "accepted");
}

TEST_CASE("generation_config.json says where a text ends, in the place of config.json") {
  const TemporaryFolder folder;
  copy_model("llama_gqa", folder);
  folder.write("config.json", with("llama_gqa", {{"eos_token_id", 3}}));
  const auto ends = [&] { return Checkpoint(folder.path()).config().end_tokens; };
  using Ids = std::vector<int>;
  CHECK(ends() == Ids{3});
  folder.write("generation_config.json", R"({"temperature": 0.6})");
  CHECK(ends() == Ids{3});
  folder.write("generation_config.json", R"({"eos_token_id": null})");
  CHECK(ends() == Ids{3});
  folder.write("generation_config.json", R"({"eos_token_id": [3, 9]})");
  CHECK(ends() == Ids{3, 9});
  folder.write("generation_config.json", R"({"eos_token_id": 7})");
  CHECK(ends() == Ids{7});
  folder.write("generation_config.json", R"({"eos_token_id": [7, 72]})");  // the model has ids 0 to 71
  CHECK(ends() == Ids{7});
  folder.write("generation_config.json", R"({"eos_token_id": "</s>"})");
  CHECK_THROWS_WITH_AS(ends(), doctest::Contains("generation_config.json: 'eos_token_id' must be a whole number"),
                       Error);
}

namespace {

/// The bytes of a safetensors file with its header changed.
template <class Change>
std::string with_header(const std::string& bytes, const Change& change) {
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  nlohmann::json header = nlohmann::json::parse(bytes.substr(8, length));
  std::string data = bytes.substr(8 + length);
  change(header, data);
  const std::string text = header.dump();
  length = text.size();
  std::string changed(8, '\0');
  std::memcpy(changed.data(), &length, 8);
  return changed + text + data;
}
double difference_from_golden(const std::string& name, const std::filesystem::path& model) {
  const auto golden = nlohmann::json::parse(read_file(goldens / name / "golden.json"));
  return kvcache_test::largest_difference(load_model<float>(model), golden);
}

}  // namespace

TEST_CASE("whatever stands in front of all names: the model is the same") {
  for (const std::string name : {"llama_gqa", "gpt2", "qwen2"})
    for (const std::string prefix : {"", "model.", "transformer.", "_orig_mod.model.", "module.model."}) {
      CAPTURE(name);
      CAPTURE(prefix);
      const TemporaryFolder folder;
      copy_model(name, folder);
      const std::string old = name == "gpt2" ? "transformer." : "model.";
      folder.write("model.safetensors",
                   with_header(read_file(folder.path() / "model.safetensors"), [&](auto& header, auto&) {
                     nlohmann::json renamed;
                     for (const auto& [key, value] : header.items())
                       renamed[key.starts_with(old) ? prefix + key.substr(old.size()) : key] = value;
                     header = renamed;
                   }));
      CHECK(difference_from_golden(name, folder.path()) < 1e-4);
    }
}

TEST_CASE("a tensor that a model has no use for may be of any type; one that it needs may not") {
  const TemporaryFolder folder;
  copy_model("gpt2", folder);
  const std::string whole = read_file(folder.path() / "model.safetensors");
  const auto add = [&](const std::string& tensor, const std::string& type, std::size_t bytes) {
    folder.write(
        "model.safetensors", with_header(whole, [&](auto& header, std::string& data) {
          header[tensor] = {{"dtype", type}, {"shape", {4}}, {"data_offsets", {data.size(), data.size() + bytes}}};
          data += std::string(bytes, '\1');
        }));
  };
  for (const auto& [type, bytes] :
       {std::pair{"U8", 4}, std::pair{"BOOL", 4}, std::pair{"I64", 32}, std::pair{"NEW", 5}}) {
    add("transformer.h.0.attn.bias", type, std::size_t(bytes));
    CHECK(difference_from_golden("gpt2", folder.path()) < 1e-4);
  }
  add("transformer.h.0.attn.other", "U8", 4);
  CHECK_THROWS_WITH_AS(load_model<float>(folder.path()), doctest::Contains("attn.other\" [4] has no place"), Error);
  folder.write("model.safetensors", with_header(whole, [](auto& header, auto&) {
                 for (auto& [key, value] : header.items())
                   if (key.ends_with("wte.weight")) value["dtype"] = "I32";
               }));
  CHECK_THROWS_WITH_AS(load_model<float>(folder.path()),
                       doctest::Contains("wte.weight\" has type I32; F32, F16 and BF16 can be read"), Error);
}

TEST_CASE("weights are found whatever their file is called, and what is wrong with a folder is said") {
  const TemporaryFolder folder;
  copy_model("llama_gqa", folder);
  std::filesystem::rename(folder.path() / "model.safetensors", folder.path() / "model.fp32.safetensors");
  CHECK(difference_from_golden("llama_gqa", folder.path()) < 1e-4);
  CHECK(difference_from_golden("llama_gqa", find_model((folder.path() / "model.fp32.safetensors").string())) < 1e-4);
  CHECK(find_model((folder.path() / "config.json").string()) == folder.path());
  folder.write("other.safetensors", "");
  CHECK_THROWS_WITH_AS(load_model<float>(folder.path()), doctest::Contains("has 2 files that end in .safetensors"),
                       Error);
  CHECK(difference_from_golden("llama_gqa", folder.path() / "model.fp32.safetensors") < 1e-4);
  const TemporaryFolder pickled;
  std::filesystem::copy_file(goldens / "llama_gqa/config.json", pickled.path() / "config.json");
  pickled.write("pytorch_model.bin", "PK");
  CHECK_THROWS_WITH_AS(load_model<float>(pickled.path()), doctest::Contains("pytorch_model.bin cannot be read"), Error);
}

TEST_CASE("weights that are not finite are refused") {
  const TemporaryFolder folder;
  copy_model("llama_f16", folder);
  std::string bytes = read_file(folder.path() / "model.safetensors");
  bytes[bytes.size() - 1] = '\x7c';  // the last half becomes an infinity or a NaN
  folder.write("model.safetensors", bytes);
  CHECK_THROWS_WITH_AS(load_model<float>(folder.path(), WeightsAs::unpacked),
                       doctest::Contains("not finite; the file is broken"), Error);
}

TEST_CASE("a tokenizer of another model is refused") {
  const TemporaryFolder folder;
  copy_model("llama_gqa", folder);
  std::filesystem::copy_file(std::filesystem::path(KVCACHE_GOLDENS) / "tokenizers/gpt2_rule.json",
                             folder.path() / "tokenizer.json");
  CHECK_THROWS_WITH_AS(load_tokenizer(folder.path()), doctest::Contains("the model has only 72 tokens"), Error);
  folder.write("config.json", with("llama_gqa", {{"vocab_size", 600}}));  // more than the tokenizer has: padding
  CHECK_NOTHROW(load_tokenizer(folder.path()));
}

TEST_CASE("a tokenizer may have more added tokens than its model; they decode, and the model never writes them") {
  const TemporaryFolder folder;
  nlohmann::json tokenizer = read_json(std::filesystem::path(KVCACHE_GOLDENS) / "tokenizers/gpt2_rule.json");
  const int size = int(tokenizer["model"]["vocab"].size());
  int highest = size;
  for (const auto& token : tokenizer["added_tokens"]) highest = std::max(highest, token["id"].get<int>() + 1);
  tokenizer["added_tokens"].push_back({{"id", highest}, {"content", "[PAD]"}});
  folder.write("tokenizer.json", tokenizer.dump());
  folder.write("config.json", with("llama_gqa", {{"vocab_size", highest}}));
  CHECK(load_tokenizer(folder.path()).encode("[PAD]") == std::vector<int>{highest});
  tokenizer["post_processor"] = {{"type", "TemplateProcessing"},
                                 {"single", {{{"SpecialToken", {{"id", "[PAD]"}}}}, {{"Sequence", {{"id", "A"}}}}}},
                                 {"special_tokens", {{"[PAD]", {{"id", "[PAD]"}, {"ids", {highest}}}}}}};
  folder.write("tokenizer.json", tokenizer.dump());
  CHECK_THROWS_WITH_AS(load_tokenizer(folder.path()), doctest::Contains("around every text, but the model has only"),
                       Error);
}

TEST_CASE("the files beside a tokenizer.json add tokens, as transformers adds them") {
  const std::filesystem::path tokenizers = std::filesystem::path(KVCACHE_GOLDENS) / "tokenizers";
  const nlohmann::json golden = read_json(tokenizers / "folders.json");
  CHECK(golden.size() == 13);
  for (const nlohmann::json& each : golden) {
    CAPTURE(each["files"].dump());
    const TemporaryFolder folder;
    folder.write("config.json", with("llama_gqa", {{"vocab_size", 1000}}));
    std::filesystem::copy_file(tokenizers / "gpt2_rule.json", folder.path() / "tokenizer.json");
    for (const auto& [name, content] : each["files"].items()) folder.write(name, content.dump());
    CHECK(load_tokenizer(folder.path()).encode(each["text"].get<std::string>()) == each["ids"].get<std::vector<int>>());
  }
  const TemporaryFolder folder;
  folder.write("config.json", with("llama_gqa", {{"vocab_size", 1000}}));
  std::filesystem::copy_file(tokenizers / "gpt2_rule.json", folder.path() / "tokenizer.json");
  folder.write("tokenizer_config.json", R"({"added_tokens_decoder": {"x": {"content": "<|x|>"}}})");
  CHECK_THROWS_WITH_AS(load_tokenizer(folder.path()), doctest::Contains("'x' is not the id of a token"), Error);
}

TEST_CASE("vocab.json and merges.txt are GPT-2's, unless something says otherwise") {
  const TemporaryFolder folder;
  folder.write("config.json", with("llama_gqa", {{"vocab_size", 1000}}));
  for (const char* file : {"vocab.json", "merges.txt"})
    std::filesystem::copy_file(std::filesystem::path(KVCACHE_GOLDENS) / "tokenizers/vocab_merges" / file,
                               folder.path() / file);
  const std::vector<int> ids = load_tokenizer(folder.path()).encode("Alice");
  CHECK(load_tokenizer(folder.path()).encode("<|endoftext|>").size() == 1);
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": true})");
  CHECK(load_tokenizer(folder.path()).encode("Alice") != ids);
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "Qwen2Tokenizer"})");
  CHECK_THROWS_WITH_AS(load_tokenizer(folder.path()), doctest::Contains("is a 'Qwen2Tokenizer', whose rules"), Error);
  for (const char* file : {"vocab.json", "merges.txt"}) std::filesystem::remove(folder.path() / file);
  folder.write("tokenizer.model", "x");
  CHECK_THROWS_WITH_AS(load_tokenizer(folder.path()), doctest::Contains("is a SentencePiece tokenizer"), Error);
}

TEST_CASE("a chat template is found where a folder has it, with the tokens it asks for") {
  const TemporaryFolder folder;
  folder.write("config.json", with("llama_gqa", {{"vocab_size", 1000}}));
  CHECK_FALSE(Checkpoint(folder.path()).chat_template().has_value());
  const auto first = [&] { return Checkpoint(folder.path()).chat_template()->first("", "Who?"); };
  folder.write("tokenizer_config.json",
               R"({"bos_token": "<s>", "chat_template": "{{ bos_token + messages[0].content }}"})");
  CHECK(first() == "<s>Who?");
  folder.write("special_tokens_map.json", R"({"bos_token": {"content": "<t>"}})");
  CHECK(first() == "<s>Who?");
  folder.write("tokenizer_config.json", R"({"chat_template": [{"name": "tool_use", "template": "x"},
      {"name": "default", "template": "{{ bos_token }}:{{ messages[0].content }}"}]})");
  CHECK(first() == "<t>:Who?");
  folder.write("chat_template.jinja", "{{ messages[0].content }}!\n");
  CHECK(first() == "Who?!");
  folder.write("chat_template.jinja", "{{ messages[0].content");
  CHECK_THROWS_WITH_AS(first(), doctest::Contains("chat_template.jinja: the chat template: a tag"), Error);
}

TEST_CASE("what is at a path is told by what it begins with") {
  const TemporaryFolder folder;
  const std::filesystem::path gguf = std::filesystem::path(KVCACHE_GOLDENS) / "gguf/llama_q8_0.gguf";
  const std::filesystem::path blob = folder.path() / "sha256-0a1b2c";
  std::filesystem::copy_file(gguf, blob);
  CHECK(find_model(blob.string()) == blob);
  CHECK(find_model(folder.path().string()) == blob);  // the only one there
  CHECK(Checkpoint(blob).is_gguf());
  std::filesystem::copy_file(gguf, folder.path() / "b.gguf");
  const auto says = [](const std::filesystem::path& path, const char* sentence) {
    CHECK_THROWS_WITH_AS(find_model(path.string()), doctest::Contains(sentence), Error);
  };
  says(folder.path(), "has several GGUF files; give the path of one: b.gguf, sha256-0a1b2c");
  says(folder.write("notes.txt", "some text"), "the file is neither GGUF (it does not begin with these letters)");
  const TemporaryFolder cache;  // as Hugging Face's programs keep what they download
  for (const char* each : {"refs", "snapshots/0a1b"}) std::filesystem::create_directories(cache.path() / each);
  cache.write("refs/main", "0a1b\n"), cache.write("snapshots/0a1b/config.json", "{}");
  CHECK(find_model(cache.path().string()) == cache.path() / "snapshots/0a1b");
  const TemporaryFolder empty;
  says(empty.path(), "the folder has no config.json and no GGUF file");
  says(empty.write("a.safetensors", std::string("\2\0\0\0\0\0\0\0{}", 10)),
       "put the model's config.json beside the file");
}

TEST_CASE("a model is found by its path or its name, and what is looked for is said") {
  CHECK(find_model((goldens / "gpt2").string()) == goldens / "gpt2");
  CHECK_THROWS_WITH_AS(find_model("no-such-model"),
                       doctest::Contains("model \"no-such-model\": no folder of that name with a config.json"), Error);
  CHECK_THROWS_WITH_AS(find_model(""), doctest::Contains("one of tiny, tiny-mha, tiny-mqa"), Error);
}
