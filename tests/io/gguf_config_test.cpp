#include "kvcache/io/gguf_config.hpp"

#include <doctest/doctest.h>

#include <functional>

#include "gguf_writer.hpp"
#include "kvcache/io/gguf_tokenizer.hpp"
#include "kvcache/text/byte_alphabet.hpp"
#include "kvcache/text/tokenizer.hpp"
#include "temporary_folder.hpp"

using namespace kvcache;
using kvcache_test::GgufWriter, kvcache_test::TemporaryFolder;
using Type = GgufWriter::Type;

namespace {

/// What a file of the architecture says, one entry of it left out and another added.
struct Words {
  std::string architecture = "llama", without = "";
  std::function<void(GgufWriter&)> more = [](GgufWriter&) {};

  Gguf file(const TemporaryFolder& folder) const {
    GgufWriter writer;
    writer.text("general.architecture", architecture);
    const auto number = [&](const std::string& key, std::uint32_t value) {
      if (key != without) writer.number(architecture + "." + key, Type::u32, value);
    };
    number("block_count", 2), number("embedding_length", 64), number("attention.head_count", 4);
    number("attention.head_count_kv", 2), number("feed_forward_length", 96), number("context_length", 128);
    if (without != "epsilon")
      writer.number(architecture + ".attention.layer_norm_rms_epsilon", Type::f32, 1e-5f)
          .number(architecture + ".attention.layer_norm_epsilon", Type::f32, 1e-5f);
    if (without != "embedding") writer.tensor("token_embd.weight", {64, 10}, 0, std::string(64 * 10 * 4, '\0'));
    more(writer);
    return Gguf(folder.write("model.gguf", writer.bytes()));
  }
};
ModelConfig config_of(const Words& words) {
  const TemporaryFolder folder;
  return read_gguf_config(words.file(folder));
}
std::string sentence_of(const Words& words) {
  try {
    config_of(words);
    return "accepted";
  } catch (const Error& error) {
    return error.what();
  }
}
Words with(const std::function<void(GgufWriter&)>& more) { return {.more = more}; }

}  // namespace

TEST_CASE("a GGUF file's config: what is said, and what its tensors show") {
  const ModelConfig c = config_of({});
  CHECK(c.layers == 2);
  CHECK(c.hidden == 64);
  CHECK(c.q_heads == 4);
  CHECK(c.kv_heads == 2);
  CHECK(c.head_dim == 16);
  CHECK(c.ffn == 96);
  CHECK(c.vocab == 10);
  CHECK(c.max_positions == 128);
  CHECK(c.rope_theta == 10000);  // the format's default
  CHECK(c.rope_pairs == RopePairs::interleaved);
  CHECK(c.tied_output);
  CHECK_FALSE(c.qkv_bias);
  CHECK(config_of({.without = "attention.head_count_kv"}).kv_heads == 4);
  const ModelConfig qwen = config_of({.architecture = "qwen3", .more = [](GgufWriter& file) {
                                        file.number("qwen3.attention.key_length", Type::u32, 24);
                                        file.number("qwen3.rope.freq_base", Type::f32, 1e6f);
                                        file.tensor("blk.0.attn_q_norm.weight", {24}, 0, std::string(96, '\0'));
                                        file.tensor("blk.0.attn_q.bias", {96}, 0, std::string(384, '\0'));
                                        file.tensor("output.weight", {64, 10}, 0, std::string(2560, '\0'));
                                        file.number("tokenizer.ggml.eos_token_id", Type::u32, 7);
                                      }});
  CHECK(qwen.head_dim == 24);
  CHECK(qwen.rope_theta == 1e6);
  CHECK(qwen.rope_pairs == RopePairs::half_split);
  CHECK(qwen.qk_norm);
  CHECK(qwen.qkv_bias);
  CHECK_FALSE(qwen.tied_output);
  CHECK(qwen.end_tokens == std::vector<int>{7});
  const ModelConfig linear = config_of(with([](GgufWriter& file) {
    file.text("llama.rope.scaling.type", "linear").number("llama.rope.scaling.factor", Type::f32, 4.f);
  }));
  CHECK(linear.rope_divisors == std::vector<double>(8, 4.0));
  CHECK(config_of({.architecture = "gpt2"}).position == PositionKind::learned);
}

