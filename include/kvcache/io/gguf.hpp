// GGUF, versions 2 and 3: one file with metadata (what the model is, its tokenizer) and tensors.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "kvcache/core/tensor.hpp"
#include "kvcache/io/mapped_file.hpp"
#include "kvcache/io/tensor_overlaps.hpp"
#include "kvcache/io/unread_tensor.hpp"

namespace kvcache {

namespace detail {

/// Reads little-endian values one after another. Nothing is believed that was not checked against the bytes left.
class GgufCursor {
 public:
  GgufCursor(std::span<const std::byte> bytes, const std::string& path) : bytes_(bytes), path_(path) {}

  std::size_t offset() const { return at_; }
  std::size_t left() const { return bytes_.size() - at_; }
  template <class T>
  T number() {
    static_assert(std::endian::native == std::endian::little);
    const std::byte* from = take(sizeof(T));
    T value;
    std::memcpy(&value, from, sizeof(T));
    return value;
  }
  std::string string() {
    const auto length = number<std::uint64_t>();
    const char* from = reinterpret_cast<const char*>(take(length));
    return {from, std::size_t(length)};
  }
  /// A count of things that take at least `least_bytes` each.
  std::uint64_t count(const char* what, std::uint64_t least_bytes) {
    const auto n = number<std::uint64_t>();
    check(n <= left() / least_bytes, path_, ": claims ", n, " ", what, ", but only ", left(),
          " bytes are left; the file is truncated or broken");
    return n;
  }

