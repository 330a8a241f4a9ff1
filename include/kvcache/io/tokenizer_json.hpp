// Reads Hugging Face's tokenizer.json, and refuses by name what it would get wrong.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "kvcache/core/check.hpp"
#include "kvcache/io/json_fields.hpp"
#include "kvcache/io/json_file.hpp"
#include "kvcache/io/tokenizer_json_steps.hpp"
#include "kvcache/text/byte_alphabet.hpp"
#include "kvcache/text/tokenizer_data.hpp"

namespace kvcache {
namespace detail {

inline void refuse_unless_null(const nlohmann::json& part, const std::string& where,
                               std::initializer_list<const char*> keys) {
  for (const char* key : keys)
    if (const nlohmann::json* value = find_field(part, key, where))
      fail(where, " has a '", key, "'",
           value->is_object() ? " of type '" + get_field_or<std::string>(*value, "type", "?", where) + "'" : "",
           ", which is not supported; only null is");
}

inline void read_merge(const nlohmann::json& merge, const std::string& where, std::size_t number, TokenizerData& data) {
  const auto bad = [&] {
    fail(where, ": merge ", number, " must be two tokens, \"a b\" or [\"a\", \"b\"], but is ",
         merge.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));  // merges.txt may be no UTF-8
  };
  if (merge.is_string()) {  // files before tokenizers 0.20
    const auto line = merge.get<std::string>();
    if (line.starts_with("#version")) return;  // the first line of a merges.txt
    const std::size_t space = line.find(' ');
    if (space == std::string::npos || line.find(' ', space + 1) != std::string::npos) bad();
    data.merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  } else {
    if (!merge.is_array() || merge.size() != 2 || !merge[0].is_string() || !merge[1].is_string()) bad();
    data.merges.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
  }
}

inline void read_bpe_model(const nlohmann::json& model, const std::string& where, TokenizerData& data) {
  if (const auto type = get_field_or<std::string>(model, "type", "BPE", where); type != "BPE")
    unsupported(where, type, "BPE");
  if (get_field_or<double>(model, "dropout", 0, where) != 0) refuse_unless_null(model, where, {"dropout"});
  if (find_field(model, "unk_token", where)) data.unknown = get_field_as<std::string>(model, "unk_token", where);
  data.fuse_unknown = get_field_or(model, "fuse_unk", false, where);
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"})  // empty is as good as null
    if (!get_field_or<std::string>(model, key, "", where).empty()) refuse_unless_null(model, where, {key});
  data.ignore_merges = get_field_or(model, "ignore_merges", false, where);
  for (const auto& [token, id] : json_object(get_field(model, "vocab", where), where + ": 'vocab'").items())
    data.vocab.emplace_back(token, json_as<int>(id, where + ": the id of the token '" + token + "'"));
  if (get_field_or(model, "byte_fallback", false, where)) {  // means nothing where every byte has a token
    const nlohmann::json& vocab = get_field(model, "vocab", where);
    for (int b = 0; b < 256; ++b)
      check(vocab.contains(to_byte_alphabet(std::string(1, static_cast<char>(b)))), where,
            " has 'byte_fallback', but no token for byte ", b,
            ", which is not supported: it belongs to SentencePiece's tokenizers");
  }
  const nlohmann::json& merges = json_array(get_field(model, "merges", where), where + ": 'merges'");
  for (std::size_t i = 0; i < merges.size(); ++i) read_merge(merges[i], where, i, data);
}

inline AddedToken read_added_token(const nlohmann::json& token, int id, const std::string& where) {
  AddedToken added{.id = id,
                   .content = get_field_as<std::string>(token, "content", where),
                   .lstrip = get_field_or(token, "lstrip", false, where),
                   .rstrip = get_field_or(token, "rstrip", false, where),
                   .normalized = get_field_or(token, "normalized", true, where)};
  check(!get_field_or(token, "single_word", false, where), where, ": '", added.content,
        "' has 'single_word', which is not supported");
  return added;
}

inline void read_added_tokens(const nlohmann::json& tokens, const std::string& where, TokenizerData& data) {
  for (const nlohmann::json& token : json_array(tokens, where))
    data.added_tokens.push_back(read_added_token(token, get_field_as<int>(token, "id", where), where));
}

/// Texts are to be read as they stand. A sequence of no normalizers is none.
inline void read_normalizer(const nlohmann::json& normalizer, const std::string& file) {
  const std::string type = get_field_or<std::string>(normalizer, "type", "?", file + ": normalizer");
  if (type == "Sequence") {
    for (const nlohmann::json& inner : json_array(get_field(normalizer, "normalizers", file), file + ": normalizers"))
      read_normalizer(inner, file);
    return;
  }
  fail(file, " has a 'normalizer' of type '", type,
       "', which is not supported; the same model as a GGUF file may work");
}

/// 'truncation' and 'padding' are not read: they are for batches, and transformers sets them anew for every text.
inline TokenizerData read_tokenizer_data(const nlohmann::json& root, const std::string& file) {
  TokenizerData data;
  const auto in = [&](const char* part) { return file + ": " + part; };
  if (const auto* normalizer = find_field(root, "normalizer", file)) read_normalizer(*normalizer, file);
  read_bpe_model(get_field(root, "model", file), in("model"), data);
  if (const auto* added = find_field(root, "added_tokens", file)) read_added_tokens(*added, in("added_tokens"), data);
  const auto* steps = find_field(root, "pre_tokenizer", file);
  check(steps && read_steps(*steps, in("pre_tokenizer"), data), file, " has no pre-tokenizer 'ByteLevel', so it is no ",
        "byte-level BPE tokenizer (SentencePiece's have none); only those are supported");
  if (const auto* post = find_field(root, "post_processor", file))
    read_post_processor(*post, in("post_processor"), data);
  check(read_decoder(get_field(root, "decoder", file), in("decoder")), in("decoder"), " is no 'ByteLevel'");
  return data;
}

}  // namespace detail

/// A byte-level BPE tokenizer in Hugging Face's tokenizer.json. Errors, with the file's path: what read_json finds, a
/// part of another type than expected, a part that is not supported.
inline TokenizerData read_tokenizer_json(const std::filesystem::path& path) {
  return detail::read_tokenizer_data(read_json(path), path.string());
}

}  // namespace kvcache
