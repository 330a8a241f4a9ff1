// Which model a program works with: a folder, an embedded model by name, or random weights of a named shape.
#pragma once

#include <fmt/core.h>

#include <optional>

#include "kvcache/io.hpp"
#include "kvcache/kvcache.hpp"

namespace kvcache {

inline constexpr std::string_view shape_prefix = "shape:";

/// What is known of a model before its weights are read.
struct ModelChoice {
  std::string name;  // as given
  ModelConfig config;
  std::filesystem::path folder;  // empty: a shape, with random weights and no tokenizer

  bool is_shape() const { return folder.empty(); }
  std::string described() const {
    return fmt::format("{} ({} layers, {} wide, {} query and {} kv heads of {}{})", name, config.layers, config.hidden,
                       config.q_heads, config.kv_heads, config.head_dim, is_shape() ? "; RANDOM weights" : "");
  }
};

/// Errors: no such folder or shape; a config.json that cannot be used.
inline ModelChoice choose_model(const std::string& name) {
  if (name.starts_with(shape_prefix)) return {name, config_of_shape(name.substr(shape_prefix.size())), {}};
  const std::filesystem::path folder = find_model(name);
  return {name, read_config(folder / "config.json"), folder};
}

template <class Scalar>
Model<Scalar> load(const ModelChoice& choice, std::uint64_t seed) {
  return choice.is_shape() ? random_model<Scalar>(choice.config, seed) : load_model<Scalar>(choice.folder);
}

inline std::optional<Tokenizer> load_tokenizer(const ModelChoice& choice) {
  if (choice.is_shape()) return {};
  return load_tokenizer_of(choice.folder, choice.config);
}

/// The ids a run starts from. With `count` given, exactly so many: the prompt's, repeated as often as needed; for a
/// shape, which has no tokenizer, drawn from the seed.
inline std::vector<int> prompt_ids(const ModelChoice& choice, const std::optional<Tokenizer>& tokenizer,
                                   const std::string& prompt, int count, std::uint64_t seed) {
  std::vector<int> ids;
  if (tokenizer) {
    const std::vector<int> text = tokenizer->encode(prompt);
    check(!text.empty(), "the prompt is empty; give some text with --prompt");
    if (count == 0) return text;
    while (int(ids.size()) < count) ids.push_back(text[ids.size() % text.size()]);
  } else {
    Random random(seed);
    while (int(ids.size()) < count) ids.push_back(random.below(choice.config.vocab));
  }
  return ids;
}

}  // namespace kvcache
