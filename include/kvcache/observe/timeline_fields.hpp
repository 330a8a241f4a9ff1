// The words and counts of a timeline as JSON. Each struct lists its fields once, for writing and for reading: a field
// cannot be saved and forgotten when loading. What a value must be beyond its type is in timeline_checks.hpp.
#pragma once

#include <array>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "kvcache/io/json_fields.hpp"
#include "kvcache/observe/comparison.hpp"
#include "kvcache/observe/timeline.hpp"

namespace kvcache::detail {

/// Fields<T>::list(each, object) calls each(key, member) for every field of an object, const or not.
template <class T>
struct Fields;

template <>
struct Fields<ModelConfig> {
  static void list(auto&& each, auto& c) {
    each("family", c.family), each("layers", c.layers), each("hidden", c.hidden), each("q_heads", c.q_heads);
    each("kv_heads", c.kv_heads), each("head_dim", c.head_dim), each("ffn", c.ffn), each("vocab", c.vocab);
    each("max_positions", c.max_positions), each("norm", c.norm), each("norm_epsilon", c.norm_epsilon);
    each("activation", c.activation), each("position", c.position), each("rope_theta", c.rope_theta);
    each("rope_pairs", c.rope_pairs), each("rope_divisors", c.rope_divisors), each("qk_norm", c.qk_norm);
    each("qkv_bias", c.qkv_bias), each("attention_out_bias", c.attention_out_bias), each("ffn_bias", c.ffn_bias);
    each("tied_output", c.tied_output), each("end_tokens", c.end_tokens);
  }
};
template <>
struct Fields<TimelineAbout> {
  static void list(auto&& each, auto& a) {
    each("model", a.model), each("device", a.device), each("random_weights", a.random_weights),
        each("config", a.config), each("cache", a.cache);
    each("use_cache", a.use_cache), each("prompt", a.prompt), each("spelling", a.spelling), each("tokens", a.tokens);
    each("sampling", a.sampling), each("number_bytes", a.number_bytes);
  }
};
template <>
struct Fields<Work> {
  static void list(auto&& each, auto& w) {
    each("seconds", w.seconds), each("multiplications", w.multiplications);
    each("queries_computed", w.queries_computed), each("keys_computed", w.keys_computed);
    each("keys_reused", w.keys_reused), each("tokens_reused", w.tokens_reused);
  }
};
template <>
struct Fields<MemoryUse> {
  static void list(auto&& each, auto& m) {
    each("used_bytes", m.used_bytes), each("reserved_bytes", m.reserved_bytes);
    each("slow_bytes", m.slow_bytes), each("bookkeeping_bytes", m.bookkeeping_bytes),
        each("copied_bytes", m.copied_bytes);
  }
};
template <>
struct Fields<Candidate> {
  static void list(auto&& each, auto& c) { each("token", c.token), each("probability", c.probability); }
};
template <>
struct Fields<CacheEvent> {
  static void list(auto&& each, auto& e) {
    each("kind", e.kind), each("layer", e.layer), each("first_position", e.first_position), each("rows", e.rows);
    each("bytes", e.bytes), each("reason", e.reason), each("references", e.references);
    each("hits", e.hits), each("misses", e.misses);
  }
};
template <>
struct Fields<SlotRun> {
  static void list(auto&& each, auto& r) {
    each("first_slot", r.first_slot), each("first_position", r.first_position), each("rows", r.rows);
    each("position_gap", r.position_gap);
  }
};
template <>
struct Fields<StoragePiece> {
  static void list(auto&& each, auto& p) {
    each("kind", p.kind), each("first_slot", p.first_slot), each("slots", p.slots);
    each("page", p.page), each("references", p.references);
  }
};
template <>
struct Fields<LayerLayout> {
  static void list(auto&& each, auto& l) { each("slots", l.slots), each("runs", l.runs), each("pieces", l.pieces); }
};
template <>
struct Fields<RewrittenRows> {
  static void list(auto&& each, auto& r) {
    each("layer", r.layer), each("first_position", r.first_position), each("rows", r.rows);
  }
};
template <>
struct Fields<CodeFormat> {
  static void list(auto&& each, auto& f) { each("name", f.name), each("share", f.share); }
};
template <>
struct Fields<CodedRows> {
  static void list(auto&& each, auto& r) {
    each("layer", r.layer), each("first_position", r.first_position), each("rows", r.rows);
    each("keys", r.keys), each("values", r.values);
  }
};
template <>
struct Fields<StepRecord> {  // but keys, values and traces: those are tensors
  static void list(auto&& each, auto& s) {
    each("index", s.index), each("token", s.token), each("tokens_fed", s.tokens_fed);
    each("tokens_reused", s.tokens_reused), each("seconds", s.seconds), each("work", s.work), each("memory", s.memory);
    each("candidates", s.candidates), each("events", s.events), each("layouts", s.layouts);
    each("first_position", s.first_position), each("rows", s.rows), each("spelling", s.spelling);
    each("rewritten", s.rewritten), each("coded", s.codes.runs);
  }
};
template <>
struct Fields<ComparedStep> {
  static void list(auto&& each, auto& s) {
    each("repeat", s.repeat), each("step", s.step), each("with", s.with), each("without", s.without);
    each("logit_difference", s.logit_difference), each("token_with", s.token_with);
    each("token_without", s.token_without);
  }
};

template <class T>
concept HasFields = requires(T& object) {
  Fields<T>::list([](const char*, auto&) {}, object);
};

/// What the file calls the values of an enumeration, in their order.
inline constexpr std::array<const char*, 2> names_of(NormKind) { return {"layer_norm", "rms_norm"}; }
inline constexpr std::array<const char*, 2> names_of(ActivationKind) { return {"gelu_tanh", "silu_gated"}; }
inline constexpr std::array<const char*, 2> names_of(PositionKind) { return {"learned", "rope"}; }
inline constexpr std::array<const char*, 2> names_of(RopePairs) { return {"half_split", "interleaved"}; }
inline constexpr std::array<const char*, 7> names_of(CacheEvent::Kind) {
  return {"moved", "forgotten", "cleared", "shared", "copied", "packed", "fetched"};
}
inline constexpr std::array<const char*, 5> names_of(StoragePiece::Kind) {
  return {"sinks", "page", "in_file", "packed", "in_host"};
}
inline constexpr std::array<const char*, stage_count> names_of(Stage) {
  return {"normalised", "projected", "attended", "after_attention", "after_feed_forward"};
}

using Spelling = std::map<int, std::string>;  // bytes of a token, which may be a part of a character: so in hex
template <class Number>
using ByPart = std::array<Number, part_count>;
template <class T>
inline constexpr bool is_by_part = std::same_as<T, ByPart<double>> || std::same_as<T, ByPart<std::int64_t>>;
template <class T>
struct ElementOf {};
template <class T>
struct ElementOf<std::vector<T>> {
  using Type = T;
};

inline std::string to_hex(std::string_view bytes) {
  std::string hex;
  for (const char byte : bytes) hex += "0123456789abcdef"[(byte >> 4) & 15], hex += "0123456789abcdef"[byte & 15];
  return hex;
}
inline std::string from_hex(std::string_view hex, const std::string& where) {
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    unsigned char byte = 0;
    const char *first = hex.data() + i, *last = first + std::min<std::size_t>(2, hex.size() - i);
    check(std::from_chars(first, last, byte, 16).ptr == first + 2, where, " is \"", hex.substr(0, 40),
          "\"; it must be bytes as pairs of hexadecimal digits");
    bytes += char(byte);
  }
  return bytes;
}

