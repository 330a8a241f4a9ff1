// Reads the weights of a model in every way, and then every number of them.
#pragma once

#include "fuzz/input_file.hpp"
#include "kvcache/io/read_weights.hpp"

namespace kvcache_test {

template <class Scalar>
void read_all(const kvcache::Weights<Scalar>& weights) {
  const auto read = [](const kvcache::WeightMatrix<Scalar>& matrix) {
    must(matrix.unpacked().size() == matrix.size(), "numbers are missing");
  };
  read(weights.embedding), read(weights.output);
  for (const kvcache::LayerWeights<Scalar>& layer : weights.layers)
    for (const kvcache::Linear<Scalar>* linear : {&layer.qkv, &layer.attention_out, &layer.up, &layer.down})
      read(linear->weight);
}

/// No config is too large to be tried: memory may be asked for only where the file holds the numbers.
inline void use_weights(const kvcache::ModelConfig& config, const kvcache::TensorFiles& files,
                        const kvcache::TensorNames& names) {
  using kvcache::WeightsAs;
  for (const WeightsAs as : {WeightsAs::packed, WeightsAs::unpacked})
    attempt([&] { read_all(kvcache::read_weights<float>(config, files, names, as)); });
  attempt([&] { read_all(kvcache::read_weights<double>(config, files, names)); });
}

}  // namespace kvcache_test
