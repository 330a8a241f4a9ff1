// Finds added tokens such as <|endoftext|> in a text, before it is split: the leftmost first, then the longest.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kvcache/core/check.hpp"
#include "kvcache/text/tokenizer_data.hpp"
#include "kvcache/text/white_space.hpp"

namespace kvcache {

/// The search of Hugging Face's tokenizers (added_vocabulary.rs), in its two rounds: tokens with normalized false, then
/// the others in the text that is left.
class AddedTokens {
 public:
  /// Errors: an empty token, a token twice.
  explicit AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      const AddedToken& token = tokens_[i];
      check(!token.content.empty(), "added token ", token.id, " is empty; remove it");
      check(by_content_.emplace(token.content, token.id).second, "the added token '", token.content,
            "' stands twice; remove one");
      by_first_byte_[token.normalized][static_cast<unsigned char>(token.content[0])].push_back(i);
    }
    for (auto& round : by_first_byte_)
      for (std::vector<std::size_t>& candidates : round)
        std::sort(candidates.begin(), candidates.end(), [&](std::size_t a, std::size_t b) {
          return tokens_[a].content.size() > tokens_[b].content.size();  // the longest match is the first found
        });
  }

  /// The id of a token; nothing where there is no such token.
  std::optional<int> find(const std::string& content) const {
    const auto found = by_content_.find(content);
    return found == by_content_.end() ? std::nullopt : std::optional(found->second);
  }

  /// Calls on_text(std::string_view) and on_token(int id) for what the text consists of, in order; no text is empty.
  template <class OnText, class OnToken>
  void split(std::string_view text, OnText&& on_text, OnToken&& on_token) const {
    split_round(
        0, text, [&](std::string_view part) { split_round(1, part, on_text, on_token); }, on_token);
  }

 private:
  const AddedToken* token_at(int round, std::string_view text) const {
    for (const std::size_t i : by_first_byte_[std::size_t(round)][static_cast<unsigned char>(text[0])])
      if (text.starts_with(tokens_[i].content)) return &tokens_[i];
    return nullptr;
  }

  template <class OnText, class OnToken>
  void split_round(int round, std::string_view text, OnText&& on_text, OnToken&& on_token) const {
    std::size_t done = 0;  // text before this byte is out
    for (std::size_t at = 0; at < text.size();) {
      const AddedToken* token = token_at(round, text.substr(at));
      if (!token) {
        ++at;
        continue;
      }
      std::size_t start = at, end = at + token->content.size();
      at = end;  // also where rstrip takes more: Hugging Face finds tokens within white space that is taken already
      if (token->lstrip) start = start > done ? start - trailing_white_space(text.substr(done, start - done)) : done;
      if (token->rstrip) end += leading_white_space(text.substr(end));
      if (start >= end) continue;  // but not those that would take it a second time
      if (done < start) on_text(text.substr(done, start - done));
      on_token(token->id);
      done = end;
    }
    if (done < text.size()) on_text(text.substr(done));
  }

  std::vector<AddedToken> tokens_;
  std::unordered_map<std::string, int> by_content_;
  std::array<std::array<std::vector<std::size_t>, 256>, 2> by_first_byte_;  // [round, byte]: places in tokens_
};

}  // namespace kvcache
