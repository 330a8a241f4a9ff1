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
  std::span<const std::byte> bytes;  // bytes_of(format, size())

  /// How many numbers it has. Readers see to it that the product does not overflow.
  std::size_t size() const {
    std::size_t product = 1;
    for (const std::size_t length : shape) product *= length;
    return product;
  }
};

/// "[1024, 192]", for messages.
inline std::string to_string(const std::vector<std::size_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace kvcache
