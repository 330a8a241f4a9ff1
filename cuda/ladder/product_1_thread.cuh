// Rung 1: one thread per output. Threads enough, but neighbours read weights that lie a whole row apart: of the 32
// bytes that memory sends at least, a thread wants 4 now and the others later, if they are still there then.
#pragma once

#include "product.cuh"

namespace ladder {

template <int threads>
__global__ void multiply_by_thread(const float* weights, const float* x, int outputs, int inputs, float* y) {
  const int output = static_cast<int>(blockIdx.x) * threads + static_cast<int>(threadIdx.x);
  if (output >= outputs) return;
  float sum = 0;
  for (int i = 0; i < inputs; ++i) sum += weights[static_cast<long>(output) * inputs + i] * x[i];
  y[output] = sum;
}

struct ProductByThread {
  static constexpr const char* name = "1 one thread per output";
  static constexpr double tolerance = 2e-5;
  explicit ProductByThread(const ProductProblem&) {}
  static Cost cost(const ProductSize& s) { return {s.bytes(), s.operations(), double(s.outputs), 16}; }
  void run(ProductProblem& p, Stream& stream) {
    stream.launch(multiply_by_thread<128>, dim3(kvcache::cuda::pieces(p.size.outputs, 128)), dim3(128), 0,
                  p.weights.data(), p.x.data(), p.size.outputs, p.size.inputs, p.y.data());
  }
};

}  // namespace ladder
