// A cache as people write it: a policy, and options after a colon. "window:sinks=4,recent=252,keys=int8".
#pragma once

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvcache/core/check.hpp"
#include "kvcache/core/checked_size.hpp"

namespace kvcache {

namespace detail {
/// All of the text, or nothing.
inline std::optional<int> whole_number(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}
/// For sentences: what people write is short, but a spec may come from a file.
inline std::string shortened(std::string_view text) {
  constexpr std::size_t most = 100;
  if (text.size() <= most) return std::string(text);
  std::string beginning(text.substr(0, most));
  return beginning.append("... (").append(std::to_string(text.size())).append(" characters)");
}
}  // namespace detail

/// Options are taken out one by one; what is left over at the end was unknown.
class CacheSpec {
 public:
  /// Errors: an option without "=", or one that stands twice.
  explicit CacheSpec(std::string_view text) : text_(text) {
    const std::size_t colon = text.find(':');
    policy_ = text.substr(0, colon);
    std::string_view rest = colon == std::string_view::npos ? "" : text.substr(colon + 1);
    check(colon == std::string_view::npos || !rest.empty(), where(), "nothing follows the colon; write ",
          detail::shortened(policy_), " alone, or ", detail::shortened(policy_), ":option=value");
    while (!rest.empty()) {
      const std::string_view option = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(rest.size(), option.size() + 1));
      const std::size_t equals = option.find('=');
      check(equals != std::string_view::npos && equals > 0 && equals + 1 < option.size(), where(), "\"",
            detail::shortened(option), "\" is no option; write name=value, and commas between them");
      for (const auto& [name, value] : options_)
        check(name != option.substr(0, equals), where(), "the option ", detail::shortened(name), " stands twice");
      options_.emplace_back(option.substr(0, equals), option.substr(equals + 1));
    }
  }

  const std::string& text() const { return text_; }
  const std::string& policy() const { return policy_; }
  /// Errors: not a whole number from `least` to most_slots.
  int number(std::string_view name, int otherwise, int least) {
    const std::string text = word(name, std::to_string(otherwise));
    const std::optional<int> number = detail::whole_number(text);
    check(number && *number >= least && *number <= most_slots, where(), name, " is \"", detail::shortened(text),
          "\"; it must be a whole number of at least ", least, " and at most ", most_slots);
    return *number;
  }
  /// Errors: not one of `allowed`, where those are given.
  std::string word(std::string_view name, std::string otherwise, std::initializer_list<const char*> allowed = {}) {
    known_ += (known_.empty() ? "" : ", ") + std::string(name);
    for (auto option = options_.begin(); option != options_.end(); ++option) {
      if (option->first != name) continue;
      otherwise = std::move(option->second);
      options_.erase(option);
      break;
    }
    std::string list;
    for (const char* one : allowed) {
      if (otherwise == one) return otherwise;
      list += (list.empty() ? "" : " or ") + std::string(one);
    }
    check(allowed.size() == 0, where(), name, " is \"", detail::shortened(otherwise), "\"; it must be ", list);
    return otherwise;
  }
  /// Errors: an option that nobody took.
  void check_all_taken() const {
    check(options_.empty(), where(), "the option ", options_.empty() ? "" : detail::shortened(options_[0].first),
          " is unknown; ", policy_, known_.empty() ? " has none" : " knows ", known_);
  }
  std::string where() const { return "cache \"" + detail::shortened(text_) + "\": "; }

 private:
  std::string text_, policy_, known_;
  std::vector<std::pair<std::string, std::string>> options_;
};

}  // namespace kvcache
