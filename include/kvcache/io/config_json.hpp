// Hugging Face's config.json, read into a ModelConfig. Nothing that changes the numbers is silently defaulted.
#pragma once

#include <algorithm>

#include "kvcache/io/json_fields.hpp"
#include "kvcache/io/json_file.hpp"
#include "kvcache/model/config.hpp"
#include "kvcache/position/rope_scaling.hpp"

namespace kvcache {

namespace detail {

/// One config.json and its path, for short.
class ConfigJson {
 public:
  explicit ConfigJson(const std::filesystem::path& path) : path_(path.string()), json_(read_json(path)) {}

  const std::string& path() const { return path_; }
  bool has(const char* key) const { return find_field(json_, key, path_) != nullptr; }  // and is not null
  bool is_null(const char* key) const { return json_.contains(key) && json_[key].is_null(); }
  template <class T>
  T get(const char* key) const {
    return get_field_as<T>(json_, key, path_);
  }
  template <class T>
  T get_or(const char* key, T otherwise) const {
    return get_field_or<T>(json_, key, otherwise, path_);
  }
  const nlohmann::json* find(const char* key) const { return find_field(json_, key, path_); }
  void require(bool condition, const auto&... why) const { check(condition, path_, ": ", why...); }

  /// hidden / heads, for files that do not say head_dim.
  int even_head_dim(const char* hidden, const char* heads) const {
    const int numbers = get<int>(hidden), head_count = get<int>(heads);
    require(head_count > 0 && numbers % head_count == 0, "'", hidden, "' ", numbers, " is not a multiple of '", heads,
            "' ", head_count);
    return numbers / head_count;
  }
  /// A token id, a list of them, or none.
  std::vector<int> token_ids(const char* key) const {
    const nlohmann::json* value = find(key);
    const std::string where = path_ + ": '" + key + "'";
    if (value == nullptr) return {};
    if (!value->is_array()) return {json_token_id(*value, where)};
    std::vector<int> ids;
    for (const nlohmann::json& id : *value) ids.push_back(json_token_id(id, where));
    return ids;
  }

