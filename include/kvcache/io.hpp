// The umbrella of what reads files: Hugging Face folders and GGUF. Needs nlohmann/json, and PCRE2 for the tokenizer.
#pragma once

#include "kvcache/io/checkpoint.hpp"
#include "kvcache/io/find_model.hpp"
