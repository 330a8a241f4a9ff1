// What values in a Jinja template are, and what can be done with them: Python's rules, as far as templates use them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "kvcache/core/check.hpp"
#include "kvcache/text/white_space.hpp"

namespace kvcache::detail {

/// JSON's values, in the order they were put in; null is Python's None.
using JinjaValue = nlohmann::ordered_json;

/// What no variable and no field is called: false, printed as nothing, and an error in sums.
inline JinjaValue jinja_undefined() { return JinjaValue(JinjaValue::value_t::discarded); }

inline bool is_true(const JinjaValue& v) {
  if (v.is_boolean()) return v.get<bool>();
  if (v.is_number()) return v.get<double>() != 0;
  if (v.is_string()) return !v.get_ref<const std::string&>().empty();
  return v.is_structured() && !v.empty();
}

/// About how many bytes a value takes, and a copy of it too. Errors: values in values more than 100 deep.
inline std::size_t jinja_size(const JinjaValue& v, int deep = 0) {
  check(deep <= 100, "puts values into values more than 100 deep");
  if (v.is_string()) return v.get_ref<const std::string&>().size() + sizeof v;
  std::size_t size = sizeof v;
  if (v.is_structured())
    for (const JinjaValue& each : v) size += jinja_size(each, deep + 1);
  return size;
}

/// As Python's str() and, within lists, repr().
inline std::string jinja_text(const JinjaValue& v, bool within = false) {
  if (v.is_discarded()) return "";
  if (v.is_null()) return "None";
  if (v.is_boolean()) return v.get<bool>() ? "True" : "False";
  if (v.is_string()) return within ? "'" + v.get<std::string>() + "'" : v.get<std::string>();
  if (!v.is_structured()) return v.dump();
  std::string text = v.is_array() ? "[" : "{";
  for (const auto& [key, value] : v.items())
    text += (text.size() > 1 ? ", " : "") + (v.is_array() ? "" : "'" + key + "': ") + jinja_text(value, true);
  return text + (v.is_array() ? "]" : "}");
}

/// As Python's json.dumps: a blank behind each comma and colon.
inline std::string jinja_json(const JinjaValue& v, int indent) {
  const auto replace = JinjaValue::error_handler_t::replace;
  if (indent >= 0 || !v.is_structured()) return v.dump(indent, ' ', false, replace);
  std::string text = v.is_array() ? "[" : "{";
  for (const auto& [key, value] : v.items())
    text += (text.size() > 1 ? ", " : "") + (v.is_array() ? "" : JinjaValue(key).dump(-1, ' ', false, replace) + ": ") +
            jinja_json(value, indent);
  return text + (v.is_array() ? "]" : "}");
}

/// The characters of a text, each as a text.
inline std::vector<std::string> characters(std::string_view text) {
  std::vector<std::string> all;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t bytes = utf8_front(text.substr(at)).bytes;
    all.emplace_back(text.substr(at, bytes)), at += bytes;
  }
  return all;
}

/// What a loop goes through: values, a dictionary's keys, a text's characters, nothing for what is undefined.
inline std::vector<JinjaValue> jinja_items(const JinjaValue& v) {
  std::vector<JinjaValue> items;
  if (v.is_array()) items.assign(v.begin(), v.end());
  if (v.is_object())
    for (const auto& [key, value] : v.items()) items.emplace_back(key);
  if (v.is_string())
    for (const std::string& c : characters(v.get_ref<const std::string&>())) items.emplace_back(c);
  check(v.is_structured() || v.is_string() || v.is_discarded(), "goes through '", jinja_text(v),
        "', which is no list, dictionary or text");
  return items;
}

/// str.strip and its like. Without `set` white space is meant: Unicode's, and Python's four separators.
inline std::string stripped(std::string_view text, bool left, bool right, const std::string* set = nullptr) {
  std::vector<std::string> all = characters(text);
  const auto goes = [&](const std::string& c) {
    if (set) return set->find(c) != std::string::npos;
    const char32_t point = utf8_front(c).code_point;
    return is_white_space(point) || (point >= 0x1C && point <= 0x1F);
  };
  std::size_t begin = 0, end = all.size();
  while (left && begin < end && goes(all[begin])) ++begin;
  while (right && end > begin && goes(all[end - 1])) --end;
  std::string out;
  for (std::size_t i = begin; i < end; ++i) out += all[i];
  return out;
}

inline std::string replaced(const std::string& text, const std::string& from, const std::string& to) {
  check(!from.empty(), "replaces an empty text, which is not supported");
  std::string out;
  std::size_t done = 0;
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, done)) {
    (out += text.substr(done, at - done)) += to;
    done = at + from.size();
    check(out.size() <= 1u << 24, "makes a text of more than 16 MiB");
  }
  return out + text.substr(done);
}

/// At most `most` cuts; from the left, or from the right.
inline JinjaValue split_text(std::string_view text, const std::string& separator, long most, bool from_right) {
  check(!separator.empty(), "splits a text at nothing");
  std::vector<std::string> parts;
  while (most-- != 0) {
    const std::size_t at = from_right ? text.rfind(separator) : text.find(separator);
    if (at == std::string_view::npos) break;
    const std::size_t behind = at + separator.size();
    parts.emplace_back(from_right ? text.substr(behind) : text.substr(0, at));
    text = from_right ? text.substr(0, at) : text.substr(behind);
  }
  parts.emplace_back(text);
  if (from_right) std::ranges::reverse(parts);
  return parts;
}

