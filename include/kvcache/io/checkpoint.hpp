// A model on disk, opened: a Hugging Face folder or a GGUF file. Opening reads what the model is; its weights stay in
// the mapped files until they are used.
#pragma once

#include <memory>
#include <mutex>

#include "kvcache/io/config_json.hpp"
#include "kvcache/io/gguf_config.hpp"
#include "kvcache/io/gguf_tokenizer.hpp"
#include "kvcache/io/make_tokenizer.hpp"
#include "kvcache/io/safetensors_folder.hpp"
#include "kvcache/io/vocab_and_merges.hpp"
#include "kvcache/text/chat.hpp"

namespace kvcache {

class Checkpoint {
 public:
  /// A folder with config.json, or a GGUF file. Errors: those of read_config and Gguf.
  explicit Checkpoint(const std::filesystem::path& path) : path_(path) {
    std::error_code ignored;  // what cannot be looked at is no folder, and opening it says why
    if (std::filesystem::is_directory(path, ignored)) {
      config_ = read_config(path / "config.json");
      names_ = config_.family == "gpt2" ? hugging_face_gpt2_names() : hugging_face_llama_names();
    } else {
      gguf_ = std::make_shared<Gguf>(path);
      config_ = read_gguf_config(*gguf_);
      names_ = gguf_names(config_);
    }
  }

  const std::filesystem::path& path() const { return path_; }
  const ModelConfig& config() const { return config_; }
  /// Opened when they are first asked for: a folder may have a tokenizer alone. Errors: those of open_safetensors.
  const TensorFiles& tensors() const {
    std::call_once(opened_->once, [&] {
      opened_->files = is_gguf() ? TensorFiles{gguf_->path(), gguf_->tensors(), gguf_} : open_safetensors(path_);
    });
    return opened_->files;
  }
  bool is_gguf() const { return gguf_ != nullptr; }

  /// Its weights keep the files mapped. Errors: those of read_weights.
  template <class Scalar>
  Model<Scalar> model(WeightsAs as = WeightsAs::packed) const {
    return {config_, read_weights<Scalar>(config_, tensors(), names_, as)};
  }

  /// From tokenizer.json, from vocab.json and merges.txt, or from a GGUF file's metadata. Errors: none of them; a kind
  /// that is not supported; what is wrong in the data; ids that the model does not have. (A model may have more tokens
  /// than its tokenizer: padding.)
  Tokenizer tokenizer() const {
    const std::string source = tokenizer_source().string();
    Tokenizer tokenizer = make_tokenizer(tokenizer_data(), source);
    check(tokenizer.vocab_size() <= config_.vocab, source, ": ids go up to ", tokenizer.vocab_size() - 1,
          ", but the model has only ", config_.vocab, " tokens; the two do not belong together");
    return tokenizer;
  }

  /// Where the model's makers say how a conversation is written, and in a way that is recognised.
  ChatFormat chat_format() const {
    if (is_gguf())
      return chat_format_of(get_field_or<std::string>(gguf_->metadata(), "tokenizer.chat_template", "", gguf_->path()));
    const auto beside = path_ / "chat_template.jinja", config = path_ / "tokenizer_config.json";
    if (std::filesystem::exists(beside)) {
      const MappedFile file(beside);
      return chat_format_of({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()});
    }
    if (!std::filesystem::exists(config)) return ChatFormat::none;
    const nlohmann::json json = read_json(config);
    const nlohmann::json* text = find_field(json, "chat_template", config.string());  // or a list of several
    return text ? chat_format_of(text->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace))
                : ChatFormat::none;
  }

 private:
  std::filesystem::path tokenizer_source() const {
    if (is_gguf()) return path_;
    const bool old =
        !std::filesystem::exists(path_ / "tokenizer.json") && std::filesystem::exists(path_ / "vocab.json");
    return path_ / (old ? "vocab.json" : "tokenizer.json");
  }
  TokenizerData tokenizer_data() const {
    if (is_gguf()) return read_gguf_tokenizer(*gguf_);
    if (tokenizer_source().filename() == "vocab.json")
      return read_vocab_and_merges(path_ / "vocab.json", path_ / "merges.txt");
    return read_tokenizer_json(path_ / "tokenizer.json");
  }

  std::filesystem::path path_;
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