 private:
  const std::byte* take(std::uint64_t count) {
    check(count <= left(), path_, ": ends at byte ", bytes_.size(), " within something of ", count,
          " bytes that begins at byte ", at_, "; the file is truncated or broken");
    const std::byte* from = bytes_.data() + at_;
    at_ += std::size_t(count);
    return from;
  }
  std::span<const std::byte> bytes_;
  const std::string& path_;
  std::size_t at_ = 0;
};

/// The types of metadata values, as numbered in the file.
enum class GgufType : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

inline nlohmann::json gguf_value(GgufCursor& file, GgufType type, const std::string& where);

inline nlohmann::json gguf_array(GgufCursor& file, const std::string& where) {
  constexpr std::uint64_t most = 1 << 24;  // vocabularies have less than 2^19; more would take much memory
  const auto type = GgufType(file.number<std::uint32_t>());
  check(type != GgufType::array, where, " is an array of arrays, which is not supported");
  const std::uint64_t n = file.count("values of an array", type == GgufType::string ? 8 : 1);
  check(n <= most, where, " has ", n, " values; at most ", most, " are supported");
  nlohmann::json::array_t values;
  values.reserve(std::size_t(n));  // 16 bytes each, and for the smallest, of 1 byte in the file, not twice that
  for (std::uint64_t i = 0; i < n; ++i) values.push_back(gguf_value(file, type, where));
  return values;
}

inline nlohmann::json gguf_value(GgufCursor& file, GgufType type, const std::string& where) {
  switch (type) {
    case GgufType::u8:
      return file.number<std::uint8_t>();
    case GgufType::i8:
      return file.number<std::int8_t>();
    case GgufType::u16:
      return file.number<std::uint16_t>();
    case GgufType::i16:
      return file.number<std::int16_t>();
    case GgufType::u32:
      return file.number<std::uint32_t>();
    case GgufType::i32:
      return file.number<std::int32_t>();
    case GgufType::f32:
      return file.number<float>();
    case GgufType::boolean:
      return file.number<std::uint8_t>() != 0;
    case GgufType::string:
      return file.string();
    case GgufType::array:
      return gguf_array(file, where);
    case GgufType::u64:
      return file.number<std::uint64_t>();
    case GgufType::i64:
      return file.number<std::int64_t>();
    case GgufType::f64:
      return file.number<double>();
  }
  fail(where, " has type ", std::uint32_t(type), "; GGUF knows types 0 to 12");
}

/// ggml's numbers for tensor types, and what they are called.
inline std::string gguf_type_name(std::uint32_t type) {
  constexpr std::array<const char*, 41> names{
      "F32",        "F16",        "Q4_0",       "Q4_1",  "Q4_2",     "Q4_3",     "Q5_0",     "Q5_1",    "Q8_0",
      "Q8_1",       "Q2_K",       "Q3_K",       "Q4_K",  "Q5_K",     "Q6_K",     "Q8_K",     "IQ2_XXS", "IQ2_XS",
      "IQ3_XXS",    "IQ1_S",      "IQ4_NL",     "IQ3_S", "IQ2_S",    "IQ4_XS",   "I8",       "I16",     "I32",
      "I64",        "F64",        "IQ1_M",      "BF16",  "Q4_0_4_4", "Q4_0_4_8", "Q4_0_8_8", "TQ1_0",   "TQ2_0",
      "IQ4_NL_4_4", "IQ4_NL_4_8", "IQ4_NL_8_8", "MXFP4", "NVFP4"};
  return type < names.size() ? names[type] : "number " + std::to_string(type);
}

/// Nothing for a type that cannot be read.
inline std::optional<NumberFormat> gguf_format(const std::string& type) {
  for (int f = 0; f < number_formats; ++f)
    if (name(NumberFormat(f)) == type) return NumberFormat(f);
  return {};
}

}  // namespace detail

/// One file: its metadata as a JSON object, and its tensors by name. Tensors of types that cannot be read are known by
/// name and size alone: what a model is can be told of any file. Tensors view the mapped file, which lives as long
/// as this object.
class Gguf {
 public:
  /// Errors: whatever in the file contradicts itself.
  explicit Gguf(const std::filesystem::path& path) : path_(path.string()), file_(path) {
    detail::GgufCursor file(file_.bytes(), path_);
    check(file.left() >= 24 && file.number<std::uint32_t>() == 0x46554747, path_,
          ": does not begin with the letters GGUF; it is no GGUF file");
    version_ = int(file.number<std::uint32_t>());
    check(version_ == 2 || version_ == 3, path_, ": is GGUF version ", version_,
          version_ & 0xffff ? "; versions 2 and 3 can be read" : "; big-endian files cannot be read");
    const std::uint64_t tensors = file.count("tensors", 24), values = file.count("metadata values", 13);
    for (std::uint64_t i = 0; i < values; ++i) read_value(file);
    std::vector<Entry> entries;
    for (std::uint64_t i = 0; i < tensors; ++i) entries.push_back(read_entry(file));
    place_tensors(file.offset(), entries);
    check_overlaps(tensors_, path_);
  }

  const std::string& path() const { return path_; }
  int version() const { return version_; }
  const nlohmann::json& metadata() const { return metadata_; }
  const std::map<std::string, Tensor>& tensors() const { return tensors_; }
  const UnreadTensors& unread() const { return unread_; }
  /// Of a tensor of any type, outermost first; null: there is no such tensor.
  const std::vector<std::size_t>* find_shape(const std::string& name) const {
    if (const auto found = tensors_.find(name); found != tensors_.end()) return &found->second.shape;
    const auto found = unread_.find(name);
    return found == unread_.end() ? nullptr : &found->second.shape;
  }

 private:
  struct Entry {
    Tensor tensor;
    std::uint64_t offset;
    std::string type;
    bool readable;
  };

