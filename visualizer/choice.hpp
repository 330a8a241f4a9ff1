// What the user asks to see: a model, a text, a cache.
#pragma once

#include <cstdint>
#include <string>

#include "kvcache/decode/sampling.hpp"

namespace kvcache::visualizer {

struct Choice {
  std::string model = "tiny";        // as the command kvcache takes it: a name, a folder, shape:NAME
  std::string prompt = "To be, or";  // four tokens of tiny: the first one decoded is the fifth
  int prompt_tokens = 0;             // above 0: repeat or cut the prompt to this length; needed for a shape
  std::string device = "cpu";        // or cuda: an NVIDIA GPU
  std::string cache = "growing";     // as in cache_names
  bool use_cache = true;             // false: cleared before each step
  bool fork = false;                 // another text goes on from the prompt: a cache of pages shares them
  int tokens = 60;                   // to write
  SamplingOptions sampling = {};
  double most_trace_bytes = 64e6;  // attention and stages of all layers are recorded if they take no more
  int layer = 0;                   // recorded in any case
  int repeats = 3;                 // of the comparison; 0: none
};

}  // namespace kvcache::visualizer