TEST_CASE("a text ends at the tokens a GGUF file names, and at those whose text says so") {
  const auto ends = [](const std::vector<std::string>& tokens, const char* key, std::uint32_t id) {
    return config_of(with([&](GgufWriter& file) {
             if (key) file.number(key, Type::u32, id);
             file.texts("tokenizer.ggml.tokens", tokens);
           }))
        .end_tokens;
  };
  using Ids = std::vector<int>;
  const std::vector<std::string> words{"a", "b", "<|im_end|>", "c", "<end_of_turn>", "<|im_start|>"};
  CHECK(ends(words, nullptr, 0) == Ids{2, 4});
  CHECK(ends(words, "tokenizer.ggml.eos_token_id", 0) == Ids{0, 2, 4});
  CHECK(ends(words, "tokenizer.ggml.eot_token_id", 2) == Ids{2, 4});
  CHECK(ends(words, "tokenizer.ggml.eom_token_id", 3) == Ids{3, 2, 4});
  CHECK(ends(words, "tokenizer.ggml.eos_token_id", 10) == Ids{2, 4});  // the model has ids 0 to 9
}

TEST_CASE("one of several GGUF files says so") {
  const auto split = [](std::uint16_t number) {
    return sentence_of(with([&](GgufWriter& file) {
      file.number("split.no", Type::u16, number).number("split.count", Type::u16, std::uint16_t(3));
    }));
  };
  CHECK(split(0) == "accepted");  // it holds the config
  CHECK(split(1).find("is part 2 of 3 of a model in several files") != std::string::npos);
}

TEST_CASE("what a GGUF file says wrong, or what is not supported, gets a sentence") {
  const auto says = [](const Words& words, const std::string& sentence) {
    CAPTURE(sentence);
    CHECK(sentence_of(words).find(sentence) != std::string::npos);
  };
  CHECK(sentence_of({}) == "accepted");
  says({.architecture = "mamba"}, "architecture 'mamba' is not supported");
  says({.without = "block_count"}, "has no 'llama.block_count'");
  says({.without = "epsilon"}, "has no 'llama.attention.layer_norm_rms_epsilon'");
  says({.without = "embedding"}, "tensor \"token_embd.weight\" is missing");
  says(with([](GgufWriter& file) { file.text("llama.rope.scaling.type", "yarn"); }), "rope scaling 'yarn'");
  says(with([](GgufWriter& file) { file.number("llama.rope.dimension_count", Type::u32, 8); }),
       "rope turns 8 numbers of a head of 16");
  says(with([](GgufWriter& file) { file.number("llama.attention.value_length", Type::u32, 8); }),
       "values of another length than keys");
  says(with([](GgufWriter& file) { file.number("llama.expert_count", Type::u32, 8); }), "mixtures of experts");
  says(with([](GgufWriter& file) { file.tensor("rope_freqs.weight", {4}, 0, std::string(16, '\0')); }),
       "tensor \"rope_freqs.weight\" must be [8] of F32");
  says(with([](GgufWriter& file) { file.tensor("rope_freqs.weight", {8}, 0, std::string(32, '\0')); }),
       "a rope frequency is divided by 0");
  says(with([](GgufWriter& file) { file.number("llama.attention.key_length", Type::u32, 0); }),
       "the length of a head, 0, is out of range");
  says(with([](GgufWriter& file) { file.number("llama.attention.key_length", Type::i32, -2); }),
       "the length of a head, -2, is out of range");
  says(with([](GgufWriter& file) { file.number("tokenizer.ggml.eos_token_id", Type::i32, -1); }),
       "holds -1, not a token id");
}

