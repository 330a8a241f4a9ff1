// The non-linear step of the feed-forward network: GELU (GPT-2) and gated SiLU (Llama).
#pragma once

#include "kvcache/core/matrix.hpp"

namespace kvcache {

/// GELU in its tanh form, x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), as GPT-2 was trained with. One token, [ffn].
/// Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016.
template <class In, class Out>
void gelu_tanh(const In& x, Out&& y) {
  using Scalar = typename In::Scalar;
  const auto a = x.array();
  y = (a / 2 * (1 + (Scalar(0.7978845608028654) * (a + Scalar(0.044715) * a.cube())).tanh())).matrix();
}

/// silu(gate) * up, with silu(x) = x / (1 + exp(-x)). One token, [ffn] each.
/// Shazeer, "GLU Variants Improve Transformer", 2020.
template <class In, class Out>
void silu_gated(const In& gate, const In& up, Out&& y) {
  y = (gate.array() / (1 + (-gate.array()).exp()) * up.array()).matrix();
}

}  // namespace kvcache
