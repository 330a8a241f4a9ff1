// Writes a safetensors file; io/safetensors.hpp reads it, and so do Python, Rust and browsers.
#pragma once

#include <bit>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "kvcache/core/check.hpp"
#include "kvcache/core/tensor.hpp"
#include "kvcache/io/atomic_file.hpp"

namespace kvcache {

/// One tensor of floats to be written. Its numbers are asked for when its turn comes, so that a file may be larger than
/// what is in memory at once.
struct TensorToWrite {
  std::string name;
  std::vector<std::size_t> shape;               // outermost first
  std::function<std::vector<float>()> numbers;  // product(shape) of them
  std::size_t size() const {
    std::size_t product = 1;
    for (const std::size_t dimension : shape) product *= dimension;
    return product;
  }
};

namespace detail {

/// The header with the offsets of tensors that lie one after another, filled with spaces so that the data begins at a
/// multiple of 8 bytes. Text that is no UTF-8 gets the replacement character.
inline std::string safetensors_header(std::span<const TensorToWrite> tensors,
                                      const std::map<std::string, std::string>& metadata) {
  nlohmann::json header = nlohmann::json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::size_t end = 0;
  for (const TensorToWrite& tensor : tensors) {
    const std::size_t begin = end;
    end += tensor.size() * sizeof(float);
    check(tensor.name != "__metadata__" && !header.contains(tensor.name), "safetensors: two tensors are called \"",
          tensor.name, "\"; give each a name of its own");
    header[tensor.name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, end}}};
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

inline void write_safetensors_to(FileToWrite& file, std::span<const TensorToWrite> tensors,
                                 const std::map<std::string, std::string>& metadata) {
  static_assert(std::endian::native == std::endian::little, "safetensors holds numbers with the lowest byte first");
  const std::string header = safetensors_header(tensors, metadata);
  const std::uint64_t size = header.size();
  file.write(std::as_bytes(std::span(&size, 1)));
  file.write(header);
  for (const TensorToWrite& tensor : tensors) {
    const std::vector<float> numbers = tensor.numbers();
    check(numbers.size() == tensor.size(), "safetensors: tensor \"", tensor.name, "\" ", to_string(tensor.shape),
          " needs ", tensor.size(), " numbers, but ", numbers.size(), " were given");
    file.write(std::as_bytes(std::span(numbers)));
  }
}

}  // namespace detail

/// Atomically: a write that fails leaves the target as it was. Errors: those of FileToWrite; two tensors of one name;
/// numbers that do not fit their shape.
inline void write_safetensors(const std::filesystem::path& path, std::span<const TensorToWrite> tensors,
                              const std::map<std::string, std::string>& metadata = {}) {
  FileToWrite file(path);
  detail::write_safetensors_to(file, tensors, metadata);
  file.finish();
}

}  // namespace kvcache
