// Rung 4: weights of half the bytes, widened in registers; sums stay float. Memory is the limit, so half the bytes are
// half the time.
#pragma once

#include "product.cuh"

namespace ladder {

struct ProductF16 {
  static constexpr const char* name = "4 weights of f16";
  static constexpr double tolerance = 2e-5;  // of the weights as they were rounded
  explicit ProductF16(const ProductProblem& p)
      : weights(std::span<const __half>(std::vector<__half>(p.host_weights.begin(), p.host_weights.end()))) {}
  static Cost cost(const ProductSize& s) { return {s.bytes(2), s.operations(), 32.0 * s.outputs, 32}; }
  void run(ProductProblem& p, Stream& stream) {
    const kvcache::cuda::Product<__half> product{weights.data(), nullptr,       p.x.data(),   p.y.data(),
                                                 p.size.outputs, p.size.inputs, /*tokens*/ 1, /*adds*/ false};
    kvcache::cuda::project(product, stream);
  }

 private:
  DeviceMemory<__half> weights;  // [outputs, inputs]
};

}  // namespace ladder
