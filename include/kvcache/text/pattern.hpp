// Regular expressions have dialects: this writes Hugging Face's (Oniguruma, Ruby syntax) in PCRE2's.
#pragma once

#include <cctype>
#include <cstdio>
#include <string>
#include <string_view>

#include "kvcache/core/check.hpp"
#include "kvcache/text/white_space.hpp"

namespace kvcache {

/// The pattern that matches exactly `text`.
inline std::string quote_pattern(std::string_view text) {
  std::string pattern;
  for (const char c : text) {
    if (std::string_view("\\^$.|?*+()[]{}-&#").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

namespace detail {

/// One walk over a pattern. Lets through what both dialects read alike, rewrites three things, refuses all else:
/// `\s` and `\S` become Unicode's White_Space (PCRE2 counts U+180E too), \uHHHH becomes \x{HHHH}, and a script's name
/// gets "sc:" (PCRE2 alone would take its Script_Extensions). ^ and $ hold at every line: PCRE2_MULTILINE.
class PatternTranslator {
 public:
  explicit PatternTranslator(std::string_view pattern) : pattern_(pattern) {}

  std::string translate() {
    while (at_ < pattern_.size()) {
      const char c = pattern_[at_];
      if (c == '\\')
        escape(/*in a class*/ false);
      else if (c == '[')
        character_class();
      else if (c == '(')
        group();
      else if (c == '{')
        count();
      else
        literal(c);
    }
    return out_;
  }

 private:
  std::string_view rest() const { return pattern_.substr(at_); }
  void copy(std::size_t bytes) {
    out_ += rest().substr(0, bytes);
    at_ += bytes;
  }
  [[noreturn]] void refuse(std::string_view what) const {
    fail("the splitting pattern '", pattern_, "' has ", what, " at byte ", at_,
         ", which this library does not read: Oniguruma and PCRE2 differ there; write it another way");
  }

  void group() {
    ++depth_;
    if (rest().starts_with("(?i:") && caseless_ == 0) caseless_ = depth_;
    for (const std::string_view start : {"(?:", "(?i:", "(?=", "(?!", "(?<=", "(?<!", "(?>"})
      if (rest().starts_with(start)) return copy(start.size());
    if (rest().starts_with("(?") || rest().starts_with("(*"))
      refuse("the group '" + std::string(rest().substr(0, 4)) + "'");
    copy(1);
  }

  void literal(char c) {
    if (c == ')' && caseless_ == depth_--) caseless_ = 0;
    if (caseless_ > 0) {  // Oniguruma folds several letters to one and back (ss is \u00DF), PCRE2 does not
      std::string two(rest().substr(0, 2));
      for (char& letter : two) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
      if (static_cast<unsigned char>(c) >= 0x80) refuse("a character that is not ASCII in '(?i:'");
      for (const char* ligature : {"ff", "fi", "fl", "ss", "st"})
        if (two == ligature) refuse("'" + two + "' in '(?i:'");
    }
    copy(1);
  }

  void count() {  // {2}, {2,} or {2,3}; with + or ? behind it, Ruby means something of its own
    const std::size_t end = rest().find('}');
    const std::string_view inside = end == std::string_view::npos ? "" : rest().substr(1, end - 1);
    if (inside.empty() || inside[0] == ',' || inside.find_first_not_of("0123456789,") != std::string_view::npos)
      refuse("a '{' that begins no count");
    const std::string_view after = rest().substr(end + 1, 1);
    if (after == "+" || after == "?") refuse("a '" + std::string(after) + "' after a count");
    copy(end + 1);
  }

  void character_class() {
    copy(rest().starts_with("[^") ? 2 : 1);
    if (rest().starts_with("]")) refuse("an empty class");
    bool after_set = false;  // behind \s, \d or \p{...}, where a hyphen cannot mean a range
    while (!rest().starts_with("]")) {
      if (rest().empty()) refuse("a class without end");
      if (rest()[0] == '[' || rest().starts_with("&&")) refuse("a class within a class");
      if (rest()[0] == '-' && after_set && !rest().starts_with("-]")) refuse("a range that begins with a set");
      if (rest().size() > 2 && rest().starts_with("-\\") && out_.back() != '[' && is_set(rest()[2]))
        refuse("a range that ends with a set");
      after_set = rest().size() > 1 && rest()[0] == '\\' && is_set(rest()[1]);
      if (rest()[0] == '\\')
        escape(/*in a class*/ true);
      else
        copy(1);
    }
    copy(1);
  }
  static bool is_set(char letter) { return std::string_view("sSdDpP").find(letter) != std::string_view::npos; }

  void escape(bool in_class) {
    if (rest().size() < 2) refuse("a lone backslash");
    const char letter = rest()[1];
    if (letter == 's' || letter == 'S') return white_space_class(letter == 'S', in_class);
    if (letter == 'p' || letter == 'P') return property();
    if (letter == 'u' || letter == 'x') return code_point(letter);
    const bool alike = std::string_view("dDrnt").find(letter) != std::string_view::npos ||
                       (!in_class && (letter == 'A' || letter == 'z')) ||
                       (static_cast<unsigned char>(letter) < 0x80 && !std::isalnum(static_cast<unsigned char>(letter)));
    if (!alike) refuse(std::string("'\\") + letter + "'");
    copy(2);
  }

  void white_space_class(bool others, bool in_class) {
    at_ += 2;
    out_ += in_class ? "" : "[";
    const auto put = [&](char32_t first, char32_t last) {
      char range[32];
      std::snprintf(range, sizeof range, "\\x{%X}-\\x{%X}", unsigned(first), unsigned(last));
      out_ += range;
    };
    char32_t unread = 0;
    for (const CodePointRange range : white_space) {
      others ? put(unread, range.first - 1) : put(range.first, range.last);
      unread = range.last + 1;
    }
    if (others) put(unread, 0x10FFFF);
    out_ += in_class ? "" : "]";
  }

  void property() {  // \p{L}, \p{Lu}, \p{^L}: categories; longer names: scripts
    const std::size_t end = rest().find('}');
    if (rest().size() < 4 || rest()[2] != '{' || end == std::string_view::npos) refuse("'\\p' without '{name}'");
    std::string_view name = rest().substr(3, end - 3);
    out_ += rest().substr(0, 3);
    if (name.starts_with('^')) out_ += '^', name.remove_prefix(1);
    if (name.empty() || name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_") != name.npos)
      refuse("the property '" + std::string(name) + "'");
    if (name.size() > 2 && name != "Any") out_ += "sc:";
    out_.append(name).append("}");
    at_ += end + 1;
  }

  void code_point(char letter) {  // \u4E00 or \x{4E00}; \xE4 is a byte in one dialect and a character in the other
    const std::size_t start = letter == 'u' ? 2 : 3;
    const std::size_t end = letter == 'u' ? 6 : rest().find('}');
    const bool whole = end != std::string_view::npos && end <= rest().size() && (letter == 'u' || rest()[2] == '{');
    const std::string_view digits = whole && end > start ? rest().substr(start, end - start) : "";
    if (digits.empty() || digits.find_first_not_of("0123456789ABCDEFabcdef") != std::string_view::npos)
      refuse("a code point that is not written as \\u1234 or \\x{1234}");
    if (caseless_ > 0) refuse("a code point in '(?i:'");
    out_.append("\\x{").append(digits).append("}");
    at_ += end + (letter == 'u' ? 0 : 1);
  }

  std::string_view pattern_;
  std::size_t at_ = 0;
  int depth_ = 0, caseless_ = 0;  // open groups; the number of the outermost (?i: among them, 0: none
  std::string out_;
};

}  // namespace detail

/// The pattern in PCRE2's dialect, to be compiled with PCRE2_UTF, PCRE2_UCP, PCRE2_MULTILINE and line feed as newline.
/// Errors: constructs that the two dialects read differently, and those nobody has compared.
inline std::string translate_pattern(std::string_view pattern) {
  return detail::PatternTranslator(pattern).translate();
}

}  // namespace kvcache