TEST_CASE("what is wrong in a GGUF file's tokenizer gets a sentence") {
  const auto letters = [] {
    std::vector<std::string> all;
    for (int b = 0; b < 256; ++b) all.push_back(to_byte_alphabet(std::string(1, char(b))));
    return all;
  };
  const auto sentence = [&](const std::function<void(GgufWriter&)>& say) -> std::string {
    const TemporaryFolder folder;
    try {
      Tokenizer(read_gguf_tokenizer(with(say).file(folder)));
      return "accepted";
    } catch (const Error& error) {
      return error.what();
    }
  };
  const auto plain = [&](GgufWriter& file) {
    file.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", "gpt-2");
    file.texts("tokenizer.ggml.tokens", letters());
  };
  CHECK(sentence([&](GgufWriter& file) { plain(file), file.texts("tokenizer.ggml.merges", {}); }) == "accepted");
  const auto says = [&](const std::function<void(GgufWriter&)>& say, const std::string& words) {
    CAPTURE(words);
    CHECK(sentence(say).find(words) != std::string::npos);
  };
  says(plain, "has no 'tokenizer.ggml.merges'");
  says([](GgufWriter& file) { file.text("tokenizer.ggml.model", "llama"); }, "('llama' is SentencePiece)");
  says([](GgufWriter& file) { file.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", "tekken"); },
       "the splitting rule 'tekken' is not supported");
  says([](GgufWriter& file) { file.text("tokenizer.ggml.model", "gpt2"); }, "older converters left it out");
  says([&](GgufWriter& file) { plain(file), file.texts("tokenizer.ggml.merges", {"ab"}); },
       "a merge must be two tokens");
  says([&](GgufWriter& file) { plain(file), file.texts("tokenizer.ggml.merges", {"q z"}); }, "needs the token 'qz'");
  says(
      [&](GgufWriter& file) {
        plain(file), file.texts("tokenizer.ggml.merges", {});
        file.numbers<std::int32_t>("tokenizer.ggml.token_type", Type::i32, {1, 2});
      },
      "one number for each of 256 tokens");
  says(
      [&](GgufWriter& file) {
        plain(file), file.texts("tokenizer.ggml.merges", {});
        file.number("tokenizer.ggml.add_bos_token", Type::boolean, char(1));
      },
      "has no 'tokenizer.ggml.bos_token_id'");
}

TEST_CASE("each name of a splitting rule cuts as llama.cpp reads it") {
  const auto ids = [](const char* rule, const std::string& text) {
    const TemporaryFolder folder;
    std::vector<std::string> tokens;
    for (int b = 0; b < 256; ++b) tokens.push_back(to_byte_alphabet(std::string(1, char(b))));
    for (const char* more : {"12", "123", "123x", "'L", "<|im_end|>", "", "<|im_start|>"}) tokens.push_back(more);
    std::vector<std::int32_t> types(tokens.size(), 1);
    types.back() = 3;
    return Tokenizer(read_gguf_tokenizer(with([&](GgufWriter& file) {
                                           file.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", rule);
                                           file.texts("tokenizer.ggml.tokens", tokens);
                                           file.texts("tokenizer.ggml.merges", {"1 2", "12 3", "' L"});
                                           file.numbers<std::int32_t>("tokenizer.ggml.token_type", Type::i32, types);
                                           file.number("tokenizer.ggml.add_bos_token", Type::boolean, char(0));
                                         }).file(folder)))
        .encode(text);
  };
  using Ids = std::vector<int>;
  for (const char* rule : {"gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4"})
    CHECK(ids(rule, "1212'LL") == Ids{256, 256, '\'', 'L', 'L'});  // numbers whole; capitals are no contraction
  for (const char* rule : {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"})
    CHECK(ids(rule, "12'LL") == Ids{'1', '2', '\'', 'L', 'L'});
  for (const char* rule : {"llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral", "dbrx", "smaug-bpe", "chatglm-bpe"})
    CHECK(ids(rule, "1212'LL") == Ids{256, '1', '2', 259, 'L'});
  for (const char* rule : {"qwen2", "deepseek-r1-qwen", "megrez", "stablelm2", "hunyuan", "grok-2"})
    CHECK(ids(rule, "12'LL") == Ids{'1', '2', 259, 'L'});
  CHECK(ids("qwen2", "a<|im_end|><|im_start|>") == Ids{'a', 260, 262});  // the first by its text: its type says "word"
}
