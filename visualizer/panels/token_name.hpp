// How the panels call a token.
#pragma once

#include <fmt/core.h>

#include <string>

#include "kvcache/observe/timeline.hpp"
#include "widgets.hpp"

namespace kvcache::visualizer {

/// Its text as it can be seen, or, if there is no tokenizer, its number: #4711.
inline std::string token_name(const Timeline& timeline, int token) {
  const std::string_view bytes = timeline.spelling(token);
  return bytes.empty() ? fmt::format("#{}", token) : visible(bytes);
}

/// The same, for a sentence: "·be" in quotation marks, or #4711.
inline std::string quoted_token(const Timeline& timeline, int token) {
  const std::string_view bytes = timeline.spelling(token);
  return bytes.empty() ? fmt::format("#{}", token) : fmt::format("\"{}\"", visible(bytes));
}

/// A token is named by its position, which counts from 0 as layers, heads, slots and steps do: 4, "·be".
inline std::string named_position(const Timeline& timeline, int position) {
  return fmt::format("{}, {}", position, quoted_token(timeline, timeline.text()[std::size_t(position)]));
}

}  // namespace kvcache::visualizer
