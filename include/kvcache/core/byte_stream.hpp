// Bytes written one after another, and read back with every read checked. Numbers lie with their lowest byte first.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "kvcache/core/check.hpp"

namespace kvcache {

static_assert(std::endian::native == std::endian::little, "bytes are copied as they lie in memory");

class ByteWriter {
 public:
  template <class Number>
  requires std::is_arithmetic_v<Number>
  void number(Number number) { std::memcpy(room(sizeof number), &number, sizeof number); }
  void bytes(std::span<const std::byte> bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  /// Its length, 4 bytes, then its characters.
  void text(std::string_view text) {
    number(std::uint32_t(text.size()));
    bytes(std::as_bytes(std::span(text.data(), text.size())));
  }
  /// The next `count` bytes, for the caller to fill before anything else is written.
  std::byte* room(std::size_t count) {
    bytes_.resize(bytes_.size() + count);
    return bytes_.data() + (bytes_.size() - count);
  }

  std::span<const std::byte> written() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

/// Reads from the front. It owns nothing: what it gives out lies in the bytes it was made of. Errors, of every read:
/// fewer bytes are left than asked for.
class ByteReader {
 public:
  /// `name` begins the sentences, such as the path of the file.
  explicit ByteReader(std::span<const std::byte> bytes, std::string name = "the bytes")
      : bytes_(bytes), name_(std::move(name)) {}

  template <class Number>
  requires std::is_arithmetic_v<Number> Number number() {
    Number number;
    std::memcpy(&number, bytes(sizeof number).data(), sizeof number);
    return number;
  }
  std::span<const std::byte> bytes(std::size_t count) {
    check(count <= left(), name_, ": ", count, " bytes are needed at byte ", at_, ", but only ", left(),
          " are left; they were cut off, or are something else");
    const auto part = bytes_.subspan(at_, count);
    at_ += count;
    return part;
  }
  /// `count` things of `each` bytes. To be asked before room is made for them: a broken count asks for any amount.
  std::span<const std::byte> bytes(std::size_t count, std::size_t each) {
    check_left(count, each);
    return bytes(count * each);
  }
  void check_left(std::size_t count, std::size_t each) const {
    check(each == 0 || count <= left() / each, name_, ": ", count, " times ", each, " bytes are needed at byte ", at_,
          ", but only ", left(), " are left; they were cut off, or are something else");
  }
  std::string text() {
    const auto characters = bytes(number<std::uint32_t>());
    return {reinterpret_cast<const char*>(characters.data()), characters.size()};
  }

  std::size_t left() const { return bytes_.size() - at_; }
  const std::string& name() const { return name_; }
  /// Errors: bytes that nobody has read.
  void check_finished() const {
    check(left() == 0, name_, ": ", left(), " bytes more than expected follow byte ", at_,
          "; they belong to something else");
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
  std::string name_;
};

}  // namespace kvcache
