// Which bytes each token id stands for, and back.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "kvcache/core/check.hpp"
#include "kvcache/text/byte_alphabet.hpp"
#include "kvcache/text/tokenizer_data.hpp"
#include "kvcache/text/utf8.hpp"

namespace kvcache {

class Vocabulary {
 public:
  static constexpr int highest_id = 4'194'303;  // above it, a damaged file is likelier than a vocabulary

  /// Errors: a token or an id twice, an id out of range, an added token with two ids, no byte that has a token.
  explicit Vocabulary(const TokenizerData& data) {
    ids_.reserve(data.vocab.size());
    for (const auto& [token, id] : data.vocab) {
      check(ids_.emplace(token, id).second, "Tokenizer: the token '", token, "' stands twice in the vocabulary");
      const std::optional<std::string> bytes = from_byte_alphabet(token);
      put(id, bytes.value_or(token), token);  // outside the alphabet: the text itself; no piece ever becomes it
    }
    for (std::size_t b = 0; b < 256; ++b) id_of_byte_[b] = find(to_byte_alphabet(std::string(1, static_cast<char>(b))));
    check(std::ranges::any_of(id_of_byte_, [](const auto& id) { return id.has_value(); }),
          "Tokenizer: the vocabulary has no token for any single byte, so no text can be written in it; it is not one "
          "of byte-level BPE");
    for (const AddedToken& token : data.added_tokens) put_added(token);
  }

  /// The id of a token, written as the vocabulary writes it; nothing where there is no such token.
  std::optional<int> find(const std::string& token) const {
    const auto found = ids_.find(token);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }
  /// Nothing for a byte that never stood in the text the vocabulary was made of: SmolLM2's lacks 21, most of them never
  /// part of UTF-8; one made of a small text without an alphabet to begin with lacks many.
  std::optional<int> id_of_byte(char byte) const { return id_of_byte_[static_cast<unsigned char>(byte)]; }

  bool has_all_bytes() const {
    return std::ranges::all_of(id_of_byte_, [](const auto& id) { return id.has_value(); });
  }

  bool contains(int id) const { return bytes_.contains(id); }
  /// Nothing for an id without a token: many models have more ids than their tokenizer, to fill up a round number, and
  /// may choose one. Errors: a negative id.
  std::string_view bytes_of(int id) const {
    check(id >= 0, "Tokenizer: ", id, " is not the id of a token; ids begin with 0");
    const auto found = bytes_.find(id);
    return found == bytes_.end() ? std::string_view() : found->second;
  }
  int size() const { return size_; }  // highest id + 1

 private:
  void put(int id, std::string bytes, const std::string& name) {
    check(id >= 0 && id <= highest_id, "Tokenizer: the token '", name, "' has id ", id, "; ids go from 0 to ",
          highest_id);
    check(bytes_.emplace(id, std::move(bytes)).second, "Tokenizer: the token '", name, "' has id ", id,
          ", which another token has too");
    size_ = std::max(size_, id + 1);
  }
  void put_added(const AddedToken& token) {
    check_utf8("Tokenizer: added token " + std::to_string(token.id), token.content);
    const std::optional<int> known = find(token.content);
    if (!known) return put(token.id, token.content, token.content);
    check(*known == token.id, "Tokenizer: the added token '", token.content, "' has id ", token.id,
          ", but the vocabulary gives it ", *known);
    bytes_[token.id] = token.content;  // it is found as plain text, and so it is written
  }

  std::unordered_map<int, std::string> bytes_;  // by id: one id of 4 million in a small file must not cost memory
  int size_ = 0;
  std::unordered_map<std::string, int> ids_;  // of all tokens but those only added
  std::array<std::optional<int>, 256> id_of_byte_{};
};

}  // namespace kvcache
