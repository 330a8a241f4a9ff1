// Cuts a Jinja template into text, {{ outputs }} and {% statements %}, and the latter two into words.
#pragma once

#include <cctype>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvcache/core/check.hpp"
#include "kvcache/text/utf8.hpp"

namespace kvcache::detail {

struct JinjaToken {
  enum class Kind { name, number, text, sign };
  Kind kind;
  std::string text;  // of a text: what it means, without quotes and escapes
};

struct JinjaPart {
  enum class Kind { text, output, statement };
  Kind kind;
  std::string text;
  std::vector<JinjaToken> tokens;
};

/// White space is treated as transformers sets Jinja up: a line end behind a statement is dropped (trim_blocks), and so
/// are blanks between the beginning of a line and a statement (lstrip_blocks); a minus in a tag drops all white space
/// on its side. Source: https://jinja.palletsprojects.com/en/stable/templates/#whitespace-control
class JinjaCutter {
 public:
  explicit JinjaCutter(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i)  // line ends of other systems
      if (text[i] != '\r')
        text_ += text[i];
      else if (i + 1 == text.size() || text[i + 1] != '\n')
        text_ += '\n';
    if (text_.ends_with('\n')) text_.pop_back();
  }

  /// Errors: a tag or a text without end, a sign that no expression has.
  std::vector<JinjaPart> cut() {
    while (true) {
      const std::size_t tag = next_tag();
      put_text(tag);
      if (tag == text_.size()) return std::move(parts_);
      at_ = tag + 2 + (at(tag + 2) == '-' || at(tag + 2) == '+' ? 1 : 0);
      if (text_[tag + 1] == '#')
        skip_comment();
      else
        read_tag(text_[tag + 1] == '%' ? '%' : '}');
    }
  }

 private:
  char at(std::size_t place) const { return place < text_.size() ? text_[place] : '\0'; }
  std::string_view rest() const { return std::string_view(text_).substr(std::min(at_, text_.size())); }
  static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\v' || c == '\f'; }

  std::size_t next_tag() const {
    for (std::size_t i = at_; i + 1 < text_.size(); ++i)
      if (text_[i] == '{' && (text_[i + 1] == '{' || text_[i + 1] == '%' || text_[i + 1] == '#')) return i;
    return text_.size();
  }

  /// What stands from here to a tag.
  void put_text(std::size_t tag) {
    std::string text = text_.substr(at_, tag - at_);
    if (tag < text_.size() && at(tag + 2) == '-') {
      while (!text.empty() && is_blank(text.back())) text.pop_back();
    } else if (tag < text_.size() && text_[tag + 1] != '{' && at(tag + 2) != '+') {
      const std::size_t line = text.rfind('\n') + 1;  // 0 where there is none
      if ((line > 0 || line_begins_) && text.find_first_not_of(" \t\v\f", line) == std::string::npos) text.resize(line);
    }
    if (!text.empty()) parts_.push_back({JinjaPart::Kind::text, std::move(text), {}});
  }

  /// Behind the end of a tag: `drops` all white space, or one line end.
  void end_tag(bool drops_all, bool drops_line) {
    const std::size_t begin = at_;
    if (drops_all)
      while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
    else if (drops_line && at(at_) == '\n')
      ++at_;
    line_begins_ = at_ > begin && text_[at_ - 1] == '\n';
  }

  void skip_comment() {
    const std::size_t end = text_.find("#}", at_);
    check(end != std::string::npos, "a comment, {#, has no end");
    const bool minus = end > 0 && text_[end - 1] == '-', plus = end > 0 && text_[end - 1] == '+';
    at_ = end + 2;
    end_tag(minus, !plus);
  }