 private:
  std::string path_;
  nlohmann::json json_;
};

inline ModelConfig gpt2_config(const ConfigJson& json) {
  ModelConfig c;
  c.family = "gpt2";
  c.layers = json.get<int>("n_layer"), c.hidden = json.get<int>("n_embd");
  c.q_heads = c.kv_heads = json.get<int>("n_head");
  c.head_dim = json.even_head_dim("n_embd", "n_head");  // the family is built so; Llama's is not
  c.vocab = json.get<int>("vocab_size"), c.max_positions = json.get<int>("n_positions");
  json.require(c.hidden >= 1 && c.hidden <= 1 << 17, "'n_embd' ", c.hidden, " is out of range");
  c.ffn = json.get_or<int>("n_inner", 4 * c.hidden);
  c.norm = NormKind::layer_norm, c.norm_epsilon = json.get_or<double>("layer_norm_epsilon", 1e-5);
  const auto activation = json.get_or<std::string>("activation_function", "gelu_new");
  json.require(activation == "gelu_new" || activation == "gelu_pytorch_tanh", "activation '", activation,
               "' is not supported for GPT-2; gelu_new is");
  json.require(json.get_or("scale_attn_weights", true) && !json.get_or("scale_attn_by_inverse_layer_idx", false),
               "attention scaled otherwise than by 1 / sqrt(head_dim) is not supported");
  c.activation = ActivationKind::gelu_tanh, c.position = PositionKind::learned;
  c.qkv_bias = c.attention_out_bias = c.ffn_bias = true;
  c.tied_output = json.get_or("tie_word_embeddings", true);
  return c;
}

/// Everything that says how positions turn: at the top in older files, inside rope_parameters since transformers 5.
/// Where both stand, transformers' order counts (RotaryEmbeddingConfigMixin): rope_scaling before rope_parameters, and
/// a base in there before one at the top, which may be an older version's default. Llama's first files say no base;
/// their models were trained with 10000, which transformers takes. Scalings other than these are refused by name.
inline void read_rope(const ConfigJson& json, ModelConfig& c) {
  c.position = PositionKind::rope;
  const nlohmann::json* scaling = json.find("rope_scaling");
  const bool has_scaling = scaling != nullptr && !scaling->empty();
  if (!has_scaling) scaling = json.find("rope_parameters");
  const std::string where = json.path() + (has_scaling ? ": 'rope_scaling'" : ": 'rope_parameters'");
  const bool inside = scaling != nullptr && find_field(*scaling, "rope_theta", where) != nullptr;
  c.rope_theta =
      inside ? get_field_as<double>(*scaling, "rope_theta", where) : json.get_or<double>("rope_theta", 10000);
  json.require(json.get_or<double>("partial_rotary_factor", 1) == 1, "'partial_rotary_factor' turns a part of each ",
               "head; only whole heads are supported");
  if (scaling == nullptr) return;
  json.require(get_field_or<double>(*scaling, "partial_rotary_factor", 1, where) == 1,
               "'partial_rotary_factor' turns a part of each head; only whole heads are supported");
  const char* key = find_field(*scaling, "rope_type", where) ? "rope_type" : "type";  // its name before 2024
  const auto type = get_field_or<std::string>(*scaling, key, "default", where);
  const auto number = [&](const char* name) { return get_field_as<double>(*scaling, name, where); };
  const auto check_head_dim = [&] {  // before memory for its pairs is asked for
    json.require(c.head_dim > 0 && c.head_dim <= 1 << 12 && c.rope_theta > 1, "head_dim ", c.head_dim,
                 " or rope theta ", c.rope_theta, " is out of range");
  };
  if (type == "linear") {
    check_head_dim();
    c.rope_divisors.assign(std::size_t(c.head_dim / 2), number("factor"));
  } else if (type == "llama3") {
    check_head_dim();
    const Llama3Scaling stretch{.factor = number("factor"),
                                .low = number("low_freq_factor"),
                                .high = number("high_freq_factor"),
                                .old_positions = number("original_max_position_embeddings")};
    c.rope_divisors = stretch.divisors(c.head_dim, c.rope_theta);
  } else {
    json.require(
        type == "default", "rope scaling '", type, "' is not supported; 'linear' and 'llama3' are: take a ",
        "model without it. (Where it was added for longer texts alone, as in Qwen2.5, the model works without ",
        "that field)");
  }
}

/// Whether a layer sees a window of the text only. As transformers reads Qwen's files: layers from max_window_layers
/// on, if use_sliding_window says so, or those that layer_types names; and a window as long as the longest text hides
/// nothing.
inline bool has_sliding_window(const ConfigJson& json, const ModelConfig& c) {
  if (!json.get_or("use_sliding_window", false)) return false;
  if (json.is_null("sliding_window") || json.get_or<int>("sliding_window", 4096) >= c.max_positions) return false;
  if (const nlohmann::json* types = json.find("layer_types"))
    return std::ranges::any_of(json_array(*types, json.path() + ": 'layer_types'"),
                               [](const nlohmann::json& type) { return type != "full_attention"; });
  return json.get_or<int>("max_window_layers", 28) < c.layers;
}

/// Llama, and Qwen2 and Qwen3, which differ from it in biases and in norms of queries and keys.
inline ModelConfig llama_config(const ConfigJson& json, const std::string& family) {
  ModelConfig c;
  c.family = family;
  c.layers = json.get<int>("num_hidden_layers"), c.hidden = json.get<int>("hidden_size");
  c.q_heads = json.get<int>("num_attention_heads"), c.kv_heads = json.get_or<int>("num_key_value_heads", c.q_heads);
  c.head_dim =
      json.has("head_dim") ? json.get<int>("head_dim") : json.even_head_dim("hidden_size", "num_attention_heads");
  c.ffn = json.get<int>("intermediate_size");
  c.vocab = json.get<int>("vocab_size"), c.max_positions = json.get<int>("max_position_embeddings");
  c.norm = NormKind::rms_norm, c.norm_epsilon = json.get<double>("rms_norm_eps");
  const auto activation = json.get_or<std::string>("hidden_act", "silu");
  json.require(activation == "silu" || activation == "swish", "activation '", activation, "' is not supported for ",
               family, "; silu is");
  json.require(family == "llama" || !has_sliding_window(json, c), "sliding-window attention is not supported; a model ",
               "whose layers all see the whole text is");
  c.activation = ActivationKind::silu_gated;
  read_rope(json, c);
  c.qk_norm = family == "qwen3";
  c.attention_out_bias = family != "qwen2" && json.get_or("attention_bias", false);
  c.qkv_bias = family == "qwen2" || c.attention_out_bias;
  c.ffn_bias = json.get_or("mlp_bias", false);
  c.tied_output = json.get_or("tie_word_embeddings", false);
  return c;
}

}  // namespace detail

/// What generation_config.json beside a config.json says in its place, as transformers has it: which tokens end a text.
/// Its settings of sampling are not taken: the library's own are greedy unless asked otherwise.
inline void read_generation_config(const std::filesystem::path& folder, ModelConfig& config) {
  const std::filesystem::path path = folder / "generation_config.json";
  if (std::error_code ignored; !std::filesystem::exists(path, ignored)) return;
  const detail::ConfigJson json(path);
  if (json.has("eos_token_id")) config.end_tokens = json.token_ids("eos_token_id");
}

/// Reads config.json of the families GPT-2, Llama, Qwen2 and Qwen3. Errors: another family or a variant that would
/// change the numbers (by name), fields that are missing, of another type, or out of range.
inline ModelConfig read_config(const std::filesystem::path& path) {
  const detail::ConfigJson json(path);
  const auto family = json.get<std::string>("model_type");
  json.require(family == "gpt2" || family == "llama" || family == "qwen2" || family == "qwen3", "model_type '", family,
               "' is not supported; 'gpt2', 'llama', 'qwen2' and 'qwen3' are");
  ModelConfig config = family == "gpt2" ? detail::gpt2_config(json) : detail::llama_config(json, family);
  config.end_tokens = json.token_ids("eos_token_id");
  say_where(path.string(), [&] { check_config(config); });
  return config;
}

}  // namespace kvcache
