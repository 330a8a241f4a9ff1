// The tokenizer in the metadata of a GGUF file.
#pragma once

#include <array>

#include "kvcache/io/gguf.hpp"
#include "kvcache/io/json_fields.hpp"
#include "kvcache/text/tokenizer_data.hpp"

namespace kvcache {

namespace detail {

/// GGUF holds no splitting expression, only the name of a rule.
struct SplittingRule {
  const char* name;
  std::vector<const char*> patterns;
  bool ignore_merges = false, adds_start = false;
};

inline const SplittingRule& splitting_rule(const std::string& name, const std::string& where) {
  static const std::array<SplittingRule, 6> rules{{
      {"gpt-2", {gpt2_pattern}},
      {"smollm", {R"(\p{N})", gpt2_pattern}},
      {"llama-bpe", {llama3_pattern}, true, true},
      {"llama3", {llama3_pattern}, true, true},
      {"llama-v3", {llama3_pattern}, true, true},
      {"qwen2", {qwen2_pattern}},
  }};
  for (const SplittingRule& rule : rules)
    if (rule.name == name) return rule;
  fail(where, " '", name, "' is not supported; gpt-2, smollm, llama-bpe and qwen2 are");
}

}  // namespace detail

/// Errors: another kind of tokenizer, or another splitting rule (by name); values that are missing or of another type.
inline TokenizerData read_gguf_tokenizer(const Gguf& gguf) {
  const nlohmann::json& metadata = gguf.metadata();
  const std::string &path = gguf.path(), prefix = "tokenizer.ggml.";
  const auto kind = get_field_as<std::string>(metadata, prefix + "model", path);
  check(kind == "gpt2", path, ": the tokenizer is of kind '", kind, "', which is not supported; only byte-level BPE, ",
        "called gpt2, is", kind == "llama" ? " ('llama' is SentencePiece)" : "");
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
    if (type == control || type == user_defined)
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
