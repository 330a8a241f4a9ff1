// From what a file holds to a tokenizer.
#pragma once

#include "kvcache/text/tokenizer.hpp"

namespace kvcache {

/// Errors: what is wrong in the data (Tokenizer), with the file it came from in front.
inline Tokenizer make_tokenizer(const TokenizerData& data, const std::string& file) {
  return say_where(file, [&] { return Tokenizer(data); });
}

}  // namespace kvcache
