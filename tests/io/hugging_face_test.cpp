// Whole models against logits that Hugging Face's transformers computed (tests/goldens/make_models.py).
#include <doctest/doctest.h>

#include <fstream>

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
  says("llama_gqa", {{"rope_theta", "absent"}}, "add the base the model was trained with");
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

TEST_CASE("a model is found by its path or its name, and what is looked for is said") {
  CHECK(find_model((goldens / "gpt2").string()) == goldens / "gpt2");
  CHECK_THROWS_WITH_AS(find_model("no-such-model"),
                       doctest::Contains("model \"no-such-model\": no folder of that name with a config.json"), Error);
  CHECK_THROWS_WITH_AS(find_model(""), doctest::Contains("one of tiny, tiny-mha, tiny-mqa"), Error);
}
