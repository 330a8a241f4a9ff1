// Hugging Face's safetensors: 8 bytes header length (little-endian), a JSON header, then the tensors' bytes.
// Format: https://huggingface.co/docs/safetensors
#pragma once

#include <algorithm>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "kvcache/core/tensor.hpp"
#include "kvcache/io/json_fields.hpp"
#include "kvcache/io/json_file.hpp"
#include "kvcache/io/mapped_file.hpp"
#include "kvcache/io/tensor_overlaps.hpp"
#include "kvcache/io/unread_tensor.hpp"

namespace kvcache {

namespace detail {

/// Bytes of a number of each type of safetensors that this library does not read; 0: there is no such type.
inline std::size_t unread_number_bytes(const std::string& type) {
  static const std::map<std::string, std::size_t> sizes{
      {"F64", 8}, {"I64", 8}, {"U64", 8}, {"I32", 4},  {"U32", 4},     {"I16", 2},     {"U16", 2},
      {"I8", 1},  {"U8", 1},  {"C64", 8}, {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"F8_E8M0", 1}};
  const auto found = sizes.find(type);
  return found == sizes.end() ? 0 : found->second;
}

/// One entry of the header, checked against the size of the data. Offsets count from the first byte after the header.
/// Goes to `tensors`, or to `unread` where its type cannot be read.
inline void read_safetensors_entry(const std::string& name, const nlohmann::json& entry,
                                   std::span<const std::byte> data, const std::string& path,
                                   std::map<std::string, Tensor>& tensors, UnreadTensors& unread) {
  const std::string where = path + ": tensor \"" + name + "\"";
  const auto type = get_field_as<std::string>(entry, "dtype", where);
  const auto& shape = json_array(get_field(entry, "shape", where), where + ": 'shape'");
  const auto& offsets = json_array(get_field(entry, "data_offsets", where), where + ": 'data_offsets'");
  check(offsets.size() == 2, where, ": 'data_offsets' has ", offsets.size(), " numbers; it must have 2");
  Tensor tensor{name, NumberFormat::f32, {}, {}};
  const bool readable = type == "F32" || type == "F16" || type == "BF16";
  if (type == "F16") tensor.format = NumberFormat::f16;
  if (type == "BF16") tensor.format = NumberFormat::bf16;
  const std::size_t number_bytes = readable ? bytes_of(tensor.format, 1) : unread_number_bytes(type);

  check(shape.size() <= 64, where, " has ", shape.size(), " dimensions; at most 64 are supported");
  std::size_t size = std::max<std::size_t>(number_bytes, 1);
  for (const auto& dimension : shape) {
    tensor.shape.push_back(json_as<std::size_t>(dimension, where + ": a dimension"));
    if (tensor.shape.back() != 0 && size > std::numeric_limits<std::size_t>::max() / tensor.shape.back())
      fail(where, ": shape ", to_string(tensor.shape), " overflows; the file is broken");  // shape written only here
    size *= tensor.shape.back();
  }
  const auto begin = json_as<std::size_t>(offsets[0], where + ": an offset");
  const auto end = json_as<std::size_t>(offsets[1], where + ": an offset");
  check(begin <= end && end <= data.size(), where, ": bytes ", begin, " to ", end, " lie outside the file's ",
        data.size(), " bytes of data; the file is truncated or broken");
  check(end - begin == size || number_bytes == 0, where, ": shape ", to_string(tensor.shape), " of ", type, " needs ",
        size, " bytes, but its offsets span ", end - begin, "; the file is broken");
  if (!readable) {
    unread.emplace(name, UnreadTensor{type, tensor.shape, end - begin,
                                      "F32, F16 and BF16 can be read: convert the file, or take another"});
    return;
  }
  tensor.bytes = data.subspan(begin, size);
  tensors.emplace(name, std::move(tensor));
}

/// The words that may stand in the header beside the tensors: an object of strings.
inline std::map<std::string, std::string> safetensors_metadata(const nlohmann::json& header, const std::string& path) {
  std::map<std::string, std::string> metadata;
  const std::string where = path + ": '__metadata__'";
  if (const auto found = header.find("__metadata__"); found != header.end())
    for (const auto& [key, value] : json_object(*found, where).items())
      metadata.emplace(key, json_as<std::string>(value, where + ": '" + key + "'"));
  return metadata;
}

}  // namespace detail

/// The tensors of one file, by name. They view the mapped file, which lives as long as this object.
class Safetensors {
 public:
  /// Errors: whatever in the file contradicts itself. Nothing is believed that was not checked against the file's size.
  /// Tensors of types that cannot be read are no error: they are in unread().
  explicit Safetensors(const std::filesystem::path& path) : path_(path.string()), file_(path) {
    const std::span<const std::byte> bytes = file_.bytes();
    check(bytes.size() >= 8, path_, ": ", bytes.size(), " bytes are too few for a safetensors file");
    std::uint64_t length = 0;
    for (std::size_t i = 0; i < 8; ++i) length |= std::uint64_t(bytes[i]) << (8 * i);
    check(length <= bytes.size() - 8, path_, ": the header claims ", length, " bytes, but the file has ",
          bytes.size() - 8, " after its first 8; it is truncated or no safetensors file");
    const char* text = reinterpret_cast<const char*>(bytes.data() + 8);
    const nlohmann::json header = parse_json({text, std::size_t(length)}, path_ + ": the header");
    check(header.is_object(), path_, ": the header is not a JSON object");
    const auto data = bytes.subspan(std::size_t(8 + length));
    for (const auto& [name, entry] : header.items())
      if (name != "__metadata__") detail::read_safetensors_entry(name, entry, data, path_, tensors_, unread_);
    metadata_ = detail::safetensors_metadata(header, path_);
    check_overlaps(tensors_, path_);
  }

  const std::string& path() const { return path_; }
  const std::map<std::string, Tensor>& tensors() const { return tensors_; }
  const UnreadTensors& unread() const { return unread_; }
  /// What whoever wrote the file says about it; may be empty.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  std::string path_;
  MappedFile file_;
  std::map<std::string, Tensor> tensors_;
  UnreadTensors unread_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace kvcache
