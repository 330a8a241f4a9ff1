// A model on disk, opened: a Hugging Face folder or a GGUF file. Opening reads what the model is; its weights stay in
// the mapped files until they are used.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include "kvcache/io/chat_template.hpp"
#include "kvcache/io/config_json.hpp"
#include "kvcache/io/find_model.hpp"
#include "kvcache/io/folder_tokenizer.hpp"
#include "kvcache/io/gguf_config.hpp"
#include "kvcache/io/gguf_tokenizer.hpp"
#include "kvcache/io/make_tokenizer.hpp"
#include "kvcache/io/safetensors_folder.hpp"

namespace kvcache {

namespace detail {

/// One template, or a list of named ones, of which "default" is for conversations without tools.
inline std::string default_template(const nlohmann::json& said, const std::string& where) {
  if (!said.is_array()) return json_as<std::string>(said, where);
  for (const nlohmann::json& each : said)
    if (get_field_as<std::string>(each, "name", where) == "default")
      return get_field_as<std::string>(each, "template", where);
  fail(where, " is a list without one that is called 'default'");
}

/// Errors: weights in a format of another library's, which the names of their tensors would hide.
inline void check_not_quantised(const std::filesystem::path& config_path) {
  const nlohmann::json config = read_json(config_path);
  const std::string where = config_path.string() + ": 'quantization_config'";
  const nlohmann::json* how = find_field(config, "quantization_config", config_path.string());
  if (how == nullptr) return;
  fail(where, " says that the weights are quantised by '", get_field_or<std::string>(*how, "quant_method", "?", where),
       "', which is not supported; take the model as it was before that, or a GGUF file of it");
}

}  // namespace detail

class Checkpoint {
 public:
  /// A folder with config.json, a safetensors file in such a folder, or a GGUF file. Errors: those of read_config and
  /// Gguf.
  explicit Checkpoint(const std::filesystem::path& path) : path_(path) {
    std::error_code ignored;  // what cannot be looked at is no folder, and opening it says why
    const bool is_folder = std::filesystem::is_directory(path, ignored);
    if (is_folder || detail::model_file_at(path) == detail::ModelFile::safetensors) {
      folder_ = is_folder ? path : path.parent_path();
      config_ = read_config(folder_ / "config.json");
      read_generation_config(folder_, config_);
      names_ = config_.family == "gpt2" ? hugging_face_gpt2_names() : hugging_face_llama_names();
    } else {
      gguf_ = std::make_shared<Gguf>(path);
      config_ = read_gguf_config(*gguf_);
      names_ = gguf_names(config_);
    }
    std::erase_if(config_.end_tokens, [&](int id) { return id >= config_.vocab; });  // the model never writes these
  }

  const std::filesystem::path& path() const { return path_; }
  const ModelConfig& config() const { return config_; }
  /// Opened when they are first asked for: a folder may have a tokenizer alone. Errors: those of open_safetensors; a
  /// GGUF file that is one of several.
  const TensorFiles& tensors() const {
    std::call_once(opened_->once, [&] {
      if (is_gguf()) detail::check_split(*gguf_, /*first_may_pass*/ false);
      opened_->files = is_gguf()          ? TensorFiles{gguf_->path(), gguf_->tensors(), gguf_, gguf_->unread()}
                       : folder_ == path_ ? open_safetensors(folder_)
                                          : open_safetensors_files(path_);
    });
    return opened_->files;
  }
  /// Bytes of its weights as they lie in the files, whatever their formats. Errors: those of tensors().
  std::size_t weight_bytes() const {
    std::size_t sum = 0;
    for (const auto& [name, tensor] : tensors().tensors) sum += tensor.bytes.size();
    for (const auto& [name, tensor] : tensors().unread) sum += tensor.bytes;
    return sum;
  }
  bool is_gguf() const { return gguf_ != nullptr; }

  /// Its weights keep the files mapped. Errors: those of read_weights.
  template <class Scalar>
  Model<Scalar> model(WeightsAs as = WeightsAs::packed) const {
    if (!is_gguf()) detail::check_not_quantised(folder_ / "config.json");
    return {config_, read_weights<Scalar>(config_, tensors(), names_, as)};
  }

