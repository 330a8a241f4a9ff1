// The two norms that keep a token's numbers in range: LayerNorm (GPT-2) and RMSNorm (Llama).
#pragma once

#include <cmath>

#include "kvcache/core/matrix.hpp"

namespace kvcache {

/// y = x / rms(x) * gain; one token, [hidden]. Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019.
template <class Scalar, class In, class Out>
void rms_norm(const In& x, const Vector<Scalar>& gain, Scalar epsilon, Out&& y) {
  const Scalar scale = 1 / std::sqrt(x.squaredNorm() / Scalar(x.size()) + epsilon);
  y = x.cwiseProduct(gain.transpose()) * scale;
}

/// y = (x - mean(x)) / deviation(x) * gain + bias; one token, [hidden]. Ba, Kiros and Hinton, "Layer Normalization", 2016.
template <class Scalar, class In, class Out>
void layer_norm(const In& x, const Vector<Scalar>& gain, const Vector<Scalar>& bias, Scalar epsilon, Out&& y) {
  const Scalar mean = x.mean();
  const Scalar scale = 1 / std::sqrt((x.array() - mean).square().mean() + epsilon);
  y = ((x.array() - mean) * scale * gain.transpose().array() + bias.transpose().array()).matrix();
}

}  // namespace kvcache
