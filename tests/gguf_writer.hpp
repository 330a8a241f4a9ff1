// Writes GGUF files for tests, right ones and, by leaving things out or lying, wrong ones.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace kvcache_test {

class GgufWriter {
 public:
  enum Type : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };
  std::uint32_t version = 3, alignment = 32;

  GgufWriter& text(const std::string& key, const std::string& value) { return head(key, string).put_string(value); }
  template <class T>
  GgufWriter& number(const std::string& key, Type type, T value) {
    return head(key, type).put(values_, value);
  }
  GgufWriter& texts(const std::string& key, const std::vector<std::string>& all) {
    head(key, array).put(values_, std::uint32_t(string)).put(values_, std::uint64_t(all.size()));
    for (const std::string& value : all) put_string(value);
    return *this;
  }
  template <class T>
  GgufWriter& numbers(const std::string& key, Type type, const std::vector<T>& all) {
    head(key, array).put(values_, std::uint32_t(type)).put(values_, std::uint64_t(all.size()));
    for (const T value : all) put(values_, value);
    return *this;
  }
  /// Dimensions innermost first, as in the file.
  GgufWriter& tensor(const std::string& name, const std::vector<std::uint64_t>& dimensions, std::uint32_t type,
                     const std::string& bytes) {
    data_.resize((data_.size() + alignment - 1) / alignment * alignment);
    return tensor_at(name, dimensions, type, data_.size(), bytes);
  }
  /// The same, with any offset written for it.
  GgufWriter& tensor_at(const std::string& name, const std::vector<std::uint64_t>& dimensions, std::uint32_t type,
                        std::uint64_t offset, const std::string& bytes) {
    ++tensor_count;
    put(entries_, std::uint64_t(name.size())).entries_ += name;
    put(entries_, std::uint32_t(dimensions.size()));
    for (const std::uint64_t length : dimensions) put(entries_, length);
    put(entries_, type).put(entries_, offset).data_ += bytes;
    return *this;
  }
  std::string bytes() const {
    GgufWriter file;
    file.put(file.values_, std::uint32_t(0x46554747)).put(file.values_, version);
    file.put(file.values_, tensor_count).put(file.values_, value_count);
    std::string all = file.values_ + values_ + entries_;
    all.resize((all.size() + alignment - 1) / alignment * alignment);
    return all + data_;
  }

  std::uint64_t tensor_count = 0, value_count = 0;

 private:
  GgufWriter& head(const std::string& key, Type type) {
    ++value_count;
    return put_string(key).put(values_, std::uint32_t(type));
  }
  GgufWriter& put_string(const std::string& value) {
    put(values_, std::uint64_t(value.size()));
    values_ += value;
    return *this;
  }
  template <class T>
  GgufWriter& put(std::string& where, T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    where.append(bytes, sizeof(T));
    return *this;
  }
  std::string values_, entries_, data_;
};

}  // namespace kvcache_test
