// The non-linear step of the feed-forward network: GELU (GPT-2) and gated SiLU (Llama).
#pragma once

#include "kvcache/core/matrix.hpp"

namespace kvcache {

/// GELU in its tanh form, x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), as GPT-2 was trained with. x, y [size].
/// Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016.
template <class Scalar>
void gelu_tanh(const Scalar* x, Eigen::Index size, Scalar* y) {
  const ArrayIn<Scalar> from(x, size);
  ArrayOut<Scalar>(y, size) =
      from / 2 * (1 + (Scalar(0.7978845608028654) * (from + Scalar(0.044715) * from * from * from)).tanh());
}

/// silu(gate) * up, with silu(x) = x / (1 + exp(-x)). gate, up, y [size].
/// Shazeer, "GLU Variants Improve Transformer", 2020.
template <class Scalar>
void silu_gated(const Scalar* gate, const Scalar* up, Eigen::Index size, Scalar* y) {
  const ArrayIn<Scalar> gates(gate, size);
  ArrayOut<Scalar>(y, size) = gates / (1 + (-gates).exp()) * ArrayIn<Scalar>(up, size);
}

}  // namespace kvcache
