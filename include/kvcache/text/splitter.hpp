// Cuts text into pieces by a regular expression: what matches is a piece, and so is each gap between matches.
#pragma once

#ifndef PCRE2_CODE_UNIT_WIDTH
#define PCRE2_CODE_UNIT_WIDTH 8  // pcre2.h asks for it; the functions below carry their own _8
#endif
#include <pcre2.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "kvcache/core/check.hpp"
#include "kvcache/text/pattern.hpp"
#include "kvcache/text/utf8.hpp"

namespace kvcache {

/// Where a pattern matches, and what lies between. The pattern is in Hugging Face's dialect; letters and digits are
/// Unicode's, of the version that the installed PCRE2 knows (10.42: Unicode 14). Threads may share a splitter.
class Splitter {
 public:
  /// Errors: a pattern that is empty, that PCRE2 cannot compile, or that means something else there (pattern.hpp).
  explicit Splitter(std::string_view pattern) : pattern_(pattern) {
    check(!pattern.empty(), "a splitting pattern is empty; give a regular expression");
    check(pattern.size() <= most_bytes, "a splitting pattern has ", pattern.size(), " bytes; at most ", most_bytes,
          " are supported");
    const std::string translated = translate_pattern(pattern);
    const std::unique_ptr<pcre2_compile_context_8, Free> context(pcre2_compile_context_create_8(nullptr));
    check(context != nullptr, "no memory for a regular expression");
    pcre2_set_newline_8(context.get(), PCRE2_NEWLINE_LF);
    int error = 0;
    std::size_t at = 0;
    code_.reset(pcre2_compile_8(reinterpret_cast<PCRE2_SPTR8>(translated.data()), translated.size(),
                                PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE, &error, &at, context.get()));
    check(code_ != nullptr, "the splitting pattern '", pattern_, "' is not a regular expression: PCRE2, which reads '",
          translated, "', says '", message(error), "' at byte ", at);
    pcre2_jit_compile_8(code_.get(), PCRE2_JIT_COMPLETE);  // where there is no JIT, the interpreter gives the same
  }

  static constexpr std::size_t most_bytes = 10'000;  // of a pattern: known ones have some hundreds

  const std::string& pattern() const { return pattern_; }

  /// Calls visit(std::string_view) for matches and gaps in order; together they are the text, and none is empty. An
  /// empty match cuts the text where it stands. Errors: those of find_all.
  template <class Visitor>
  void split(std::string_view text, Visitor&& visit) const {
    find_all(text, [&](std::string_view piece, bool) {
      if (!piece.empty()) visit(piece);
    });
  }

  /// Calls visit(std::string_view, bool is_match) for matches and gaps in order. A match may be empty, a gap is not.
  /// Errors: text that is not UTF-8; a match that exceeds PCRE2's limits.
  template <class Visitor>
  void find_all(std::string_view text, Visitor&& visit) const {
    check_utf8("Splitter", text);
    const std::unique_ptr<pcre2_match_data_8, Free> data(pcre2_match_data_create_8(1, nullptr));
    const std::unique_ptr<pcre2_match_context_8, Free> limits(pcre2_match_context_create_8(nullptr));
    check(data && limits, "no memory for a match of the splitting pattern '", pattern_, "'");
    pcre2_set_heap_limit_8(limits.get(), heap_kibibytes(text.size()));
    const auto gap = [&](std::size_t from, std::size_t to) {
      if (from < to) visit(text.substr(from, to - from), false);
    };
    std::size_t done = 0;                      // pieces before this byte are out
    std::size_t last_end = std::string::npos;  // of the match before
    for (std::size_t from = 0; from <= text.size();) {
      if (!find(text, from, data.get(), limits.get())) break;
      const std::size_t* match = pcre2_get_ovector_pointer_8(data.get());  // first byte, byte after the last
      const std::size_t start = match[0], end = match[1];
      if (start == end && end == last_end) {  // an empty match behind a match counts for nothing: look one further
        from = end < text.size() ? end + utf8_front(text.substr(end)).bytes : end + 1;
        continue;
      }
      gap(done, start);
      visit(text.substr(start, end - start), true);
      done = from = last_end = end;
    }
    gap(done, text.size());
  }

 private:
  struct Free {
    void operator()(pcre2_code_8* code) const { pcre2_code_free_8(code); }
    void operator()(pcre2_match_data_8* data) const { pcre2_match_data_free_8(data); }
    void operator()(pcre2_match_context_8* context) const { pcre2_match_context_free_8(context); }
    void operator()(pcre2_compile_context_8* context) const { pcre2_compile_context_free_8(context); }
  };

  static std::string message(int error) {
    PCRE2_UCHAR8 text[256];
    return pcre2_get_error_message_8(error, text, sizeof text) > 0 ? reinterpret_cast<const char*>(text) : "unknown";
  }

  /// What a match may take without JIT. PCRE2 alone would allow 20 GB, and a pattern with thousands of groups asks for
  /// tens of KB for each character.
  static std::uint32_t heap_kibibytes(std::size_t text_bytes) {
    return std::uint32_t(std::min<std::size_t>(16 * 1024 + text_bytes, 4u << 20));
  }

  /// The first match from byte `from` on; false where there is none.
  bool find(std::string_view text, std::size_t from, pcre2_match_data_8* data, pcre2_match_context_8* limits) const {
    const auto run = [&](std::uint32_t options) {  // NO_UTF_CHECK: checked once, not again for every match
      return pcre2_match_8(code_.get(), reinterpret_cast<PCRE2_SPTR8>(text.data()), text.size(), from,
                           PCRE2_NO_UTF_CHECK | options, data, limits);
    };
    int result = run(0);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) result = run(PCRE2_NO_JIT);  // slower, but has more room
    if (result == PCRE2_ERROR_NOMATCH) return false;
    check(result >= 0, "the splitting pattern '", pattern_, "' gave up at byte ", from, " of ", text.size(),
          ": PCRE2 says '", message(result), "'; cut the text into shorter parts or use a simpler pattern");
    return true;
  }

  std::string pattern_;
  std::unique_ptr<pcre2_code_8, Free> code_;
};

}  // namespace kvcache
