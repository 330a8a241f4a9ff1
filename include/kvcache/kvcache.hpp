// The umbrella of everything that needs no library but Eigen. Text and files have umbrellas of their own:
// kvcache/text.hpp (PCRE2) and kvcache/io.hpp (nlohmann/json).
#pragma once

#include "kvcache/attention/attention.hpp"
#include "kvcache/attention/reference.hpp"
#include "kvcache/cache/any_cache.hpp"
#include "kvcache/cache/concept.hpp"
#include "kvcache/cache/contiguous_cache.hpp"
#include "kvcache/core/version.hpp"
#include "kvcache/decode/generate.hpp"
#include "kvcache/decode/proof.hpp"
#include "kvcache/model/shapes.hpp"
#include "kvcache/model/transformer.hpp"
