// From named tensors to the weights of a decoder.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>

#include "kvcache/core/parallel.hpp"
#include "kvcache/core/tensor.hpp"
#include "kvcache/io/tensor_names.hpp"
#include "kvcache/io/unread_tensor.hpp"
#include "kvcache/math/packed_formats.hpp"
#include "kvcache/model/weights.hpp"

namespace kvcache {

/// The tensors of a model, from one file or several.
struct TensorFiles {
  std::string path;  // for sentences
  std::map<std::string, Tensor> tensors;
  std::shared_ptr<const void> owner;  // keeps the files mapped
  UnreadTensors unread = {};          // tensors of types that cannot be read
};

enum class WeightsAs {
  packed,    // used as they lie in the file, unpacked in registers: float only
  unpacked,  // turned into Scalars on loading
};

namespace detail {

/// Takes tensors out by name, checks their shapes, and remembers which were taken.
template <class Scalar>
class WeightReader {
 public:
  WeightReader(const TensorFiles& files, const TensorNames& names, WeightsAs as)
      : files_(files),
        names_(names),
        packed_(as == WeightsAs::packed),
        prefix_(prefix_of(names.embedding)),
        output_prefix_(prefix_of(names.output)) {}

  /// [rows, cols]: used where it lies; copied where its address or the length of its rows do not suit.
  /// transposed: the file has [cols, rows].
  WeightMatrix<Scalar> matrix(const std::string& name, int rows, int cols, bool transposed = false) {
    const Tensor& tensor = transposed ? take(name + ".weight", {std::size_t(cols), std::size_t(rows)})
                                      : take(name + ".weight", {std::size_t(rows), std::size_t(cols)});
    if (transposed) return turned(tensor, rows, cols);
    if constexpr (std::is_same_v<Scalar, float>)
      if (packed_ && usable_in_place(tensor.format, tensor.bytes.data(), cols))
        return {weight_rows(tensor.format, tensor.bytes.data(), rows, cols), files_.owner};
    return unpacked(tensor, rows, cols);
  }
  Matrix<Scalar> numbers(const std::string& name, int rows, int cols) { return matrix(name, rows, cols).unpacked(); }
  Vector<Scalar> vector(const std::string& name, int size) {  // [size]
    const Tensor& tensor = take(name, {std::size_t(size)});
    Vector<Scalar> v(size);
    read_numbers(tensor.format, tensor.bytes.data(), std::size_t(size), v.data());
    check_finite(tensor, v.allFinite());
    return v;
  }
  /// A tensor that nobody took would be a part of the model left out: an error, unless the family has no use for it.
  void check_all_taken(const ModelConfig& config) const {
    const auto is_useless = [&](const std::string& name) {
      if (config.tied_output && name == output_prefix_ + std::string(names_.output) + ".weight") return true;  // again
      return std::ranges::any_of(names_.may_be_left, [&](auto ending) { return name.ends_with(ending); });
    };
    const auto has_place = [&](const std::string& name, const std::vector<std::size_t>& shape) {
      check(taken_.contains(name) || is_useless(name), files_.path, ": tensor \"", name, "\" ", to_string(shape),
            " has no place in a model of the family ", config.family,
            "; the file belongs to another architecture than its config says");
    };
    for (const auto& [name, tensor] : files_.tensors) has_place(name, tensor.shape);
    for (const auto& [name, tensor] : files_.unread) has_place(name, tensor.shape);
  }

 private:
  const Tensor& take(const std::string& name, const std::vector<std::size_t>& shape) {
    const bool is_output = name.starts_with(std::string(names_.output) + ".");
    const std::string full = (is_output ? output_prefix_ : prefix_) + name;
    if (const auto unread = files_.unread.find(full); unread != files_.unread.end())
      fail(files_.path, ": tensor \"", full, "\" has type ", unread->second.type, "; ", unread->second.advice);
    const auto found = files_.tensors.find(full);
    check(found != files_.tensors.end(), files_.path, ": tensor \"", full, "\" ", to_string(shape),
          " is missing; the file is incomplete, or its config describes another model");
    check(found->second.shape == shape, files_.path, ": tensor \"", full, "\" has shape ",
          to_string(found->second.shape), ", but the config asks for ", to_string(shape));
    taken_.insert(found->first);
    return found->second;
  }
  void check_finite(const Tensor& tensor, bool is_finite) const {
    check(is_finite, files_.path, ": tensor \"", tensor.name,
          "\" holds numbers that are not finite; the file is broken");
  }

