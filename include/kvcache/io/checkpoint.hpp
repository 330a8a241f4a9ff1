// From named tensors to the weights of a decoder: what each family calls them, and how it lays them out.
#pragma once

#include <set>

#include "kvcache/io/safetensors.hpp"
#include "kvcache/model/weights.hpp"

namespace kvcache {

namespace detail {

/// Takes tensors out of a file by name, checks their shapes, and remembers which were taken.
template <class Scalar>
class TensorReader {
 public:
  /// Hugging Face's files name GPT-2's tensors with or without "transformer." in front.
  explicit TensorReader(const Safetensors& file, std::string optional_prefix = {}) : file_(file) {
    for (const auto& [name, tensor] : file.tensors())
      if (!optional_prefix.empty() && name.starts_with(optional_prefix)) prefix_ = optional_prefix;
  }
  bool has(const std::string& name) const { return file_.tensors().contains(prefix_ + name); }

  Matrix<Scalar> matrix(const std::string& name, int rows, int cols) {  // [rows, cols]
    const Tensor& tensor = take(name, {std::size_t(rows), std::size_t(cols)});
    Matrix<Scalar> m(rows, cols);  // only now: the file really has that many numbers
    read(tensor, m);
    return m;
  }
  Vector<Scalar> vector(const std::string& name, int size) {  // [size]
    const Tensor& tensor = take(name, {std::size_t(size)});
    Vector<Scalar> v(size);
    read(tensor, v);
    return v;
  }
  /// The rows of several tensors one below another: [sum of rows, cols].
  using Parts = std::initializer_list<std::pair<std::string, int>>;  // names and rows
  Matrix<Scalar> stacked_matrix(const Parts& parts, const std::string& ending, int cols) {
    std::vector<Matrix<Scalar>> matrices;
    int rows = 0;
    for (const auto& [name, part_rows] : parts) {
      matrices.push_back(matrix(name + ending, part_rows, cols));
      rows += part_rows;
    }
    if (matrices.size() == 1) return std::move(matrices[0]);
    Matrix<Scalar> stacked(rows, cols);
    Eigen::Index first = 0;
    for (const auto& m : matrices) {
      stacked.middleRows(first, m.rows()) = m;
      first += m.rows();
    }
    return stacked;
  }
  /// A tensor that nobody took would be a part of the model left out: an error, unless the family has no use for it.
  void check_all_taken(auto&& may_be_left) const {
    for (const auto& [name, tensor] : file_.tensors())
      check(taken_.contains(name) || may_be_left(name), file_.path(), ": tensor \"", name, "\" ",
            to_string(tensor.shape),
            " has no place in this kind of model; the file belongs to another architecture than config.json says");
  }