inline JinjaValue split_at_white_space(std::string_view text) {
  JinjaValue parts = JinjaValue::array();
  for (std::string rest = stripped(text, true, true); !rest.empty();) {
    std::size_t end = 0;
    while (end < rest.size() && !is_white_space(utf8_front(std::string_view(rest).substr(end)).code_point))
      end += utf8_front(std::string_view(rest).substr(end)).bytes;
    parts.push_back(rest.substr(0, end));
    rest = stripped(std::string_view(rest).substr(end), true, false);
  }
  return parts;
}

/// Letters of ASCII alone; others stay as they are.
inline std::string with_case(std::string text, bool upper) {
  for (char& c : text)
    if (upper ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z') c = static_cast<char>(c ^ 0x20);
  return text;
}

inline std::int64_t jinja_integer(const JinjaValue& v, const char* what) {
  constexpr std::int64_t most = std::int64_t(1) << 53;  // sums of two do not overflow
  check(v.is_number_integer() && v.get<std::int64_t>() <= most && v.get<std::int64_t>() >= -most, what,
        " must be a whole number below 2^53, but is '", jinja_text(v), "'");
  return v.get<std::int64_t>();
}

/// Python's v[begin:end:step] of lists and texts.
inline JinjaValue jinja_slice(const JinjaValue& v, const JinjaValue& begin, const JinjaValue& end,
                              const JinjaValue& step) {
  check(v.is_array() || v.is_string(), "cuts a piece out of '", jinja_text(v), "', which is no list and no text");
  const std::vector<JinjaValue> all = jinja_items(v);
  const std::int64_t size = std::int64_t(all.size()), by = step.is_null() ? 1 : jinja_integer(step, "a step");
  check(by != 0, "cuts in steps of 0");
  const auto place = [&](const JinjaValue& given, std::int64_t otherwise) {
    if (given.is_null()) return otherwise;
    std::int64_t at = jinja_integer(given, "a place");
    if (at < 0) at += size;
    return by > 0 ? std::clamp<std::int64_t>(at, 0, size) : std::clamp<std::int64_t>(at, -1, size - 1);
  };
  JinjaValue list = JinjaValue::array();
  const std::int64_t last = place(end, by > 0 ? size : -1);
  for (std::int64_t i = place(begin, by > 0 ? 0 : size - 1); by > 0 ? i < last : i > last; i += by)
    list.push_back(all[std::size_t(i)]);
  if (v.is_array()) return list;
  std::string text;
  for (const JinjaValue& c : list) text += c.get_ref<const std::string&>();
  return text;
}

/// v[key] and v.key. Nothing there: undefined.
inline JinjaValue jinja_item(const JinjaValue& v, const JinjaValue& key) {
  check(!v.is_discarded(), "asks what is undefined for '", jinja_text(key), "'");
  if (v.is_object() && key.is_string()) {
    const auto found = v.find(key.get_ref<const std::string&>());
    return found == v.end() ? jinja_undefined() : *found;
  }
  if ((v.is_array() || v.is_string()) && key.is_number_integer()) {
    const std::int64_t given = jinja_integer(key, "a place");
    const auto one = [&](const auto& all) {
      const std::int64_t at = given < 0 ? given + std::int64_t(all.size()) : given;
      return at < 0 || at >= std::int64_t(all.size()) ? jinja_undefined() : JinjaValue(all[std::size_t(at)]);
    };
    return v.is_array() ? one(v) : one(characters(v.get_ref<const std::string&>()));
  }
  return jinja_undefined();
}

inline bool jinja_equal(const JinjaValue& a, const JinjaValue& b) {
  if (a.is_discarded() || b.is_discarded()) return a.is_discarded() && b.is_discarded();
  return a == b;
}

inline bool jinja_contains(const JinjaValue& all, const JinjaValue& part) {
  if (all.is_string())
    return part.is_string() &&
           all.get_ref<const std::string&>().find(part.get_ref<const std::string&>()) != std::string::npos;
  if (all.is_object()) return part.is_string() && all.contains(part.get_ref<const std::string&>());
  if (all.is_discarded()) return false;
  check(all.is_array(), "looks for something in '", jinja_text(all), "', which holds nothing");
  return std::ranges::any_of(all, [&](const JinjaValue& each) { return jinja_equal(each, part); });
}

inline JinjaValue jinja_calculate(const std::string& sign, const JinjaValue& a, const JinjaValue& b) {
  if (sign == "~" || (sign == "+" && a.is_string() && b.is_string())) {
    std::string text = jinja_text(a) + jinja_text(b);
    check(text.size() <= 1u << 24, "makes a text of more than 16 MiB");
    return text;
  }
  if (sign == "+" && a.is_array() && b.is_array()) {
    JinjaValue both = a;
    both.insert(both.end(), b.begin(), b.end());
    return both;
  }
  const auto shown = [](const JinjaValue& v) { return v.is_discarded() ? "what is undefined" : jinja_text(v, true); };
  check(a.is_number() && b.is_number(), "calculates ", shown(a), " ", sign, " ", shown(b), ", which has no meaning");
  const double x = a.get<double>(), y = b.get<double>();
  check(y != 0 || (sign != "/" && sign != "//" && sign != "%"), "divides by 0");
  if (sign == "/") return x / y;
  const double result = sign == "+"    ? x + y
                        : sign == "-"  ? x - y
                        : sign == "*"  ? x * y
                        : sign == "**" ? std::pow(x, y)
                        : sign == "//" ? std::floor(x / y)
                                       : x - y * std::floor(x / y);
  if (a.is_number_integer() && b.is_number_integer() && std::abs(result) < 0x1p53 && result == std::floor(result))
    return std::int64_t(result);
  return result;
}

}  // namespace kvcache::detail