  /// A copy in Scalars; this much memory is asked for only now, when the file is known to hold that many numbers.
  Matrix<Scalar> unpacked(const Tensor& tensor, int rows, int cols) const {
    Matrix<Scalar> m(rows, cols);
    const std::size_t row_bytes = bytes_of(tensor.format, std::size_t(cols));
    parallel_runs(rows, /*parallel*/ true, [&](long first, long count) {
      read_numbers(tensor.format, tensor.bytes.data() + std::size_t(first) * row_bytes,
                   std::size_t(count) * std::size_t(cols), m.data() + first * cols);
    });
    check_finite(tensor, m.allFinite());
    return m;
  }
  /// The file has [cols, rows]. The numbers change their places, and keep their format.
  WeightMatrix<Scalar> turned(const Tensor& tensor, int rows, int cols) const {
    if constexpr (std::is_same_v<Scalar, float>)
      if (packed_ && tensor.format != NumberFormat::f32) {
        const auto bytes = turned_bytes(tensor, rows, cols);
        if (usable_in_place(tensor.format, bytes->data(), cols))
          return {weight_rows(tensor.format, bytes->data(), rows, cols), bytes};
      }
    return Matrix<Scalar>(unpacked(tensor, cols, rows).transpose());
  }
  std::shared_ptr<const std::vector<std::byte>> turned_bytes(const Tensor& tensor, int rows, int cols) const {
    check(block_numbers(tensor.format) == 1, files_.path, ": tensor \"", tensor.name, "\" of ", name(tensor.format),
          " would have to be turned, but its blocks cannot be; load with unpacked weights");
    const std::size_t size = std::size_t(block_bytes(tensor.format));
    const auto bytes = std::make_shared<std::vector<std::byte>>(tensor.bytes.size());
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < cols; ++c)
        std::memcpy(bytes->data() + std::size_t(r * std::ptrdiff_t(cols) + c) * size,
                    tensor.bytes.data() + std::size_t(c * std::ptrdiff_t(rows) + r) * size, size);
    return bytes;
  }

  /// What stands in front of a model's names: nothing, "model.", "transformer.", or whatever wrapped the model when it
  /// was saved. Found where `name` ends a tensor's name behind a dot; the shortest, where several do.
  std::string prefix_of(std::string_view name) const {
    const std::string ending = std::string(name) + ".weight";
    std::optional<std::string> shortest;
    const auto look_at = [&](const std::string& full) {
      if (!full.ends_with(ending)) return;
      const std::string prefix = full.substr(0, full.size() - ending.size());
      if ((prefix.empty() || prefix.ends_with('.')) && (!shortest || prefix.size() < shortest->size()))
        shortest = prefix;
    };
    for (const auto& [full, tensor] : files_.tensors) look_at(full);
    for (const auto& [full, tensor] : files_.unread) look_at(full);
    return shortest.value_or("");
  }

  const TensorFiles& files_;
  const TensorNames& names_;
  bool packed_;
  std::string prefix_, output_prefix_;
  std::set<std::string> taken_;
};

template <class Scalar>
Vector<Scalar> below(const Vector<Scalar>& above, const Vector<Scalar>& next) {
  Vector<Scalar> both(above.size() + next.size());
  both << above, next;
  return both;
}

}  // namespace detail

/// The weights of `config` out of files. Errors: tensors that are missing, misshapen, not finite where they are
/// unpacked, or have no place in the model. (Packed tensors are not read here: what they hold shows in the logits,
/// which sampling checks.)
template <class Scalar>
Weights<Scalar> read_weights(const ModelConfig& c, const TensorFiles& files, const TensorNames& names,
                             WeightsAs as = WeightsAs::packed) {
  detail::WeightReader<Scalar> read(files, names, as);
  const auto text = [](std::string_view name) { return std::string(name); };
  const auto norm = [&](const std::string& name) {
    return Norm<Scalar>{read.vector(name + ".weight", c.hidden),
                        c.norm == NormKind::layer_norm ? read.vector(name + ".bias", c.hidden) : Vector<Scalar>()};
  };
  /// Several tensors below one another make one product: names and rows.
  using Parts = std::vector<std::pair<std::string_view, int>>;
  const auto linear = [&](const std::string& at, const Parts& parts, int inputs, bool bias) {
    Linear<Scalar> all;
    for (const auto& [name, rows] : parts) {
      all.weight.append(read.matrix(at + text(name), rows, inputs, names.inputs_first));
      if (bias) all.bias = detail::below(all.bias, read.vector(at + text(name) + ".bias", rows));
    }
    return all;
  };
  const auto head_norm = [&](const std::string& name) {
    return c.qk_norm ? read.vector(name + ".weight", c.head_dim) : Vector<Scalar>();
  };
  const bool gated = c.activation == ActivationKind::silu_gated;
  const Parts qkv = names.qkv.empty() ? Parts{{names.q, c.q_size()}, {names.k, c.kv_size()}, {names.v, c.kv_size()}}
                                      : Parts{{names.qkv, c.qkv_size()}};
  const Parts up = gated ? Parts{{names.gate, c.ffn}, {names.up, c.ffn}} : Parts{{names.up, c.ffn}};

  Weights<Scalar> w;
  w.embedding = read.matrix(text(names.embedding), c.vocab, c.hidden);
  if (c.position == PositionKind::learned) w.positions = read.numbers(text(names.positions), c.max_positions, c.hidden);
  for (int l = 0; l < c.layers; ++l) {
    const std::string at = text(names.layer_prefix) + std::to_string(l) + ".";
    w.layers.push_back(
        {.attention_norm = norm(at + text(names.attention_norm)),
         .qkv = linear(at, qkv, c.hidden, c.qkv_bias),
         .q_norm = head_norm(at + text(names.q_norm)),
         .k_norm = head_norm(at + text(names.k_norm)),
         .attention_out = linear(at, {{names.attention_out, c.hidden}}, c.q_size(), c.attention_out_bias),
         .ffn_norm = norm(at + text(names.ffn_norm)),
         .up = linear(at, up, c.hidden, c.ffn_bias),
         .down = linear(at, {{names.down, c.hidden}}, c.ffn, c.ffn_bias)});
  }
  w.final_norm = norm(text(names.final_norm));
  if (!c.tied_output) w.output = read.matrix(text(names.output), c.vocab, c.hidden);
  read.check_all_taken(c);
  return w;
}

}  // namespace kvcache
