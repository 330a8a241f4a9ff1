// A tensor that stands in a file, but whose type cannot be read: known by name, for who needs no numbers of it.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace kvcache {

/// Whether a model needs the tensor is not known when a file is opened: old GPT-2 files carry causal masks of bytes,
/// and what a cache costs can be told of any file. So it is refused where its numbers are asked for, with these words.
struct UnreadTensor {
  std::string type;                // as the file's format calls it
  std::vector<std::size_t> shape;  // outermost first
  std::size_t bytes = 0;           // in the file
  std::string advice;              // which types can be read, and what to do
};
using UnreadTensors = std::map<std::string, UnreadTensor>;

}  // namespace kvcache
