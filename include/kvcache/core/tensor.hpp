// A tensor as a file holds it: a name, a number format, a shape, and bytes that lie elsewhere (in a mapped file).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "kvcache/core/number_format.hpp"

namespace kvcache {

struct Tensor {
  std::string name;
  NumberFormat format = NumberFormat::f32;
  std::vector<std::size_t> shape;    // outermost first
  std::span<const std::byte> bytes;  // bytes_of(format, product(shape))
};

/// "[1024, 192]", for messages.
inline std::string to_string(const std::vector<std::size_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace kvcache
