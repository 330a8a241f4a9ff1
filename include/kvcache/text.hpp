// The umbrella of text/: tokenizers, UTF-8 and the splitting of text. Needs PCRE2 (8 bit).
#pragma once

#include "kvcache/text/added_tokens.hpp"
#include "kvcache/text/bpe.hpp"
#include "kvcache/text/byte_alphabet.hpp"
#include "kvcache/text/pattern.hpp"
#include "kvcache/text/splitter.hpp"
#include "kvcache/text/tokenizer.hpp"
#include "kvcache/text/tokenizer_data.hpp"
#include "kvcache/text/utf8.hpp"
#include "kvcache/text/utf8_stream.hpp"
#include "kvcache/text/vocabulary.hpp"
#include "kvcache/text/white_space.hpp"