  /// From tokenizer.json, from vocab.json and merges.txt, or from a GGUF file's metadata. Errors: none of them; a kind
  /// that is not supported; what is wrong in the data; words that the model does not have. (A model may have more
  /// tokens than its tokenizer: padding. A tokenizer may have more added tokens: they cannot be read.)
  Tokenizer tokenizer() const {
    const std::string source = path_.string();
    const TokenizerData data = is_gguf() ? read_gguf_tokenizer(*gguf_) : read_folder_tokenizer(folder_);
    std::set<int> added;
    for (const AddedToken& token : data.added_tokens) added.insert(token.id);
    for (const auto& [token, id] : data.vocab)
      check(id < config_.vocab || added.contains(id), source, ": the tokenizer has the word '", token, "' with id ", id,
            ", but the model has only ", config_.vocab, " tokens; the two do not belong together");
    for (const auto* around : {&data.before, &data.after})
      for (const int id : *around)
        check(id < config_.vocab, source, ": the tokenizer puts token ", id,
              " around every text, but the model has only ", config_.vocab, " tokens; the two do not belong together");
    return make_tokenizer(data, source);
  }

  /// How the model's makers write a conversation; nothing where they do not say. Errors: files that are not as
  /// expected; what is no template.
  std::optional<ChatTemplate> chat_template() const {
    return is_gguf() ? gguf_chat_template() : folder_chat_template();
  }

 private:
  std::optional<ChatTemplate> gguf_chat_template() const {
    const nlohmann::json& said = gguf_->metadata();
    const std::string& path = gguf_->path();
    if (find_field(said, "tokenizer.chat_template", path) == nullptr) return {};
    nlohmann::ordered_json variables = nlohmann::ordered_json::object();
    const nlohmann::json* tokens = find_field(said, "tokenizer.ggml.tokens", path);
    for (const auto& [name, key] :
         {std::pair{"bos_token", "tokenizer.ggml.bos_token_id"}, std::pair{"eos_token", "tokenizer.ggml.eos_token_id"}})
      if (const nlohmann::json* id = find_field(said, key, path); id && tokens && tokens->is_array())
        if (const int at = json_token_id(*id, path + ": '" + key + "'"); std::size_t(at) < tokens->size())
          variables[name] = json_as<std::string>((*tokens)[std::size_t(at)], path + ": a token");
    return ChatTemplate(get_field_as<std::string>(said, "tokenizer.chat_template", path), std::move(variables),
                        path + ": the chat template");
  }

  std::optional<ChatTemplate> folder_chat_template() const {
    const std::filesystem::path beside = folder_ / "chat_template.jinja",
                                config_path = folder_ / "tokenizer_config.json";
    const nlohmann::json config = detail::read_json_if_there(config_path),
                         roles = detail::read_json_if_there(folder_ / "special_tokens_map.json");
    std::error_code ignored;
    const bool is_beside = std::filesystem::exists(beside, ignored);
    const std::string where = (is_beside ? beside : config_path).string() + ": the chat template";
    std::string text;
    if (is_beside) {
      const MappedFile file(beside);
      text.assign(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
    } else if (const nlohmann::json* said = find_field(config, "chat_template", config_path.string())) {
      text = detail::default_template(*said, where);
    } else {
      return {};
    }
    nlohmann::ordered_json variables = nlohmann::ordered_json::object();
    for (const char* role :
         {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"})
      for (const nlohmann::json* json : {&roles, &config})  // the latter counts
        if (const auto token = detail::special_token_text(*json, role, config_path.string())) variables[role] = *token;
    if (!variables.contains("bos_token") && text.find("bos_token") != text.npos) {  // what every text begins with
      const Tokenizer known = tokenizer();
      if (!known.before().empty()) variables["bos_token"] = known.decode(known.before());
    }
    return ChatTemplate(text, std::move(variables), where);
  }

  std::filesystem::path path_, folder_;
  ModelConfig config_;
  TensorNames names_;
  std::shared_ptr<const Gguf> gguf_;
  struct Opened {
    std::once_flag once;
    TensorFiles files;
  };
  std::shared_ptr<Opened> opened_ = std::make_shared<Opened>();  // copies of a checkpoint share it
};

/// The model of a folder or a GGUF file.
template <class Scalar>
Model<Scalar> load_model(const std::filesystem::path& path, WeightsAs as = WeightsAs::packed) {
  return Checkpoint(path).model<Scalar>(as);
}
/// Its tokenizer.
inline Tokenizer load_tokenizer(const std::filesystem::path& path) { return Checkpoint(path).tokenizer(); }

}  // namespace kvcache
