// Which model a program works with: a folder, a GGUF file, one of either by name, or random weights of a named shape.
#pragma once

#include <fmt/core.h>

#include <memory>
#include <optional>

#include "common/caches.hpp"
#include "common/printable.hpp"
#include "kvcache/io.hpp"
#include "kvcache/kvcache.hpp"

namespace kvcache {

inline constexpr std::string_view shape_prefix = "shape:";

/// What is known of a model before its weights are read.
struct ModelChoice {
  std::string name;  // as given
  ModelConfig config;
  std::shared_ptr<const Checkpoint> files;  // null: a shape, with random weights and no tokenizer

  bool is_shape() const { return files == nullptr; }
  std::string described() const {
    return fmt::format("{} ({} layers, {} wide, {} query and {} kv heads of {}{})", printable(name), config.layers,
                       config.hidden, config.q_heads, config.kv_heads, config.head_dim,
                       is_shape() ? "; RANDOM weights" : "");
  }
};

/// Errors: no such model or shape; a model that cannot be used.
inline ModelChoice choose_model(const std::string& name) {
  if (name.starts_with(shape_prefix)) return {name, config_of_shape(name.substr(shape_prefix.size())), {}};
  const auto files = std::make_shared<const Checkpoint>(find_model(name));
  return {name, files->config(), files};
}

template <class Scalar>
Model<Scalar> load(const ModelChoice& choice, std::uint64_t seed, WeightsAs as = WeightsAs::packed) {
  return choice.is_shape() ? random_model<Scalar>(choice.config, seed) : choice.files->model<Scalar>(as);
}

inline std::optional<Tokenizer> load_tokenizer(const ModelChoice& choice) {
  if (choice.is_shape()) return {};
  return choice.files->tokenizer();
}

/// Errors: a token of the tokenizer that the model does not have, such as an added one that it was never trained with.
inline void check_ids(const std::vector<int>& ids, const ModelChoice& choice, const Tokenizer& tokenizer) {
  for (const int id : ids)
    check(id < choice.config.vocab, "the text holds '", tokenizer.bytes_of(id), "', which is token ", id,
          " of the tokenizer, but the model has only ", choice.config.vocab, " tokens; leave it out");
}

/// The ids a run starts from. With `count` given, exactly so many: the prompt's, repeated as often as needed; for a
/// shape, which has no tokenizer, drawn from the seed.
inline std::vector<int> prompt_ids(const ModelChoice& choice, const std::optional<Tokenizer>& tokenizer,
                                   const std::string& prompt, int count, std::uint64_t seed) {
  std::vector<int> ids;
  if (tokenizer) {
    const std::vector<int> text = tokenizer->encode(prompt);
    check(!text.empty(), "the prompt is empty; give some text with --prompt");
    check_ids(text, choice, *tokenizer);
    if (count == 0) return text;
    while (int(ids.size()) < count) ids.push_back(text[ids.size() % text.size()]);
  } else {
    Random random(seed);
    while (int(ids.size()) < count) ids.push_back(random.below(choice.config.vocab));
  }
  return ids;
}

}  // namespace kvcache
