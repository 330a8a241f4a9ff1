// The tokenizer of folders without a tokenizer.json: GPT-2's vocab.json and merges.txt.
#pragma once

#include <fstream>

#include "kvcache/io/tokenizer_json.hpp"

namespace kvcache {

/// GPT-2's splitting rule is meant: files of this kind do not say another. Its one added token is <|endoftext|>, where
/// the vocabulary has it. Errors: a file that is missing or not as expected, with its path.
inline TokenizerData read_vocab_and_merges(const std::filesystem::path& vocab, const std::filesystem::path& merges) {
  TokenizerData data;
  data.steps.push_back({.add_prefix_space = false, .pattern = gpt2_pattern});
  const std::string path = vocab.string();
  const nlohmann::json tokens = read_json(vocab);
  for (const auto& [token, id] : json_object(tokens, path).items()) {
    data.vocab.emplace_back(token, json_as<int>(id, path + ": the id of the token '" + token + "'"));
    if (token == "<|endoftext|>") data.added_tokens.push_back({.id = data.vocab.back().second, .content = token});
  }
  std::error_code ignored;
  const bool is_file = std::filesystem::is_regular_file(merges, ignored);  // a folder would open, and give no merges
  std::ifstream file(merges);
  check(is_file && file.good(), merges.string(), ": cannot be opened; it must be a file, and readable");
  std::size_t number = 0;
  for (std::string line; std::getline(file, line); ++number) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) detail::read_merge(line, merges.string(), number, data);
  }
  return data;
}

}  // namespace kvcache
