// Hugging Face's config.json, read into a ModelConfig. Nothing that changes the numbers is silently defaulted.
#pragma once

#include "kvcache/io/json_file.hpp"
#include "kvcache/model/config.hpp"

namespace kvcache {

namespace detail {

/// One config.json: fields with a sentence on failure.
class ConfigJson {
 public:
  explicit ConfigJson(const std::filesystem::path& path) : path_(path.string()), json_(read_json(path)) {
    check(json_.is_object(), path_, ": not a JSON object");
  }
  bool has(const char* field) const { return json_.contains(field) && !json_[field].is_null(); }
  int integer(const char* field) const { return int(number(json_, field, /*whole*/ true)); }
  int integer_or(const char* field, int otherwise) const { return has(field) ? integer(field) : otherwise; }
  double real(const char* field) const { return number(json_, field, false); }
  double real_or(const char* field, double otherwise) const { return has(field) ? real(field) : otherwise; }
  std::string string(const char* field) const {
    check(has(field) && json_[field].is_string(), path_, ": \"", field, "\" is missing or not a string");
    return json_[field];
  }
  bool flag_or(const char* field, bool otherwise) const {
    if (!has(field)) return otherwise;
    check(json_[field].is_boolean(), path_, ": \"", field, "\" is ", json_[field].dump(), ", not true or false");
    return json_[field];
  }

  /// The base of the rotation: at the top in older files, inside rope_parameters since transformers 5. A file with
  /// neither is refused: the usual 10000 would be a guess. Scaled rope is refused by its type.
  double rope_theta() const {
    for (const char* scaling : {"rope_parameters", "rope_scaling"}) {
      if (!has(scaling)) continue;
      const auto& parameters = json_[scaling];
      check(parameters.is_object(), path_, ": \"", scaling, "\" is not an object");
      for (const char* type : {"rope_type", "type"})
        check(!parameters.contains(type) || parameters[type] == "default", path_, ": rope scaling ",
              parameters.contains(type) ? parameters[type].dump() : "", " is not supported; only \"default\" is");
    }
    if (has("rope_theta")) return real("rope_theta");
    check(has("rope_parameters") && json_["rope_parameters"].contains("rope_theta"), path_,
          ": neither \"rope_theta\" nor \"rope_parameters\" with a \"rope_theta\" is given; add the base the model was "
          "trained with");
    return number(json_["rope_parameters"], "rope_theta", false);
  }
  /// A number or a list of numbers; absent: none.
  std::vector<int> tokens(const char* field) const {
    if (!has(field)) return {};
    std::vector<int> ids;
    for (const auto& id : json_[field].is_array() ? json_[field] : nlohmann::json::array({json_[field]})) {
      check(id.is_number_integer() && id >= 0 && id <= 1 << 30, path_, ": \"", field, "\" holds ", id.dump(),
            ", not a token id");
      ids.push_back(id);
    }
    return ids;
  }
  void require(bool condition, const auto&... why) const { check(condition, path_, ": ", why...); }

 private:
  double number(const nlohmann::json& object, const char* field, bool whole) const {
    check(object.contains(field), path_, ": \"", field, "\" is missing");
    const auto& value = object[field];
    check(whole ? value.is_number_integer() : value.is_number(), path_, ": \"", field, "\" is ", value.dump(),
          whole ? ", not a whole number" : ", not a number");
    const double number = value.get<double>();
    check(number >= -1e12 && number <= 1e12 && (!whole || std::abs(number) <= 1 << 30), path_, ": \"", field, "\" is ",
          value.dump(), ", which is out of range");
    return number;
  }
  std::string path_;
  nlohmann::json json_;
};

inline ModelConfig gpt2_config(const ConfigJson& json) {
  ModelConfig c;
  c.family = "gpt2";
  c.layers = json.integer("n_layer"), c.hidden = json.integer("n_embd");
  c.q_heads = c.kv_heads = json.integer("n_head");
  json.require(c.q_heads > 0 && c.hidden % c.q_heads == 0, "n_embd ", c.hidden, " is not a multiple of n_head ",
               c.q_heads);
  c.head_dim = c.hidden / c.q_heads;  // the family is built so; Llama's is not
  c.ffn = json.integer_or("n_inner", 4 * c.hidden);
  c.vocab = json.integer("vocab_size"), c.max_positions = json.integer("n_positions");
  c.norm = NormKind::layer_norm, c.norm_epsilon = json.real_or("layer_norm_epsilon", 1e-5);
  const std::string activation = json.has("activation_function") ? json.string("activation_function") : "gelu_new";
  json.require(activation == "gelu_new" || activation == "gelu_pytorch_tanh", "activation \"", activation,
               "\" is not supported for GPT-2; gelu_new is");
  json.require(json.flag_or("scale_attn_weights", true) && !json.flag_or("scale_attn_by_inverse_layer_idx", false),
               "attention scaled otherwise than by 1 / sqrt(head_dim) is not supported");
  c.activation = ActivationKind::gelu_tanh, c.position = PositionKind::learned;
  c.attention_bias = c.ffn_bias = true;
  c.tied_output = json.flag_or("tie_word_embeddings", true);
  return c;
}

inline ModelConfig llama_config(const ConfigJson& json) {
  ModelConfig c;
  c.family = "llama";
  c.layers = json.integer("num_hidden_layers"), c.hidden = json.integer("hidden_size");
  c.q_heads = json.integer("num_attention_heads"), c.kv_heads = json.integer_or("num_key_value_heads", c.q_heads);
  if (json.has("head_dim")) {
    c.head_dim = json.integer("head_dim");
  } else {  // as the family's first files: no head_dim of its own
    json.require(c.q_heads > 0 && c.hidden % c.q_heads == 0, "head_dim is missing, and hidden_size ", c.hidden,
                 " is not a multiple of num_attention_heads ", c.q_heads);
    c.head_dim = c.hidden / c.q_heads;
  }
  c.ffn = json.integer("intermediate_size");
  c.vocab = json.integer("vocab_size"), c.max_positions = json.integer("max_position_embeddings");
  c.norm = NormKind::rms_norm, c.norm_epsilon = json.real("rms_norm_eps");
  const std::string activation = json.has("hidden_act") ? json.string("hidden_act") : "silu";
  json.require(activation == "silu" || activation == "swish", "activation \"", activation,
               "\" is not supported for Llama; silu is");
  c.activation = ActivationKind::silu_gated, c.position = PositionKind::rope;
  c.rope_theta = json.rope_theta();
  c.attention_bias = json.flag_or("attention_bias", false), c.ffn_bias = json.flag_or("mlp_bias", false);
  c.tied_output = json.flag_or("tie_word_embeddings", false);
  return c;
}

}  // namespace detail

/// Reads config.json of the families GPT-2 and Llama. Errors: another family or a variant that would change the numbers
/// (by name), fields that are missing, of another type, or out of range.
inline ModelConfig read_config(const std::filesystem::path& path) {
  const detail::ConfigJson json(path);
  const std::string family = json.string("model_type");
  json.require(family == "gpt2" || family == "llama", "model_type \"", family,
               "\" is not supported; \"gpt2\" and \"llama\" are");
  ModelConfig config = family == "gpt2" ? detail::gpt2_config(json) : detail::llama_config(json);
  config.end_tokens = json.tokens("eos_token_id");
  try {
    check_config(config);
  } catch (const Error& error) {
    fail(path.string(), ": ", error.what());
  }
  return config;
}

}  // namespace kvcache
