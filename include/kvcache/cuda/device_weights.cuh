// The weights of a model, copied to the device once.
#pragma once

#include <optional>
#include <vector>

#include "kvcache/cuda/device_memory.cuh"
#include "kvcache/cuda/kernels/project.cuh"
#include "kvcache/model/weights.hpp"

namespace kvcache::cuda {

template <class Weight>
struct DeviceNorm {
  DeviceMemory<float> gain, bias;  // [hidden]; the bias empty for RMSNorm
};
template <class Weight>
struct DeviceLinear {
  DeviceMemory<Weight> weight;  // [outputs, inputs]
  DeviceMemory<float> bias;     // [outputs], or empty
  int outputs = 0, inputs = 0;
};
template <class Weight>
struct DeviceLayer {
  DeviceNorm<Weight> attention_norm;
  DeviceLinear<Weight> qkv;
  DeviceMemory<float> q_norm, k_norm;
  DeviceLinear<Weight> attention_out;
  DeviceNorm<Weight> ffn_norm;
  DeviceLinear<Weight> up, down;
};

/// Weight: float or __half. Packed weights are unpacked on the way; norms, biases and learned positions stay float.
template <class Weight>
struct DeviceWeights {
  DeviceLinear<Weight> embedding;  // [vocab, hidden]
  DeviceMemory<float> positions;   // [max_positions, hidden]; empty for rope
  std::vector<DeviceLayer<Weight>> layers;
  DeviceNorm<Weight> final_norm;
  DeviceLinear<Weight> output;  // empty if tied to the embedding

  const DeviceLinear<Weight>& output_matrix() const { return output.outputs > 0 ? output : embedding; }

  /// Errors: the device's memory is too small.
  explicit DeviceWeights(const Weights<float>& w)
      : embedding(matrix(w.embedding)),
        positions(numbers(w.positions)),
        final_norm(norm(w.final_norm)),
        output(matrix(w.output)) {
    for (const LayerWeights<float>& l : w.layers)
      layers.push_back({norm(l.attention_norm), linear(l.qkv), numbers(l.q_norm), numbers(l.k_norm),
                        linear(l.attention_out), norm(l.ffn_norm), linear(l.up), linear(l.down)});
  }

 private:
  static DeviceMemory<float> numbers(const auto& dense) {
    return DeviceMemory<float>(std::span<const float>(dense.data(), std::size_t(dense.size())));
  }
  static DeviceNorm<Weight> norm(const Norm<float>& n) { return {numbers(n.gain), numbers(n.bias)}; }
  static DeviceLinear<Weight> linear(const Linear<float>& l) {
    DeviceLinear<Weight> linear = matrix(l.weight);
    linear.bias = numbers(l.bias);
    return linear;
  }
  static DeviceLinear<Weight> matrix(const WeightMatrix<float>& m) {
    const Matrix<float> unpacked = m.unpacked();
    const std::vector<Weight> rounded(unpacked.data(), unpacked.data() + unpacked.size());
    return {DeviceMemory<Weight>(std::span<const Weight>(rounded)), {}, m.rows(), m.cols()};
  }
};

}  // namespace kvcache::cuda
