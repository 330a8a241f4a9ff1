// From text to token ids and back: byte-level byte-pair encoding, the tokenizer of GPT-2 and Llama 3.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvcache/core/check.hpp"
#include "kvcache/text/added_tokens.hpp"
#include "kvcache/text/bpe.hpp"
#include "kvcache/text/split_behaviour.hpp"
#include "kvcache/text/tokenizer_data.hpp"
#include "kvcache/text/utf8.hpp"
#include "kvcache/text/vocabulary.hpp"

namespace kvcache {

/// Added tokens are cut out first; the splitting steps cut the rest into pieces; each piece's bytes are merged.
/// Gives the ids that Hugging Face's tokenizers gives. Threads may share a tokenizer.
class Tokenizer {
 public:
  /// Errors: all that is wrong in the data, by name, so that it does not show in the middle of a text.
  explicit Tokenizer(const TokenizerData& data)
      : vocabulary_(data),
        added_(data.added_tokens),
        fuse_unknown_(data.fuse_unknown),
        ignore_merges_(data.ignore_merges),
        before_(data.before),
        after_(data.after) {
    for (std::size_t rank = 0; rank < data.merges.size(); ++rank) {
      const std::string &left = data.merges[rank].first, &right = data.merges[rank].second;
      const auto id = [&](const std::string& token) {
        const std::optional<int> found = vocabulary_.find(token);
        check(found.has_value(), "Tokenizer: merge ", rank, ", '", left, "' with '", right, "', needs the token '",
              token, "', which is not in the vocabulary");
        return *found;
      };
      const int left_id = id(left), right_id = id(right), result = id(left + right);
      check(merges_.add(left_id, right_id, result), "Tokenizer: merge ", rank, ", '", left, "' with '", right,
            "', stands twice");
    }
    check(data.steps.size() <= 16, "Tokenizer: ", data.steps.size(), " splitting steps; at most 16 are supported");
    for (const SplitStep& step : data.steps) {
      steps_.push_back({step.add_prefix_space, step.behaviour, step.invert, std::nullopt});
      if (!step.pattern.empty()) steps_.back().splitter.emplace(step.pattern);
    }
    for (const std::vector<int>* ids : {&before_, &after_})
      for (const int id : *ids)
        check(vocabulary_.contains(id), "Tokenizer: ", id, " is not the id of a token, but every text is to begin or ",
              "end with it");
    if (data.unknown) unknown_ = vocabulary_.find(*data.unknown);
    check(!data.unknown || unknown_ || vocabulary_.has_all_bytes(), "Tokenizer: the token for unknown bytes, '",
          data.unknown.value_or(""), "', is not in the vocabulary");
  }

  /// The ids of a text. Errors: text that is not UTF-8, with the place; a splitting pattern that gives up.
  std::vector<int> encode(std::string_view text) const {
    std::vector<int> ids = before_;
    append(ids, text);
    ids.insert(ids.end(), after_.begin(), after_.end());
    return ids;
  }
  /// The ids of a text that goes on from another: without the tokens that begin and end every text.
  std::vector<int> encode_more(std::string_view text) const {
    std::vector<int> ids;
    append(ids, text);
    return ids;
  }

  /// The bytes of all ids, one after another; not UTF-8 where the ids end within a character (text/utf8_stream.hpp
  /// mends that). Ids without a token stand for nothing. Errors: a negative id.
  std::string decode(std::span<const int> ids) const {
    std::string text;
    for (const int id : ids) text += bytes_of(id);
    return text;
  }

  /// The bytes of one token, none for an id without a token; valid as long as the tokenizer. Errors: a negative id.
  std::string_view bytes_of(int id) const { return vocabulary_.bytes_of(id); }

  /// The ids that every encoded text begins with.
  std::span<const int> before() const { return before_; }
  bool has_token(int id) const { return vocabulary_.contains(id); }

  /// Highest id + 1. Where ids have gaps, more than there are tokens.
  int vocab_size() const { return vocabulary_.size(); }

  /// Whether it is found in a text as it stands, as <|endoftext|> is.
  bool is_added(int id) const { return find_added(bytes_of(id)) == id; }

  /// The id of the added token with this text; nothing where there is none.
  std::optional<int> find_added(std::string_view content) const { return added_.find(std::string(content)); }

 private:
  struct Step {
    bool add_prefix_space;
    SplitBehaviour behaviour;
    bool invert;
    std::optional<Splitter> splitter;
  };

  void append(std::vector<int>& ids, std::string_view text) const {
    check_utf8("Tokenizer", text);
    const auto encode_piece = [&](std::string_view piece) { append_piece(ids, piece); };
    added_.split(
        text, [&](std::string_view part) { split(part, 0, encode_piece); }, [&](int id) { ids.push_back(id); });
  }
  /// Each piece of this step goes through the steps after it; what comes out of the last goes to `visit`.
  template <class Visitor>
  void split(std::string_view text, std::size_t step, const Visitor& visit) const {
    if (step == steps_.size()) return visit(text);
    std::string with_space;
    if (steps_[step].add_prefix_space && text.front() != ' ') text = with_space = ' ' + std::string(text);
    if (!steps_[step].splitter) return split(text, step + 1, visit);
    split_by(*steps_[step].splitter, steps_[step].behaviour, steps_[step].invert, text,
             [&](std::string_view piece) { split(piece, step + 1, visit); });
  }

  void append_piece(std::vector<int>& ids, std::string_view piece) const {
    if (ignore_merges_)
      if (const std::optional<int> whole = vocabulary_.find(to_byte_alphabet(piece))) return ids.push_back(*whole);
    std::vector<int> tokens;
    bool last_known = true;
    for (const char byte : piece) {  // bytes that the vocabulary lacks are left out, as Hugging Face does
      const std::optional<int> id = vocabulary_.id_of_byte(byte);
      if (id)
        tokens.push_back(*id);
      else if (unknown_ && (last_known || !fuse_unknown_))
        tokens.push_back(*unknown_);
      last_known = id.has_value();
    }
    merge_pairs(tokens, merges_);
    ids.insert(ids.end(), tokens.begin(), tokens.end());
  }

  Vocabulary vocabulary_;
  AddedTokens added_;
  MergeTable merges_;
  std::vector<Step> steps_;
  std::optional<int> unknown_;
  bool fuse_unknown_, ignore_merges_;
  std::vector<int> before_, after_;
};

}  // namespace kvcache