/// Errors: a number that is infinite or none, for JSON has no word for it.
template <class T>
nlohmann::json json_from(const T& value) {
  if constexpr (HasFields<T>) {
    nlohmann::json object = nlohmann::json::object();
    Fields<T>::list([&](const char* key, const auto& field) { object[key] = json_from(field); }, value);
    return object;
  } else if constexpr (std::is_enum_v<T>) {
    return names_of(value).at(std::size_t(value));
  } else if constexpr (std::same_as<T, Spelling>) {
    nlohmann::json object = nlohmann::json::object();
    for (const auto& [token, bytes] : value) object[std::to_string(token)] = to_hex(bytes);
    return object;
  } else if constexpr (is_by_part<T>) {
    nlohmann::json object = nlohmann::json::object();
    for (const Part part : all_parts) object[name(part)] = json_from(value[std::size_t(part)]);
    return object;
  } else if constexpr (requires { typename ElementOf<T>::Type; }) {
    nlohmann::json array = nlohmann::json::array();
    for (const auto& element : value) array.push_back(json_from(element));
    return array;
  } else {
    if constexpr (std::floating_point<T>)
      check(std::isfinite(value), "a timeline holds the number ", value, "; only finite ones can be saved");
    return value;
  }
}

template <class T>
T value_from(const nlohmann::json& json, const std::string& where);

template <class Enum>
Enum enum_from(const nlohmann::json& json, const std::string& where) {
  const auto given = json_as<std::string>(json, where);
  std::string known;
  constexpr auto names = names_of(Enum{});
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (given == names[i]) return Enum(i);
    known += std::string(i ? ", " : "") + names[i];
  }
  fail(where, " is \"", given.substr(0, 40), "\"; it must be one of ", known);
}
inline Spelling spelling_from(const nlohmann::json& json, const std::string& where) {
  Spelling spelling;
  for (const auto& [key, bytes] : json_object(json, where).items()) {
    int token = -1;
    const char *first = key.data(), *last = first + key.size();
    const auto read = std::from_chars(first, last, token);
    check(read.ec == std::errc() && read.ptr == last, where, " has \"", key.substr(0, 40), "\", which is no token id");
    spelling[token] = from_hex(json_as<std::string>(bytes, where + ": " + key), where + ": " + key);
  }
  return spelling;
}

/// `where` names the value in the sentence. Errors: a field that is missing or of another type; a number that does not
/// fit; a name that is not known.
template <class T>
T value_from(const nlohmann::json& json, const std::string& where) {
  if constexpr (std::is_enum_v<T>) {
    return enum_from<T>(json, where);
  } else if constexpr (std::same_as<T, Spelling>) {
    return spelling_from(json, where);
  } else if constexpr (HasFields<T> || is_by_part<T>) {
    T object{};
    const auto read = [&](const char* key, auto& field) {
      field = value_from<std::remove_cvref_t<decltype(field)>>(get_field(json, key, where), where + ": '" + key + "'");
    };
    if constexpr (HasFields<T>)
      Fields<T>::list(read, object);
    else
      for (const Part part : all_parts) read(name(part), object[std::size_t(part)]);
    return object;
  } else if constexpr (requires { typename ElementOf<T>::Type; }) {
    T array;
    for (const auto& element : json_array(json, where))
      array.push_back(
          value_from<typename ElementOf<T>::Type>(element, where + "[" + std::to_string(array.size()) + "]"));
    return array;
  } else {
    return json_as<T>(json, where);
  }
}

}  // namespace kvcache::detail
