// The umbrella of everything that needs no library but Eigen. Text and files have umbrellas of their own:
// kvcache/text.hpp (PCRE2) and kvcache/io.hpp (nlohmann/json). Caches beyond those that keep every token in one piece
// of memory, and the choice among all by name, are in kvcache/caches.hpp.
#pragma once

#include "kvcache/attention/attention.hpp"
#include "kvcache/attention/reference.hpp"
#include "kvcache/cache/concept.hpp"
#include "kvcache/cache/contiguous_cache.hpp"
#include "kvcache/core/version.hpp"
#include "kvcache/decode/generate.hpp"
#include "kvcache/decode/proof.hpp"
#include "kvcache/model/shapes.hpp"
#include "kvcache/model/transformer.hpp"
