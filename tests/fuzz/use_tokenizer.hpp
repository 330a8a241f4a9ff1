// Encodes and decodes texts that are hard on a tokenizer.
#pragma once

#include "fuzz/input_file.hpp"
#include "kvcache/text/tokenizer.hpp"
#include "kvcache/text/utf8_stream.hpp"

namespace kvcache_test {

inline void use_tokenizer(const kvcache::Tokenizer& tokenizer, std::string_view text) {
  attempt([&] {
    const std::vector<int> ids = tokenizer.encode(text);
    for (const int id : ids) must(id >= 0 && id < tokenizer.vocab_size(), "an id that is no token");
    kvcache::Utf8Stream stream;
    std::string shown;
    for (const int id : ids) shown += stream.add(tokenizer.bytes_of(id));
    shown += stream.finish();
    must(kvcache::find_invalid_utf8(shown) == std::string::npos, "what is shown is not UTF-8");
  });
}

/// Contractions, white space of every kind, digits, letters without case, a ligature, marks, an emoji of several code
/// points, special tokens, a long run; then the last bytes of the input itself.
inline void use_tokenizer(const kvcache::Tokenizer& tokenizer, std::string_view input, std::size_t most) {
  use_tokenizer(tokenizer,
                "It's  WE'LL\t\r\n\n  12345\xC2\xA0\xE3\x80\x80 \xE4\xBA\xBA\xE9\x96\x93 "
                "\xEF\xAC\x81\xC3\x9F e\xCC\x81 \xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x9A\x80<|endoftext|> "
                "<|im_start|>aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!!!!\xE2\x80\xA8\xE1\xA0\x8E\x01");
  use_tokenizer(tokenizer, "");
  use_tokenizer(tokenizer, input.substr(input.size() - std::min(input.size(), most)));
}

}  // namespace kvcache_test
