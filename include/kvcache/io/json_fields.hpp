// Fields of a JSON object with the type one expects, or a sentence that says where and what came instead.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "kvcache/core/check.hpp"

namespace kvcache {

/// A JSON value as a bool, a whole number, a floating-point number or a std::string. `where` names it in the sentence,
/// with its file. Errors: a value of another type; a whole number that does not fit.
template <class T>
T json_as(const nlohmann::json& value, std::string_view where) {
  const auto wrong = [&](std::string_view wanted) {
    std::string shown =
        value.is_structured() ? "" : " (" + value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + ")";
    if (shown.size() > 60) shown = shown.substr(0, 56) + "...)";
    fail(where, " must be ", wanted, ", but is ", value.is_array() || value.is_object() ? "an " : "a ",
         value.type_name(), shown);
  };
  if constexpr (std::is_same_v<T, bool>) {
    if (!value.is_boolean()) wrong("true or false");
  } else if constexpr (std::is_integral_v<T>) {
    using Limits = std::numeric_limits<T>;
    if (!value.is_number_integer()) wrong("a whole number");
    const bool fits = value.is_number_unsigned() ? std::in_range<T>(value.get<std::uint64_t>())
                                                 : std::in_range<T>(value.get<std::int64_t>());
    check(fits, where, " is ", value.dump(), "; it must be ", std::int64_t(Limits::min()), " to ",
          std::uint64_t(Limits::max()));
  } else if constexpr (std::is_floating_point_v<T>) {
    if (!value.is_number()) wrong("a number");
  } else {
    static_assert(std::is_same_v<T, std::string>, "json_as: bool, a whole number, a floating-point number or string");
    if (!value.is_string()) wrong("a string");
  }
  return value.get<T>();
}

/// A token's id. Errors: another type; a number below 0, which no vocabulary has.
inline int json_token_id(const nlohmann::json& value, std::string_view where) {
  const int id = json_as<int>(value, where);
  check(id >= 0, where, " holds ", id, ", not a token id");
  return id;
}

/// Errors: a value that is not an object, or not an array.
inline const nlohmann::json& json_object(const nlohmann::json& value, std::string_view where) {
  check(value.is_object(), where, " must be an object, {...}, but is of type ", value.type_name());
  return value;
}
inline const nlohmann::json& json_array(const nlohmann::json& value, std::string_view where) {
  check(value.is_array(), where, " must be an array, [...], but is of type ", value.type_name());
  return value;
}

/// The field of an object; nullptr where it is absent or null. Errors: `object` is none.
inline const nlohmann::json* find_field(const nlohmann::json& object, const std::string& key, std::string_view where) {
  json_object(object, where);
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

/// The field of an object. Errors: it is absent or null.
inline const nlohmann::json& get_field(const nlohmann::json& object, const std::string& key, std::string_view where) {
  const nlohmann::json* field = find_field(object, key, where);
  check(field != nullptr, where, " has no '", key, "'");
  return *field;
}

/// The field with its type checked, as json_as does.
template <class T>
T get_field_as(const nlohmann::json& object, const std::string& key, std::string_view where) {
  return json_as<T>(get_field(object, key, where), std::string(where) + ": '" + key + "'");
}

/// The same, and `fallback` where the field is absent or null.
template <class T>
T get_field_or(const nlohmann::json& object, const std::string& key, T fallback, std::string_view where) {
  const nlohmann::json* field = find_field(object, key, where);
  return field ? json_as<T>(*field, std::string(where) + ": '" + key + "'") : fallback;
}

}  // namespace kvcache
