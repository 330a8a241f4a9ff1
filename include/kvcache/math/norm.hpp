// The two norms that keep a token's numbers in range: LayerNorm (GPT-2) and RMSNorm (Llama).
#pragma once

#include <cmath>

#include "kvcache/core/matrix.hpp"

namespace kvcache {

/// y = x / rms(x) * gain; x, y one token, [hidden].
/// Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019.
template <class Scalar>
void rms_norm(const Scalar* x, const Vector<Scalar>& gain, Scalar epsilon, Scalar* y) {
  const Scalar mean_square = ArrayIn<Scalar>(x, gain.size()).square().sum() / Scalar(gain.size());
  const Scalar scale = 1 / std::sqrt(mean_square + epsilon);
  for (Eigen::Index i = 0; i < gain.size(); ++i) y[i] = x[i] * gain[i] * scale;
}

/// y = (x - mean(x)) / deviation(x) * gain + bias; x, y one token, [hidden].
/// Ba, Kiros and Hinton, "Layer Normalization", 2016.
template <class Scalar>
void layer_norm(const Scalar* x, const Vector<Scalar>& gain, const Vector<Scalar>& bias, Scalar epsilon, Scalar* y) {
  const Scalar mean = ArrayIn<Scalar>(x, gain.size()).sum() / Scalar(gain.size());
  for (Eigen::Index i = 0; i < gain.size(); ++i) y[i] = x[i] - mean;
  const Scalar variance = ArrayIn<Scalar>(y, gain.size()).square().sum() / Scalar(gain.size());
  const Scalar scale = 1 / std::sqrt(variance + epsilon);
  for (Eigen::Index i = 0; i < gain.size(); ++i) y[i] = y[i] * scale * gain[i] + bias[i];
}

}  // namespace kvcache
