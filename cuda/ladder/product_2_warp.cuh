// Rung 2: one warp per output. Its lanes read 32 neighbouring weights, 128 bytes in a row, so all that memory sends is
// used at once.
#pragma once

#include "product.cuh"

namespace ladder {

template <int warps>
__global__ void multiply_by_warp(const float* weights, const float* x, int outputs, int inputs, float* y) {
  using namespace kvcache::cuda;
  const int output = static_cast<int>(blockIdx.x) * warps + warp();
  if (output >= outputs) return;  // a whole warp leaves
  float sum = 0;
  for (int i = lane(); i < inputs; i += 32) sum += weights[static_cast<long>(output) * inputs + i] * x[i];
  sum = warp_sum(sum);
  if (lane() == 0) y[output] = sum;
}

struct ProductByWarp {
  static constexpr const char* name = "2 one warp per output";
  static constexpr double tolerance = 2e-5;
  explicit ProductByWarp(const ProductProblem&) {}
  static Cost cost(const ProductSize& s) { return {s.bytes(), s.operations(), 32.0 * s.outputs, 16}; }
  void run(ProductProblem& p, Stream& stream) {
    stream.launch(multiply_by_warp<4>, dim3(kvcache::cuda::pieces(p.size.outputs, 4)), dim3(128), 0, p.weights.data(),
                  p.x.data(), p.size.outputs, p.size.inputs, p.y.data());
  }
};

}  // namespace ladder