 private:
  const Tensor& take(const std::string& name, const std::vector<std::size_t>& shape) {
    const auto found = file_.tensors().find(prefix_ + name);
    check(found != file_.tensors().end(), file_.path(), ": tensor \"", name, "\" ", to_string(shape),
          " is missing; the file is incomplete, or config.json describes another model");
    check(found->second.shape == shape, file_.path(), ": tensor \"", name, "\" has shape ",
          to_string(found->second.shape), ", but config.json asks for ", to_string(shape));
    taken_.insert(found->first);
    return found->second;
  }
  void read(const Tensor& tensor, auto& numbers) const {
    read_elements(tensor.element, tensor.bytes.data(), std::size_t(numbers.size()), numbers.data());
    check(numbers.allFinite(), file_.path(), ": tensor \"", tensor.name,
          "\" holds numbers that are not finite; the file is broken");
  }
  const Safetensors& file_;
  std::string prefix_;
  std::set<std::string> taken_;
};

/// GPT-2: Conv1D weights are [in, out], transposed against everybody else's; q, k and v come in one tensor.
template <class Scalar>
Weights<Scalar> gpt2_weights(const ModelConfig& c, const Safetensors& file) {
  TensorReader<Scalar> read(file, "transformer.");
  const auto norm = [&](const std::string& name) {
    return Norm<Scalar>{read.vector(name + ".weight", c.hidden), read.vector(name + ".bias", c.hidden)};
  };
  const auto linear = [&](const std::string& name, int outputs, int inputs) {
    return Linear<Scalar>{read.matrix(name + ".weight", inputs, outputs).transpose(),
                          read.vector(name + ".bias", outputs)};
  };
  Weights<Scalar> w;
  w.embedding = read.matrix("wte.weight", c.vocab, c.hidden);
  w.positions = read.matrix("wpe.weight", c.max_positions, c.hidden);
  for (int l = 0; l < c.layers; ++l) {
    const std::string at = "h." + std::to_string(l) + ".";
    w.layers.push_back({norm(at + "ln_1"), linear(at + "attn.c_attn", c.qkv_size(), c.hidden),
                        linear(at + "attn.c_proj", c.hidden, c.q_size()), norm(at + "ln_2"),
                        linear(at + "mlp.c_fc", c.ffn, c.hidden), linear(at + "mlp.c_proj", c.hidden, c.ffn)});
  }
  w.final_norm = norm("ln_f");
  if (!c.tied_output) {  // it stands beside the transformer, so it has no prefix
    TensorReader<Scalar> beside(file);
    w.output = beside.matrix("lm_head.weight", c.vocab, c.hidden);
  }
  read.check_all_taken([&](const std::string& name) {  // causal masks that old files carry, and the output layer
    return name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias") || name == "lm_head.weight";
  });
  return w;
}

/// Llama: q, k and v come apart, and so do gate and up; both are stacked, so that one product computes them.
template <class Scalar>
Weights<Scalar> llama_weights(const ModelConfig& c, const Safetensors& file) {
  TensorReader<Scalar> read(file);
  const auto stacked = [&](const typename TensorReader<Scalar>::Parts& parts, int inputs, bool bias) {
    Linear<Scalar> linear{read.stacked_matrix(parts, ".weight", inputs), {}};
    if (!bias) return linear;
    std::vector<Scalar> numbers;
    for (const auto& [name, rows] : parts) {
      const Vector<Scalar> part = read.vector(name + ".bias", rows);
      numbers.insert(numbers.end(), part.begin(), part.end());
    }
    linear.bias = Eigen::Map<const Vector<Scalar>>(numbers.data(), std::ssize(numbers));
    return linear;
  };
  const auto norm = [&](const std::string& name) { return Norm<Scalar>{read.vector(name + ".weight", c.hidden), {}}; };
  Weights<Scalar> w;
  w.embedding = read.matrix("model.embed_tokens.weight", c.vocab, c.hidden);
  for (int l = 0; l < c.layers; ++l) {
    const std::string at = "model.layers." + std::to_string(l) + ".", attention = at + "self_attn.", ffn = at + "mlp.";
    w.layers.push_back({norm(at + "input_layernorm"),
                        stacked({{attention + "q_proj", c.q_size()},
                                 {attention + "k_proj", c.kv_size()},
                                 {attention + "v_proj", c.kv_size()}},
                                c.hidden, c.attention_bias),
                        stacked({{attention + "o_proj", c.hidden}}, c.q_size(), c.attention_bias),
                        norm(at + "post_attention_layernorm"),
                        stacked({{ffn + "gate_proj", c.ffn}, {ffn + "up_proj", c.ffn}}, c.hidden, c.ffn_bias),
                        stacked({{ffn + "down_proj", c.hidden}}, c.ffn, c.ffn_bias)});
  }
  w.final_norm = norm("model.norm");
  if (!c.tied_output) w.output = read.matrix("lm_head.weight", c.vocab, c.hidden);
  read.check_all_taken([&](const std::string& name) {  // frequencies of rope that old files carry; a tied output's copy
    return name.ends_with(".rotary_emb.inv_freq") || (c.tied_output && name == "lm_head.weight");
  });
  return w;
}

}  // namespace detail

/// The weights of `config` out of a file, converted to Scalar (exactly, from every format that can be read).
/// Errors: tensors that are missing, misshapen, or have no place in the model.
template <class Scalar>
Weights<Scalar> read_weights(const ModelConfig& config, const Safetensors& file) {
  return config.family == "gpt2" ? detail::gpt2_weights<Scalar>(config, file)
                                 : detail::llama_weights<Scalar>(config, file);
}

}  // namespace kvcache
