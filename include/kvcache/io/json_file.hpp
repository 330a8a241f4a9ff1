// Reads a JSON file, and turns every surprise into a sentence that names the file.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <new>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <system_error>

#include "kvcache/core/check.hpp"

namespace kvcache {

namespace detail {

/// How deep brackets nest outside of strings: what JSON text does before any value of it is made.
inline int json_depth(std::string_view text) {
  int depth = 0, deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string && c == '\\')
      ++i;  // what follows ends no string
    else if (c == '"')
      in_string = !in_string;
    else if (!in_string && (c == '[' || c == '{'))
      deepest = std::max(deepest, ++depth);
    else if (!in_string && (c == ']' || c == '}'))
      --depth;
  }
  return deepest;
}

}  // namespace detail

/// JSON text as values; `name` begins the sentences. Errors: text that is not JSON (with the byte where it goes wrong),
/// values nested more than 100 deep.
inline nlohmann::json parse_json(std::string_view text, const std::string& name) {
  constexpr int deepest = 100;  // more is a few bytes in the file and much memory
  check(detail::json_depth(text) <= deepest, name, " is not JSON as expected: values are nested more than ", deepest,
        " deep");
  try {
    return nlohmann::json::parse(text);  // a callback that looks at depths would cost a walk for every object
  } catch (const nlohmann::json::parse_error& e) {
    const std::string_view what = e.what();  // "[json.exception.parse_error.101] parse error at line ..."
    const std::size_t sentence = what.find("] ");
    fail(name, " is not JSON: byte ", e.byte, " of ", text.size(), ": ",
         sentence == std::string_view::npos ? what : what.substr(sentence + 2));
  } catch (const nlohmann::json::exception& e) {
    fail(name, " is not JSON: ", e.what());
  } catch (const std::bad_alloc&) {
    fail(name, " does not fit into memory");
  }
}

/// The content of a JSON file. Errors: a missing file, a folder, more than 256 MiB, those of parse_json.
inline nlohmann::json read_json(const std::filesystem::path& path) {
  constexpr std::uintmax_t most_bytes = 256u << 20;
  const std::string name = path.string();
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  check(std::filesystem::exists(status), name, ": there is no such file");
  check(!std::filesystem::is_directory(status), name, " is a folder; give the path of a JSON file in it");
  check(std::filesystem::is_regular_file(status), name, " is not a regular file");
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  check(!error, name, ": cannot tell its size: ", error.message());
  check(size <= most_bytes, name, " has ", size, " bytes; a JSON file may have at most ", most_bytes, " (256 MiB)");
  std::ifstream file(path, std::ios::binary);
  check(file.is_open(), name, " cannot be opened; may you read it?");
  std::string text;
  try {
    text.resize(std::size_t(size));
  } catch (const std::bad_alloc&) {
    fail(name, " does not fit into memory");
  }
  file.read(text.data(), std::streamsize(size));
  check(std::uintmax_t(file.gcount()) == size, name, ": ", file.gcount(), " of ", size, " bytes could be read");
  return parse_json(text, name);
}

}  // namespace kvcache
