// A Hugging Face folder: config.json, model.safetensors, tokenizer.json.
#pragma once

#include "kvcache/io/checkpoint.hpp"
#include "kvcache/io/config_json.hpp"
#include "kvcache/io/tokenizer_json.hpp"

namespace kvcache {

/// The model of a folder. Errors: those of read_config, Safetensors and read_weights.
template <class Scalar>
Model<Scalar> load_model(const std::filesystem::path& folder) {
  const ModelConfig config = read_config(folder / "config.json");
  return {config, read_weights<Scalar>(config, Safetensors(folder / "model.safetensors"))};
}

/// The tokenizer of a folder, checked against its model. Errors: those of load_tokenizer; ids that the model does not
/// have. (A model may have more tokens than its tokenizer: padding.)
inline Tokenizer load_tokenizer_of(const std::filesystem::path& folder, const ModelConfig& config) {
  Tokenizer tokenizer = load_tokenizer(folder / "tokenizer.json");
  check(tokenizer.vocab_size() <= config.vocab, (folder / "tokenizer.json").string(), ": ids go up to ",
        tokenizer.vocab_size() - 1, ", but config.json says the model has only ", config.vocab,
        " tokens; the two files belong to different models");
  return tokenizer;
}

}  // namespace kvcache
