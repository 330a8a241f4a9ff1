// A tokenizer as plain data: what a file holds, before anybody has checked it.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kvcache {

/// A token that is found in the text as it stands, before any splitting: <|endoftext|>.
struct AddedToken {
  int id = 0;
  std::string content;      // the text itself, not in the byte alphabet
  bool lstrip = false;      // takes the white space before it along
  bool rstrip = false;      // takes the white space after it along
  bool normalized = false;  // looked for after all those that are not; without a normaliser nothing else differs
};

/// What becomes of the matches of a splitting pattern, and of the gaps between them.
enum class SplitBehaviour {
  isolated,              // each match and each gap is a piece
  removed,               // gaps are pieces; matches are dropped
  contiguous,            // neighbouring matches are one piece; gaps are pieces
  merged_with_previous,  // a match ends the gap before it
  merged_with_next       // a match begins the gap after it
};

/// One step of cutting text into pieces; each piece of one step is the whole text of the next.
struct SplitStep {
  bool add_prefix_space = false;  // first puts a space before a text that begins with none
  std::string pattern;            // then cuts by this regular expression; empty: does not cut
  SplitBehaviour behaviour = SplitBehaviour::isolated;
  bool invert = false;  // gaps count as matches, and matches as gaps
};

/// Byte-level byte-pair encoding. Tokens of `vocab` and `merges` are written in the letters of text/byte_alphabet.hpp.
struct TokenizerData {
  std::vector<std::pair<std::string, int>> vocab;           // token, id
  std::vector<std::pair<std::string, std::string>> merges;  // left, right; the first merges first
  std::vector<AddedToken> added_tokens;                     // may be in vocab too, with the same id
  std::vector<SplitStep> steps;                             // none: each text is one piece
  std::optional<std::string> unknown;                       // the token for bytes without one; else they are left out
  bool fuse_unknown = false;                                // one such token for neighbours
  bool ignore_merges = false;                               // a piece that is a token is that token, merges or not
  std::vector<int> before, after;                           // ids that every encoded text begins and ends with
};

/// GPT-2's rule: contractions, then words, numbers and signs with the space before them, then white space.
/// Source: openai/gpt-2, src/encoder.py.
inline constexpr const char* gpt2_pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
/// Llama 3's: as GPT-2's, but any case of contractions, numbers of at most three digits, and a sign before a word.
/// Source: meta-llama/llama3, llama/tokenizer.py.
inline constexpr const char* llama3_pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
/// Qwen2's and Qwen3's: as Llama 3's, but every digit alone. Source: their tokenizer.json.
inline constexpr const char* qwen2_pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

}  // namespace kvcache
