// The metadata of a GGUF file, read into a ModelConfig. Keys begin with the architecture: "llama.block_count".
#pragma once

#include "kvcache/io/gguf.hpp"
#include "kvcache/io/json_fields.hpp"
#include "kvcache/model/config.hpp"

namespace kvcache {

namespace detail {

/// The metadata of one architecture, for short.
class GgufFields {
 public:
  explicit GgufFields(const Gguf& file)
      : file_(file), architecture_(get_field_as<std::string>(file.metadata(), "general.architecture", file.path())) {}

  const std::string& architecture() const { return architecture_; }
  bool has(const std::string& key) const { return find_field(file_.metadata(), full(key), file_.path()) != nullptr; }
  template <class T>
  T get(const std::string& key) const {
    return get_field_as<T>(file_.metadata(), full(key), file_.path());
  }
  template <class T>
  T get_or(const std::string& key, T otherwise) const {
    return get_field_or<T>(file_.metadata(), full(key), otherwise, file_.path());
  }
  void require(bool condition, const auto&... why) const { check(condition, file_.path(), ": ", why...); }
  bool has_tensor(const char* name) const { return find_shape(name) != nullptr; }
  const std::vector<std::size_t>* find_shape(const char* name) const { return file_.find_shape(name); }
  const Tensor* find_tensor(const char* name) const {
    const auto found = file_.tensors().find(name);
    return found == file_.tensors().end() ? nullptr : &found->second;
  }

