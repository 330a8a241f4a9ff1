// The umbrella of what reads files: Hugging Face folders. Needs nlohmann/json, and PCRE2 for the tokenizer.
#pragma once

#include "kvcache/io/find_model.hpp"
#include "kvcache/io/hugging_face.hpp"
