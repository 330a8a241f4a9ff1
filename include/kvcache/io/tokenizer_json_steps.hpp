// The parts of tokenizer.json around the model: how text is cut before it, and which tokens are set around it after.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "kvcache/core/check.hpp"
#include "kvcache/io/json_fields.hpp"
#include "kvcache/text/pattern.hpp"
#include "kvcache/text/tokenizer_data.hpp"

namespace kvcache::detail {

// In all of these `where` is the file and the part of it, for the sentences. Unknown types and behaviours are errors.

inline std::string type_of(const nlohmann::json& part, const std::string& where) {
  return get_field_as<std::string>(part, "type", where);
}
[[noreturn]] inline void unsupported(const std::string& where, const std::string& type, std::string_view supported) {
  fail(where, " is of type '", type, "', which is not supported; supported: ", supported);
}

inline SplitBehaviour read_behaviour(const nlohmann::json& step, const std::string& where) {
  const std::string behavior = get_field_as<std::string>(step, "behavior", where);
  if (behavior == "Isolated") return SplitBehaviour::isolated;
  if (behavior == "Removed") return SplitBehaviour::removed;
  if (behavior == "Contiguous") return SplitBehaviour::contiguous;
  if (behavior == "MergedWithPrevious") return SplitBehaviour::merged_with_previous;
  if (behavior == "MergedWithNext") return SplitBehaviour::merged_with_next;
  fail(where, " has the behavior '", behavior, "', which is not supported; supported: Isolated, Removed, Contiguous, ",
       "MergedWithPrevious, MergedWithNext");
}

inline void read_split(const nlohmann::json& step, const std::string& where, TokenizerData& data) {
  const SplitBehaviour behaviour = read_behaviour(step, where);
  const nlohmann::json& pattern = get_field(step, "pattern", where);
  const bool literal = find_field(pattern, "String", where + ": 'pattern'") != nullptr;
  const auto text = get_field_as<std::string>(pattern, literal ? "String" : "Regex", where + ": 'pattern'");
  check(!text.empty(), where, " has an empty pattern");
  data.steps.push_back({.pattern = literal ? quote_pattern(text) : text,
                        .behaviour = behaviour,
                        .invert = get_field_or(step, "invert", false, where)});
}

/// One pre-tokenizer, or a sequence of them. Returns whether the last was ByteLevel: behind it texts are in the byte
/// alphabet, so nothing may follow.
inline bool read_steps(const nlohmann::json& step, const std::string& where, TokenizerData& data) {
  const std::string type = type_of(step, where);
  if (type == "Sequence") {
    bool byte_level = false;
    for (const nlohmann::json& inner : json_array(get_field(step, "pretokenizers", where), where)) {
      check(!byte_level, where, ": '", type_of(inner, where),
            "' comes after ByteLevel, which is not supported: ", "ByteLevel must be the last");
      byte_level = read_steps(inner, where, data);
    }
    return byte_level;
  }
  if (type == "ByteLevel") {
    const bool gpt2 = get_field_or(step, "use_regex", true, where);
    data.steps.push_back(
        {.add_prefix_space = get_field_as<bool>(step, "add_prefix_space", where), .pattern = gpt2 ? gpt2_pattern : ""});
    return true;
  }
  if (type == "Digits") {
    const bool each = get_field_as<bool>(step, "individual_digits", where);
    data.steps.push_back({.pattern = each ? R"(\p{N})" : R"(\p{N}+)"});
  } else if (type == "Punctuation") {  // ASCII's signs and symbols, and Unicode's punctuation
    data.steps.push_back(
        {.pattern = R"([!-\/:-@\[-`{-~\p{P}])", .behaviour = read_behaviour(step, where + ": Punctuation")});
  } else if (type == "Split") {
    read_split(step, where + ": Split", data);
  } else {
    unsupported(where, type, "ByteLevel, Digits, Punctuation, Split, Sequence");
  }
  return false;
}

/// TemplateProcessing: special tokens before and after the text, which is called A. Templates for pairs do not matter.
inline void read_template(const nlohmann::json& post, const std::string& where, TokenizerData& data) {
  check(data.before.empty() && data.after.empty(), where, " comes twice, which is not supported");
  const nlohmann::json& specials = get_field(post, "special_tokens", where);
  constexpr std::size_t most_around = 1000;  // one list of ids may be named again and again: memory would be squared
  bool text_seen = false;
  for (const nlohmann::json& item : json_array(get_field(post, "single", where), where + ": 'single'")) {
    if (const nlohmann::json* sequence = find_field(item, "Sequence", where)) {
      check(!text_seen && get_field_as<std::string>(*sequence, "id", where) == "A", where,
            ": 'single' must have the text A once, and no other");
      text_seen = true;
      continue;
    }
    const auto name = get_field_as<std::string>(get_field(item, "SpecialToken", where), "id", where);
    const nlohmann::json& ids = get_field(get_field(specials, name, where), "ids", where);
    const std::string of_name = where + ": the id of '" + name + "'";  // once, not for each of many ids
    check(data.before.size() + data.after.size() + json_array(ids, where + ": 'ids'").size() <= most_around, where,
          " sets more than ", most_around, " tokens around a text, which is not supported");
    for (const nlohmann::json& id : ids) (text_seen ? data.after : data.before).push_back(json_as<int>(id, of_name));
  }
  check(text_seen, where, ": 'single' has no text A");
}

/// RobertaProcessing and BertProcessing: a token before every text and one after it, as ["<s>", 0].
inline void read_surrounding(const nlohmann::json& post, const std::string& where, TokenizerData& data) {
  check(data.before.empty() && data.after.empty(), where, " comes after another, which is not supported");
  const auto id_of = [&](const char* key) {
    const nlohmann::json& pair = json_array(get_field(post, key, where), where + ": '" + key + "'");
    check(pair.size() == 2, where, ": '", key, "' must be a token and its id");
    return json_as<int>(pair[1], where + ": the id of '" + key + "'");
  };
  data.before = {id_of("cls")}, data.after = {id_of("sep")};
}

inline void read_post_processor(const nlohmann::json& post, const std::string& where, TokenizerData& data) {
  const std::string type = type_of(post, where);
  if (type == "Sequence") {
    for (const nlohmann::json& inner : json_array(get_field(post, "processors", where), where))
      read_post_processor(inner, where, data);
  } else if (type == "TemplateProcessing") {
    read_template(post, where + ": TemplateProcessing", data);
  } else if (type == "RobertaProcessing" || type == "BertProcessing") {
    read_surrounding(post, where + ": " + type, data);
  } else if (type != "ByteLevel") {  // ByteLevel moves offsets only, never ids
    unsupported(where, type, "ByteLevel, TemplateProcessing, RobertaProcessing, BertProcessing, Sequence");
  }
}

/// ByteLevel, alone or in a sequence with what changes nothing behind it. Returns whether it was there.
inline bool read_decoder(const nlohmann::json& decoder, const std::string& where) {
  const std::string type = type_of(decoder, where);
  if (type == "Sequence") {
    bool byte_level = false;
    for (const nlohmann::json& inner : json_array(get_field(decoder, "decoders", where), where))
      byte_level = read_decoder(inner, where) || byte_level;
    return byte_level;
  }
  if (type != "ByteLevel" && type != "Fuse") unsupported(where, type, "ByteLevel, Fuse, Sequence");
  return type == "ByteLevel";
}

}  // namespace kvcache::detail
