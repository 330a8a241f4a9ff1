// The methods, filters and tests of Jinja that chat templates use. Others are refused by name.
#pragma once

#include <cstdlib>
#include <ctime>
#include <map>
#include <string>
#include <vector>

#include "kvcache/io/jinja_values.hpp"

namespace kvcache::detail {

/// What stands in the brackets of a call.
struct JinjaArguments {
  std::vector<JinjaValue> places;
  std::map<std::string, JinjaValue> names;

  bool has(std::size_t place) const { return place < places.size(); }
  JinjaValue get(std::size_t place, const char* name, JinjaValue otherwise = nullptr) const {
    if (has(place)) return places[place];
    const auto found = names.find(name);
    return found == names.end() ? otherwise : found->second;
  }
  std::string text(std::size_t place, const char* name) const {
    const JinjaValue value = get(place, name);
    check(value.is_string(), "needs a text in a call, but '", jinja_text(value), "' is given");
    return value.get<std::string>();
  }
};

inline JinjaValue pairs_of(const JinjaValue& object) {
  check(object.is_object(), "asks '", jinja_text(object), "', which is no dictionary, for its items");
  JinjaValue pairs = JinjaValue::array();
  for (const auto& [key, value] : object.items()) pairs.push_back(JinjaValue::array({key, value}));
  return pairs;
}

inline JinjaValue jinja_method(const JinjaValue& v, const std::string& name, const JinjaArguments& given) {
  if (v.is_string()) {
    const auto& text = v.get_ref<const std::string&>();
    if (name == "strip" || name == "lstrip" || name == "rstrip") {
      const std::string set = given.has(0) ? given.text(0, "chars") : "";
      return stripped(text, name != "rstrip", name != "lstrip", given.has(0) ? &set : nullptr);
    }
    if (name == "split" || name == "rsplit") {
      if (!given.has(0)) return split_at_white_space(text);
      const JinjaValue most = given.get(1, "maxsplit", -1);
      return split_text(text, given.text(0, "sep"), long(jinja_integer(most, "'maxsplit'")), name == "rsplit");
    }
    if (name == "startswith" || name == "endswith") {
      const JinjaValue wanted = given.get(0, "prefix");
      for (const JinjaValue& each : wanted.is_array() ? wanted : JinjaValue::array({wanted}))
        if (each.is_string() && (name == "startswith" ? text.starts_with(each.get_ref<const std::string&>())
                                                      : text.ends_with(each.get_ref<const std::string&>())))
          return true;
      return false;
    }
    if (name == "upper" || name == "lower") return with_case(text, name == "upper");
    if (name == "capitalize")
      return with_case(text.substr(0, 1), true) + with_case(text.substr(std::min<std::size_t>(1, text.size())), false);
    if (name == "replace") return replaced(text, given.text(0, "old"), given.text(1, "new"));
    if (name == "find") {
      const std::size_t at = text.find(given.text(0, "sub"));
      return at == std::string::npos ? std::int64_t(-1) : std::int64_t(characters(text.substr(0, at)).size());
    }
    if (name == "join") {
      std::string all;
      for (const JinjaValue& part : jinja_items(given.get(0, "iterable")))
        all += (all.empty() ? "" : text) + jinja_text(part);
      return all;
    }
  }
  if (v.is_object()) {
    if (name == "items") return pairs_of(v);
    if (name == "keys") return jinja_items(v);
    if (name == "get") return v.contains(given.text(0, "key")) ? v[given.text(0, "key")] : given.get(1, "default");
    if (name == "values") {
      JinjaValue values = JinjaValue::array();
      for (const auto& [key, value] : v.items()) values.push_back(value);
      return values;
    }
  }
  fail("calls '", name, "' of ", v.is_discarded() ? "what is undefined" : v.type_name(), ", which is not supported");
}

/// `v is name(argument)`.
inline bool jinja_test(const JinjaValue& v, const std::string& name, const JinjaArguments& given) {
  if (name == "defined") return !v.is_discarded();
  if (name == "undefined") return v.is_discarded();
  if (name == "none") return v.is_null();
  if (name == "string") return v.is_string();
  if (name == "mapping") return v.is_object();
  if (name == "iterable" || name == "sequence") return v.is_structured() || v.is_string();
  if (name == "number") return v.is_number();
  if (name == "integer") return v.is_number_integer();
  if (name == "float") return v.is_number_float();
  if (name == "boolean") return v.is_boolean();
  if (name == "true") return v.is_boolean() && v.get<bool>();
  if (name == "false") return v.is_boolean() && !v.get<bool>();
  if (name == "odd") return jinja_integer(v, "what may be odd") % 2 != 0;
  if (name == "even") return jinja_integer(v, "what may be even") % 2 == 0;
  if (name == "equalto" || name == "eq" || name == "sameas") return jinja_equal(v, given.get(0, "other"));
  if (name == "ne") return !jinja_equal(v, given.get(0, "other"));
  if (name == "in") return jinja_contains(given.get(0, "seq"), v);
  fail("uses the test '", name, "', which is not supported");
}

/// `v | name(arguments)`.
inline JinjaValue jinja_filter(const JinjaValue& v, const std::string& name, const JinjaArguments& given) {
  const auto attribute = [](JinjaValue from, const std::string& path) {
    for (const JinjaValue& key : split_text(path, ".", -1, false)) from = jinja_item(from, key);
    return from;
  };
  if (name == "default" || name == "d") {
    const bool also_false = is_true(given.get(1, "boolean", false));
    return v.is_discarded() || (also_false && !is_true(v)) ? given.get(0, "default_value", "") : v;
  }
  if (name == "trim") {
    const std::string set = given.has(0) ? given.text(0, "chars") : "";
    return stripped(jinja_text(v), true, true, given.has(0) ? &set : nullptr);
  }
  if (name == "length" || name == "count") return std::int64_t(jinja_items(v).size());
  if (name == "string" || name == "safe") return jinja_text(v);
  if (name == "upper" || name == "lower" || name == "capitalize" || name == "replace")
    return jinja_method(JinjaValue(jinja_text(v)), name, given);
  if (name == "items") return v.is_discarded() ? JinjaValue::array() : pairs_of(v);
  if (name == "list") return jinja_items(v);
  if (name == "first" || name == "last") {
    const auto items = jinja_items(v);
    return items.empty() ? jinja_undefined() : name == "first" ? items.front() : items.back();
  }
  if (name == "reverse") {
    auto items = jinja_items(v);
    std::ranges::reverse(items);
    return items;
  }
  if (name == "int" || name == "float" || name == "abs") {
    double number = v.is_number() ? v.get<double>() : 0;
    if (v.is_string()) number = std::strtod(v.get_ref<const std::string&>().c_str(), nullptr);
    if (name == "abs") number = std::abs(number);
    if (name == "float" || (name == "abs" && !v.is_number_integer())) return number;
    check(std::abs(number) < 0x1p53, "makes a whole number of ", number, ", which is too large");
    return std::int64_t(number);
  }
  if (name == "tojson") {
    const JinjaValue indent = given.get(0, "indent");
    if (indent.is_null()) return jinja_json(v, -1);
    return jinja_json(v, int(std::clamp<std::int64_t>(jinja_integer(indent, "'indent'"), 0, 16)));
  }
  if (name == "join") {
    const JinjaValue between = given.get(0, "d", ""), of = given.get(1, "attribute");
    std::string all;
    bool is_first = true;
    for (const JinjaValue& item : jinja_items(v)) {
      all += is_first ? "" : jinja_text(between);
      all += jinja_text(of.is_null() ? item : attribute(item, jinja_text(of))), is_first = false;
    }
    return all;
  }
  if (name == "map") {
    JinjaValue all = JinjaValue::array();
    const JinjaValue of = given.get(99, "attribute");
    JinjaArguments more = given;
    if (of.is_null() && given.has(0)) more.places.erase(more.places.begin());
    for (const JinjaValue& item : jinja_items(v))
      all.push_back(of.is_null() ? jinja_filter(item, given.text(0, "filter"), more) : attribute(item, jinja_text(of)));
    return all;
  }
  if (name == "select" || name == "reject" || name == "selectattr" || name == "rejectattr") {
    JinjaArguments more = given;
    const bool by_attribute = name.ends_with("attr");
    const std::string of = by_attribute ? given.text(0, "attribute") : "";
    if (by_attribute) more.places.erase(more.places.begin());
    const std::string test = more.has(0) ? more.text(0, "test") : "";
    if (more.has(0)) more.places.erase(more.places.begin());
    JinjaValue all = JinjaValue::array();
    for (const JinjaValue& item : jinja_items(v)) {
      const JinjaValue looked_at = by_attribute ? attribute(item, of) : item;
      if ((test.empty() ? is_true(looked_at) : jinja_test(looked_at, test, more)) == name.starts_with("select"))
        all.push_back(item);
    }
    return all;
  }
  fail("uses the filter '", name, "', which is not supported");
}

/// What a template may call by name, beside its own macros.
inline bool is_jinja_function(const std::string& name) {
  return name == "namespace" || name == "dict" || name == "range" || name == "raise_exception" ||
         name == "strftime_now";
}

inline JinjaValue jinja_function(const std::string& name, const JinjaArguments& given) {
  if (name == "namespace" || name == "dict") {
    JinjaValue all = given.has(0) ? given.places[0] : JinjaValue::object();
    check(all.is_object(), "makes a ", name, " of what is none");
    for (const auto& [key, value] : given.names) all[key] = value;
    return all;
  }
  if (name == "range") {
    const std::int64_t first = given.has(1) ? jinja_integer(given.places[0], "a range's begin") : 0,
                       last = jinja_integer(given.get(given.has(1) ? 1 : 0, "stop"), "a range's end"),
                       by = jinja_integer(given.get(2, "step", 1), "a range's step");
    JinjaValue all = JinjaValue::array();
    check(by != 0, "makes a range with steps of 0");
    for (std::int64_t i = first; by > 0 ? i < last : i > last; i += by) {
      all.push_back(i);
      check(all.size() <= 10'000, "makes a range of more than 10000 numbers");
    }
    return all;
  }
  if (name == "raise_exception") fail("refuses this conversation: ", jinja_text(given.get(0, "message", "")));
  if (name == "strftime_now") {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    localtime_r(&now, &parts);
    char text[256];
    const std::size_t size = std::strftime(text, sizeof text, given.text(0, "format").c_str(), &parts);
    return std::string(text, size);
  }
  fail("calls '", name, "', which is not supported");
}

}  // namespace kvcache::detail
