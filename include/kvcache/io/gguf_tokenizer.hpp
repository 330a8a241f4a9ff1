// The tokenizer in the metadata of a GGUF file.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include "kvcache/io/gguf_config.hpp"
#include "kvcache/io/json_fields.hpp"
#include "kvcache/text/tokenizer_data.hpp"

namespace kvcache {

namespace detail {

/// GGUF holds no splitting expression, only the name of a rule.
struct SplittingRule {
  std::vector<std::string_view> names;
  std::vector<const char*> patterns;
  bool ignore_merges = false, adds_start = false;
};

/// Several names mean one rule: converters name it after the model they first saw it in. Source: ggml-org/llama.cpp,
/// src/llama-vocab.cpp.
inline const SplittingRule& splitting_rule(const std::string& name, const std::string& where) {
  static const std::array<SplittingRule, 5> rules{{
      {{"gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4", "gigachat", "a.x-4.0",
        "mellum", "modern-bert", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de"},
       {gpt2_pattern}},
      {{"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"},
       {R"(\p{N})", gpt2_pattern}},
      {{"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"},
       {llama3_pattern},
       true,
       true},
      {{"dbrx", "smaug-bpe", "glm4", "chatglm-bpe"}, {llama3_pattern}},
      {{"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2", "hunyuan", "solar-open", "grok-2"},
       {qwen2_pattern}},
  }};
  for (const SplittingRule& rule : rules)
    if (std::ranges::count(rule.names, name) > 0) return rule;
  std::string known;
  for (const SplittingRule& rule : rules)
    for (const std::string_view each : rule.names) (known += known.empty() ? "" : ", ") += each;
  fail(where, " '", name, "' is not supported; known are ", known,
       ". The same model as a Hugging Face folder may work: its tokenizer.json says the rule itself");
}

}  // namespace detail

/// Errors: another kind of tokenizer, or another splitting rule (by name); values that are missing or of another type.
inline TokenizerData read_gguf_tokenizer(const Gguf& gguf) {
  const nlohmann::json& metadata = gguf.metadata();
  const std::string &path = gguf.path(), prefix = "tokenizer.ggml.";
  const auto kind = get_field_as<std::string>(metadata, prefix + "model", path);
  check(kind == "gpt2", path, ": the tokenizer is of kind '", kind, "', which is not supported; only byte-level BPE, ",
        "called gpt2, is", kind == "llama" ? " ('llama' is SentencePiece)" : "");
  check(find_field(metadata, prefix + "pre", path) != nullptr, path, ": has no '", prefix,
        "pre', the name of the rule ",
        "that splits texts; older converters left it out: take a newer file of the model");
  const detail::SplittingRule& rule =
      detail::splitting_rule(get_field_as<std::string>(metadata, prefix + "pre", path), path + ": the splitting rule");
  TokenizerData data;
  data.ignore_merges = rule.ignore_merges;
  for (const char* pattern : rule.patterns) data.steps.push_back({.add_prefix_space = false, .pattern = pattern});
  data.steps[0].add_prefix_space = get_field_or(metadata, prefix + "add_space_prefix", false, path);

  const auto strings = [&](const char* key) -> const nlohmann::json& {
    return json_array(get_field(metadata, prefix + key, path), path + ": '" + prefix + key + "'");
  };
  constexpr int control = 3, user_defined = 4;  // types of tokens that are found in a text as they stand
  const nlohmann::json& tokens = strings("tokens");
  const nlohmann::json* types = find_field(metadata, prefix + "token_type", path);
  check(types == nullptr || (types->is_array() && types->size() == tokens.size()), path, ": '", prefix,
        "token_type' must be an array with one number for each of ", tokens.size(), " tokens");
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    const auto token = json_as<std::string>(tokens[id], path + ": a token");
    const int type = types ? json_as<int>((*types)[id], path + ": a token's type") : 1;
    if (token.empty()) continue;                                                // fills up the vocabulary
    if (type == control || type == user_defined || detail::is_end_text(token))  // the last: some files call it a word
      data.added_tokens.push_back({.id = int(id), .content = token});
    else
      data.vocab.emplace_back(token, int(id));
  }
  for (const nlohmann::json& merge : strings("merges")) {
    const auto line = json_as<std::string>(merge, path + ": a merge");
    const std::size_t space = line.find(' ', 1);  // no token begins with a space: the byte alphabet has another letter
    check(space != std::string::npos, path, ": a merge must be two tokens, but is '", line, "'");
    data.merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  const auto surround = [&](const char* wanted, const char* id, bool otherwise, std::vector<int>& ids) {
    if (get_field_or(metadata, prefix + wanted, otherwise, path))
      ids.push_back(get_field_as<int>(metadata, prefix + id, path));
  };
  surround("add_bos_token", "bos_token_id", rule.adds_start, data.before);
  surround("add_eos_token", "eos_token_id", false, data.after);
  return data;
}

}  // namespace kvcache
