// Umbrella of the observers: what happened while a text was written, for people and for the visualizer.
// observe/timeline_file.hpp is not among them, for it needs nlohmann/json: include it by itself, with kvcache::io.
#pragma once

#include "kvcache/observe/compared_decoding.hpp"
#include "kvcache/observe/timeline.hpp"
#include "kvcache/observe/traced_cache.hpp"
#include "kvcache/observe/traced_decoding.hpp"