  void read_tag(char ends_with) {
    JinjaPart part{ends_with == '%' ? JinjaPart::Kind::statement : JinjaPart::Kind::output, "", {}};
    const std::string end{ends_with, '}'};
    for (int braces = 0;;) {
      while (is_blank(at(at_))) ++at_;
      check(at_ < text_.size(), "a tag, {", ends_with == '%' ? "%" : "{", ", has no end");
      const bool minus = rest().starts_with("-" + end), plus = rest().starts_with("+" + end);
      if (minus || plus || (braces == 0 && rest().starts_with(end))) {
        at_ += minus || plus ? 3 : 2;
        end_tag(minus, ends_with == '%' && !plus);
        break;
      }
      part.tokens.push_back(read_token());
      if (part.tokens.back().kind == JinjaToken::Kind::sign) {
        braces += part.tokens.back().text == "{";
        braces -= part.tokens.back().text == "}";
      }
    }
    parts_.push_back(std::move(part));
  }

  JinjaToken read_token() {
    const auto take = [&](JinjaToken::Kind kind, std::size_t count) {
      JinjaToken token{kind, text_.substr(at_, count)};
      at_ += count;
      return token;
    };
    const auto count_while = [&](auto&& belongs) {
      std::size_t count = 0;
      while (at_ + count < text_.size() && belongs(static_cast<unsigned char>(text_[at_ + count]))) ++count;
      return count;
    };
    const unsigned char c = static_cast<unsigned char>(text_[at_]);
    if (std::isalpha(c) || c == '_')
      return take(JinjaToken::Kind::name, count_while([](unsigned char d) { return std::isalnum(d) || d == '_'; }));
    if (std::isdigit(c)) {
      std::size_t count = count_while([](unsigned char d) { return std::isdigit(d); });
      if (at(at_ + count) == '.' && std::isdigit(static_cast<unsigned char>(at(at_ + count + 1))))
        for (++count; std::isdigit(static_cast<unsigned char>(at(at_ + count)));) ++count;
      return take(JinjaToken::Kind::number, count);
    }
    if (c == '\'' || c == '"') return read_text(static_cast<char>(c));
    for (const std::string_view sign : {"==", "!=", "<=", ">=", "//", "**"})
      if (rest().starts_with(sign)) return take(JinjaToken::Kind::sign, 2);
    check(std::string_view("+-*/%~<>=()[]{},.:|").find(static_cast<char>(c)) != std::string_view::npos, "the sign '",
          std::string(1, static_cast<char>(c)), "' in a tag is not known");
    return take(JinjaToken::Kind::sign, 1);
  }

  JinjaToken read_text(char quote) {
    JinjaToken token{JinjaToken::Kind::text, ""};
    for (++at_; at(at_) != quote || at_ >= text_.size(); ++at_) {
      check(at_ < text_.size(), "a text in quotes has no end");
      if (text_[at_] != '\\') {
        token.text += text_[at_];
        continue;
      }
      const char letter = at(++at_);
      const std::size_t digits = letter == 'x' ? 2 : letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
      if (digits > 0) {
        const std::string code = text_.substr(std::min(at_ + 1, text_.size()), digits);
        const unsigned long point = std::strtoul(code.c_str(), nullptr, 16);
        check(code.size() == digits && code.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos &&
                  point < 0x110000 && (point < 0xD800 || point > 0xDFFF),
              "a text has the escape \\", std::string(1, letter), code, ", which is no character");
        append_utf8(token.text, char32_t(point));
        at_ += digits;
      } else if (const std::size_t known = std::string_view("ntr\\'\"abfv\n").find(letter);
                 known != std::string_view::npos && letter != '\0') {
        if (letter != '\n') token.text += "\n\t\r\\'\"\a\b\f\v"[known];
      } else {
        token.text += '\\';
        --at_;  // what follows stands for itself
      }
    }
    ++at_;
    return token;
  }

  std::string text_;
  std::size_t at_ = 0;
  bool line_begins_ = true;  // what was dropped last ended a line
  std::vector<JinjaPart> parts_;
};

}  // namespace kvcache::detail