  void read_value(detail::GgufCursor& file) {
    const std::string key = file.string(), where = path_ + ": '" + printable(key) + "'";
    const auto type = detail::GgufType(file.number<std::uint32_t>());
    check(metadata_.emplace(key, detail::gguf_value(file, type, where)).second, where, " stands twice");
  }
  Entry read_entry(detail::GgufCursor& file) {
    Entry entry;
    entry.tensor.name = file.string();
    const std::string where = path_ + ": tensor \"" + printable(entry.tensor.name) + "\"";
    const auto dimensions = file.number<std::uint32_t>();
    check(dimensions >= 1 && dimensions <= 4, where, " has ", dimensions, " dimensions; 1 to 4 are possible");
    for (std::uint32_t d = 0; d < dimensions; ++d) {
      const auto length = file.number<std::uint64_t>();
      check(length >= 1 && length <= (std::uint64_t(1) << 48) / entry.tensor.size(), where, " has a dimension of ",
            length, "; it is empty or too large: the file is broken");
      entry.tensor.shape.insert(entry.tensor.shape.begin(), std::size_t(length));  // the file has the innermost first
    }
    entry.type = detail::gguf_type_name(file.number<std::uint32_t>());
    const std::optional<NumberFormat> format = detail::gguf_format(entry.type);
    entry.readable = format.has_value();
    entry.tensor.format = format.value_or(NumberFormat::f32);
    check(!format || entry.tensor.shape.back() % std::size_t(block_numbers(entry.tensor.format)) == 0, where,
          ": rows of ", entry.tensor.shape.back(), " numbers are not whole blocks of ", name(entry.tensor.format));
    entry.offset = file.number<std::uint64_t>();
    return entry;
  }
  void place_tensors(std::size_t end_of_header, std::vector<Entry>& entries) {
    const std::span<const std::byte> bytes = file_.bytes();
    const nlohmann::json* given = metadata_.contains("general.alignment") ? &metadata_["general.alignment"] : nullptr;
    const std::uint64_t alignment = !given ? 32 : given->is_number_unsigned() ? given->get<std::uint64_t>() : 0;
    check(alignment >= 8 && alignment <= 1 << 20 && std::has_single_bit(alignment), path_,
          ": 'general.alignment' must be a power of two from 8 to 2^20");
    const std::uint64_t begin = (end_of_header + alignment - 1) / alignment * alignment;
    std::vector<std::uint64_t> offsets;  // of all tensors, then the end: where the next begins, one of any type ends
    for (const Entry& entry : entries) offsets.push_back(entry.offset);
    offsets.push_back(bytes.size() - std::min<std::uint64_t>(begin, bytes.size()));
    std::ranges::sort(offsets);
    for (Entry& entry : entries) {
      Tensor& tensor = entry.tensor;
      const auto next = std::ranges::upper_bound(offsets, entry.offset);
      const std::size_t size = entry.readable          ? bytes_of(tensor.format, tensor.size())
                               : next == offsets.end() ? std::size_t(1)  // beyond the end
                                                       : std::size_t(*next - entry.offset);
      const std::string where = path_ + ": tensor \"" + printable(tensor.name) + "\"";
      check(entry.offset % alignment == 0, where, " begins at byte ", entry.offset, " of the data, which is no ",
            "multiple of the file's alignment ", alignment);
      check(
          begin <= bytes.size() && entry.offset <= bytes.size() - begin && size <= bytes.size() - begin - entry.offset,
          where, " ", to_string(tensor.shape), " of ", entry.type, " needs ", size, " bytes at byte ", entry.offset,
          " of the data, but the file has only ", bytes.size(), " in all; it is truncated or broken");
      const std::string key = tensor.name;
      check(find_shape(key) == nullptr, where, " stands twice");
      tensor.bytes = bytes.subspan(std::size_t(begin + entry.offset), size);
      if (entry.readable)
        tensors_.emplace(key, std::move(tensor));
      else
        unread_.emplace(key, UnreadTensor{entry.type, tensor.shape, size,
                                          "F32, F16, BF16, Q8_0, Q4_0 and Q4_1 can be read: take a file of one of "
                                          "these, or convert it"});
    }
  }
  /// What stands in a sentence may come from a broken file.
  static std::string printable(const std::string& text) {
    std::string shown;
    for (const char c : text.substr(0, 80)) shown += c >= ' ' && c <= '~' ? c : '?';
    return shown;
  }

  std::string path_;
  MappedFile file_;
  int version_ = 0;
  nlohmann::json metadata_ = nlohmann::json::object();
  std::map<std::string, Tensor> tensors_;
  UnreadTensors unread_;
};

}  // namespace kvcache