 private:
  std::string full(const std::string& key) const { return architecture_ + "." + key; }
  const Gguf& file_;
  std::string architecture_;
};

inline int even_head_dim(const GgufFields& file, const ModelConfig& c) {
  file.require(c.q_heads > 0 && c.hidden % c.q_heads == 0, "'embedding_length' ", c.hidden,
               " is not a multiple of 'attention.head_count' ", c.q_heads);
  return c.hidden / c.q_heads;
}

/// What stretches the frequencies: one number, or a tensor that holds one for each pair (Llama 3).
inline std::vector<double> gguf_rope_divisors(const GgufFields& file, int pairs) {
  const auto type = file.get_or<std::string>("rope.scaling.type", "none");
  file.require(type == "none" || type == "linear", "rope scaling '", type, "' is not supported; 'linear' is: take a ",
               "file without it");
  const double factor = type == "linear" ? file.get<double>("rope.scaling.factor")
                                         : file.get_or<double>("rope.scale_linear", 1);  // its name before 2024
  const Tensor* tensor = file.find_tensor("rope_freqs.weight");
  if (tensor == nullptr && !file.has_tensor("rope_freqs.weight"))
    return factor == 1 ? std::vector<double>() : std::vector<double>(std::size_t(pairs), factor);
  file.require(tensor != nullptr && tensor->format == NumberFormat::f32 &&
                   tensor->shape == std::vector{std::size_t(pairs)} && factor == 1,
               "tensor \"rope_freqs.weight\" must be [", pairs, "] of F32, without another scaling of rope beside it");
  std::vector<double> divisors(std::size_t(pairs), 0.0);
  read_numbers(tensor->format, tensor->bytes.data(), divisors.size(), divisors.data());
  return divisors;
}

inline void read_rope(const GgufFields& file, ModelConfig& c) {
  c.position = PositionKind::rope;
  c.rope_theta = file.get_or<double>("rope.freq_base", 10000);  // the format's default: old files leave it out
  const int turned = file.get_or<int>("rope.dimension_count", c.head_dim);
  file.require(turned == c.head_dim, "rope turns ", turned, " numbers of a head of ", c.head_dim,
               "; only whole heads are supported");
  // For these, whoever wrote the file put the rows of q and k in the order that pairs neighbours.
  c.rope_pairs = c.family == "llama" ? RopePairs::interleaved : RopePairs::half_split;
  file.require(c.head_dim > 0 && c.head_dim <= 1 << 12, "the length of a head, ", c.head_dim,
               ", is out of range; 1 to ", 1 << 12, " are supported");  // before memory for its pairs is asked for
  c.rope_divisors = gguf_rope_divisors(file, c.head_dim / 2);
}

/// The texts of tokens that end a turn or a text, whatever the file calls them: llama.cpp ends at these too
/// (llama-vocab.cpp), for many files name one end token where their chats have another.
inline bool is_end_text(std::string_view token) {
  constexpr std::string_view ends[] = {
      "<|im_end|>",    "<|eot_id|>", "<|eom_id|>",      "<|end|>", "<end_of_turn>",
      "<|endoftext|>", "</s>",       "<|end_of_text|>", "<eos>",   "<EOT>",
      "_<EOT>",        "[EOT]",      "[EOS]",           "<turn|>", "<end_of_utterance>",
      "<|return|>",    "<|call|>",   "<|flush|>",       "[e~[",    "<\uFF5Cend\u2581of\u2581sentence\uFF5C>"};
  return std::ranges::find(ends, token) != std::end(ends);
}

inline std::vector<int> gguf_end_tokens(const Gguf& gguf, int vocab) {
  std::vector<int> ids;
  const auto add = [&](int id) {  // an id that the model does not have ends nothing
    if (id < vocab && std::ranges::count(ids, id) == 0) ids.push_back(id);
  };
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"})
    if (const nlohmann::json* id = find_field(gguf.metadata(), key, gguf.path()))
      add(json_token_id(*id, gguf.path() + ": '" + key + "'"));
  if (const nlohmann::json* tokens = find_field(gguf.metadata(), "tokenizer.ggml.tokens", gguf.path());
      tokens && tokens->is_array())
    for (std::size_t id = 0; id < tokens->size(); ++id)
      if (const auto* text = (*tokens)[id].get_ptr<const std::string*>(); text && is_end_text(*text)) add(int(id));
  return ids;
}

/// A model may lie in several files (gguf-split); this is how one of them says so.
inline void check_split(const Gguf& gguf, bool first_may_pass) {
  const auto count = get_field_or<int>(gguf.metadata(), "split.count", 1, gguf.path());
  const auto number = get_field_or<int>(gguf.metadata(), "split.no", 0, gguf.path());
  check(count <= 1 || (first_may_pass && number == 0), gguf.path(), ": is part ", number + 1, " of ", count,
        " of a model in several files, which is not supported; join them with llama-gguf-split --merge");
}

}  // namespace detail

/// The config of a GGUF file of the architectures llama, gpt2, qwen2 and qwen3. Errors: another architecture, or a
/// variant that would change the numbers (by name); values that are missing, of another type, or out of range.
inline ModelConfig read_gguf_config(const Gguf& gguf) {
  detail::check_split(gguf, /*first_may_pass*/ true);
  const detail::GgufFields file(gguf);
  const std::string& family = file.architecture();
  const bool gpt2 = family == "gpt2", qwen = family == "qwen2" || family == "qwen3";
  file.require(gpt2 || qwen || family == "llama", "architecture '", family,
               "' is not supported; 'llama', 'gpt2', 'qwen2' and 'qwen3' are");
  file.require(file.get_or<int>("expert_count", 0) == 0, "mixtures of experts are not supported");
  ModelConfig c;
  c.family = family;
  c.layers = file.get<int>("block_count"), c.hidden = file.get<int>("embedding_length");
  c.q_heads = file.get<int>("attention.head_count"),
  c.kv_heads = file.get_or<int>("attention.head_count_kv", c.q_heads);
  c.head_dim = file.has("attention.key_length") ? file.get<int>("attention.key_length") : even_head_dim(file, c);
  file.require(file.get_or<int>("attention.value_length", c.head_dim) == c.head_dim,
               "values of another length than keys are not supported");
  c.ffn = file.get<int>("feed_forward_length"), c.max_positions = file.get<int>("context_length");
  const std::vector<std::size_t>* embedding = file.find_shape("token_embd.weight");
  file.require(embedding != nullptr, "tensor \"token_embd.weight\" is missing; the file is incomplete");
  file.require(embedding->size() == 2 && (*embedding)[0] <= 1 << 22, "tensor \"token_embd.weight\" has shape ",
               to_string(*embedding), "; it must be [vocabulary, hidden]");
  c.vocab = int((*embedding)[0]);
  c.norm = gpt2 ? NormKind::layer_norm : NormKind::rms_norm;
  c.norm_epsilon = file.get<double>(gpt2 ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon");
  c.activation = gpt2 ? ActivationKind::gelu_tanh : ActivationKind::silu_gated;
  if (gpt2)
    c.position = PositionKind::learned;
  else
    read_rope(file, c);
  c.qk_norm = file.has_tensor("blk.0.attn_q_norm.weight");
  c.qkv_bias = file.has_tensor(gpt2 ? "blk.0.attn_qkv.bias" : "blk.0.attn_q.bias");
  c.attention_out_bias = file.has_tensor("blk.0.attn_output.bias");
  c.ffn_bias = file.has_tensor("blk.0.ffn_down.bias");
  c.tied_output = !file.has_tensor("output.weight");
  c.end_tokens = detail::gguf_end_tokens(gguf, c.vocab);
  say_where(gguf.path(), [&] { check_config(c); });
  return c;
}

}  // namespace kvcache
