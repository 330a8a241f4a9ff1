// Fuzz target: tokenizer.json, and the older vocab.json and merges.txt.
#pragma once

#include "fuzz/use_tokenizer.hpp"
#include "kvcache/io/make_tokenizer.hpp"
#include "kvcache/io/vocab_and_merges.hpp"

namespace kvcache_test {

inline void fuzz_tokenizer_json(std::string_view bytes) {
  const InputFile file(bytes);
  const std::string name = file.path().string();
  attempt([&] {
    const kvcache::Tokenizer tokenizer = kvcache::make_tokenizer(kvcache::read_tokenizer_json(file.path()), name);
    use_tokenizer(tokenizer, bytes, 200);
  });
  attempt([&] {
    static const InputFile no_merges("\n");
    kvcache::make_tokenizer(kvcache::read_vocab_and_merges(file.path(), no_merges.path()), name);
  });
  attempt([&] {
    static const InputFile no_tokens("{}");
    kvcache::read_vocab_and_merges(no_tokens.path(), file.path());
  });
}

}  // namespace kvcache_test
