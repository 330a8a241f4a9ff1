// The tokenizer of a Hugging Face folder: tokenizer.json, or vocab.json with merges.txt; and the special tokens that
// the files beside them add.
#pragma once

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "kvcache/io/tokenizer_json.hpp"
#include "kvcache/io/vocab_and_merges.hpp"

namespace kvcache {

namespace detail {

/// The content of a JSON file in the folder; an empty object where there is none.
inline nlohmann::json read_json_if_there(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored) ? read_json(path) : nlohmann::json::object();
}

/// A special token by its role: its text, or an object with its text as 'content'. Nothing: there is none.
inline std::optional<std::string> special_token_text(const nlohmann::json& json, const char* role,
                                                     const std::string& where) {
  const nlohmann::json* token = find_field(json, role, where);
  if (token == nullptr) return {};
  if (token->is_object()) return get_field_as<std::string>(*token, "content", where + ": '" + role + "'");
  return json_as<std::string>(*token, where + ": '" + role + "'");
}

/// Adds tokens to those of tokenizer.json, as transformers does on loading.
class TokenAdder {
 public:
  explicit TokenAdder(TokenizerData& data) : data_(data) {
    for (const auto& [token, id] : data.vocab) vocab_.emplace(token, id);
  }

  bool has(const std::string& content) { return find(content) != nullptr; }

  /// A token that is there already keeps its id, and takes the new one's habits. Another gets its id in the vocabulary,
  /// or the next that is free, whatever id a file names for it.
  void add(AddedToken token) {
    if (token.content.empty()) return;
    if (AddedToken* known = find(token.content)) {
      token.id = known->id;
      *known = std::move(token);
      return;
    }
    token.id = int(data_.vocab.size());
    for (const AddedToken& other : data_.added_tokens) token.id = std::max(token.id, other.id + 1);
    if (const auto word = vocab_.find(token.content); word != vocab_.end()) token.id = word->second;
    data_.added_tokens.push_back(std::move(token));
  }

 private:
  AddedToken* find(const std::string& content) {
    const auto found = std::ranges::find(data_.added_tokens, content, &AddedToken::content);
    return found == data_.added_tokens.end() ? nullptr : &*found;
  }
  TokenizerData& data_;
  std::map<std::string, int> vocab_;
};

/// The tokens with a role (one begins a text, one pads it...), which a text may hold as they stand: texts, or objects
/// as in a list of added tokens.
inline void add_tokens_with_roles(const nlohmann::json& config, const std::string& where, TokenAdder& adder) {
  const auto add = [&](const nlohmann::json& token, const std::string& at) {
    AddedToken added{.content = token.is_object() ? "" : json_as<std::string>(token, at)};
    if (token.is_object()) added = read_added_token(token, 0, at);
    added.normalized = false;
    if (!adder.has(added.content)) adder.add(std::move(added));
  };
  const auto add_all = [&](const char* key) {
    if (const nlohmann::json* tokens = find_field(config, key, where))  // a list, or an object of roles
      for (const auto& [role, token] : tokens->items()) add(token, where + ": '" + key + "'");
  };
  for (const char* role : {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"})
    if (const nlohmann::json* token = find_field(config, role, where)) add(*token, where + ": '" + role + "'");
  add_all("extra_special_tokens");
  add_all("additional_special_tokens");
}

/// tokenizer_config.json lists added tokens by id. Where it does not, older folders have added_tokens.json, and tokens
/// with roles in special_tokens_map.json. Compared with transformers 5.24 (tests/goldens/make_folder_tokens.py).
inline void add_configured_tokens(const std::filesystem::path& folder, TokenizerData& data) {
  const std::filesystem::path config_path = folder / "tokenizer_config.json", old_path = folder / "added_tokens.json",
                              roles_path = folder / "special_tokens_map.json";
  nlohmann::json config = read_json_if_there(config_path);
  TokenAdder adder(data);
  if (const nlohmann::json* listed = find_field(config, "added_tokens_decoder", config_path.string())) {
    const std::string where = config_path.string() + ": 'added_tokens_decoder'";
    std::map<int, AddedToken> by_id;
    for (const auto& [id, token] : json_object(*listed, where).items()) {
      check(!id.empty() && id.size() <= 7 && std::ranges::all_of(id, [](char c) { return c >= '0' && c <= '9'; }),
            where, ": '", id, "' is not the id of a token");
      by_id.emplace(std::stoi(id), read_added_token(token, 0, where));
    }
    for (const auto& [id, token] : by_id) adder.add(token);
  } else {
    const nlohmann::json old = read_json_if_there(old_path), roles = read_json_if_there(roles_path);
    std::map<int, std::string> by_id;
    for (const auto& [content, id] : json_object(old, old_path.string()).items())
      by_id.emplace(json_as<int>(id, old_path.string() + ": the id of '" + content + "'"), content);
    for (const auto& [id, content] : by_id)
      if (!adder.has(content)) adder.add({.content = content});
    for (const auto& [role, token] : json_object(roles, roles_path.string()).items()) config[role] = token;
  }
  add_tokens_with_roles(config, config_path.string(), adder);
}

/// GPT-2's rules, which nothing in vocab.json and merges.txt says. Errors: tokenizer_config.json names another
/// tokenizer.
inline TokenizerData read_old_tokenizer(const std::filesystem::path& folder) {
  const std::string where = (folder / "tokenizer_config.json").string();
  const nlohmann::json config = read_json_if_there(where);
  const auto kind = get_field_or<std::string>(config, "tokenizer_class", "GPT2Tokenizer", where);
  check(kind == "GPT2Tokenizer" || kind == "GPT2TokenizerFast" || kind == "PreTrainedTokenizerFast", where,
        ": the tokenizer is a '", kind, "', whose rules vocab.json and merges.txt do not say; add its tokenizer.json ",
        "(transformers writes it: AutoTokenizer.from_pretrained(...).save_pretrained(...))");
  return read_vocab_and_merges(folder / "vocab.json", folder / "merges.txt");
}

/// What tokenizer_config.json says of a space in front of a text counts for GPT-2's tokenizers, also where they are in
/// a tokenizer.json.
inline void read_prefix_space(const std::filesystem::path& folder, TokenizerData& data) {
  const std::string where = (folder / "tokenizer_config.json").string();
  const nlohmann::json config = read_json_if_there(where);
  const auto kind = get_field_or<std::string>(config, "tokenizer_class", "", where);
  if ((kind == "GPT2Tokenizer" || kind == "GPT2TokenizerFast") && data.steps.size() == 1)
    data.steps[0].add_prefix_space = get_field_or(config, "add_prefix_space", data.steps[0].add_prefix_space, where);
}

}  // namespace detail

/// Errors: those of read_tokenizer_json and read_vocab_and_merges; files beside them that contradict them.
inline TokenizerData read_folder_tokenizer(const std::filesystem::path& folder) {
  std::error_code ignored;
  const auto has = [&](const char* file) { return std::filesystem::exists(folder / file, ignored); };
  if (!has("tokenizer.json") && !has("vocab.json") && has("tokenizer.model"))
    fail((folder / "tokenizer.model").string(),
         ": is a SentencePiece tokenizer, which is not supported; only byte-level ",
         "BPE is (tokenizer.json, or vocab.json with merges.txt)");
  TokenizerData data = !has("tokenizer.json") && has("vocab.json") ? detail::read_old_tokenizer(folder)
                                                                   : read_tokenizer_json(folder / "tokenizer.json");
  detail::read_prefix_space(folder, data);
  detail::add_configured_tokens(folder, data);
  return data;
}

}  // namespace kvcache
