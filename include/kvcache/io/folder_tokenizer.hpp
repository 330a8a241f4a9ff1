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
    for (const auto& [token, id] : data.vocab) taken_.emplace(id, token), vocab_.emplace(token, id);
    for (const AddedToken& token : data.added_tokens) taken_.emplace(token.id, token.content);
  }

  /// A token of which text and id are known. One that is there already keeps its id, and takes the new one's habits.
  /// Errors: the id is another token's.
  void add(AddedToken token, const std::string& where) {
    if (AddedToken* known = find(token.content)) {
      token.id = known->id;
      *known = token;
      return;
    }
    if (const auto in_vocab = vocab_.find(token.content); in_vocab != vocab_.end()) {
      token.id = in_vocab->second;
    } else {
      const auto [other, is_free] = taken_.emplace(token.id, token.content);
      check(is_free, where, " gives '", token.content, "' the id ", token.id, ", which is that of '", other->second,
            "'; the files of this folder do not belong together");
    }
    data_.added_tokens.push_back(std::move(token));
  }
  /// A token of which only the text is known: its id in the vocabulary, or the next that is free.
  void add(const std::string& content, const std::string& where) {
    if (content.empty() || find(content)) return;
    int next = int(data_.vocab.size());
    for (const AddedToken& token : data_.added_tokens) next = std::max(next, token.id + 1);
    add(AddedToken{.id = next, .content = content}, where);
  }

 private:
  AddedToken* find(const std::string& content) {
    const auto found = std::ranges::find(data_.added_tokens, content, &AddedToken::content);
    return found == data_.added_tokens.end() ? nullptr : &*found;
  }
  TokenizerData& data_;
  std::map<int, std::string> taken_;
  std::map<std::string, int> vocab_;
};

/// tokenizer_config.json lists added tokens by id; older folders have added_tokens.json, text by text. Beside them,
/// each token that has a role (begins a text, pads it...) is found in a text as it stands.
inline void add_configured_tokens(const std::filesystem::path& folder, TokenizerData& data) {
  const std::filesystem::path config_path = folder / "tokenizer_config.json", old_path = folder / "added_tokens.json",
                              roles_path = folder / "special_tokens_map.json";
  const nlohmann::json config = read_json_if_there(config_path), roles = read_json_if_there(roles_path);
  TokenAdder adder(data);
  if (const nlohmann::json* listed = find_field(config, "added_tokens_decoder", config_path.string())) {
    const std::string where = config_path.string() + ": 'added_tokens_decoder'";
    std::map<int, const nlohmann::json*> by_id;
    for (const auto& [id, token] : json_object(*listed, where).items()) {
      check(!id.empty() && id.size() <= 7 && std::ranges::all_of(id, [](char c) { return c >= '0' && c <= '9'; }),
            where, ": '", id, "' is not the id of a token");
      by_id.emplace(std::stoi(id), &token);
    }
    for (const auto& [id, token] : by_id) adder.add(read_added_token(*token, id, where), where);
  } else {
    const nlohmann::json old = read_json_if_there(old_path);
    for (const auto& [content, id] : json_object(old, old_path.string()).items())
      adder.add(
          AddedToken{.id = json_as<int>(id, old_path.string() + ": the id of '" + content + "'"), .content = content},
          old_path.string());
  }
  for (const auto& [json, path] : {std::pair{&config, &config_path}, std::pair{&roles, &roles_path}}) {
    const std::string where = path->string();
    for (const char* role :
         {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"})
      if (const auto content = special_token_text(*json, role, where)) adder.add(*content, where);
    if (const nlohmann::json* more = find_field(*json, "additional_special_tokens", where); more && more->is_array())
      for (const nlohmann::json& token : *more)
        if (const auto content = special_token_text({{"token", token}}, "token", where)) adder.add(*content, where);
  }
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
  TokenizerData data = read_vocab_and_merges(folder / "vocab.json", folder / "merges.txt");
  data.steps[0].add_prefix_space = get_field_or(config, "add_prefix_space", false, where);
  return data;
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
  detail::add_configured_tokens(folder, data);
  return data;
}

}  // namespace kvcache
