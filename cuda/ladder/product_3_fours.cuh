// Rung 3: four weights in one load. A quarter of the instructions ask for the same bytes, and four times as many are on
// the way at once. This is the library's own kernel, multiply_few, which also asks for eight before it uses one.
#pragma once

#include "product.cuh"

namespace ladder {

struct ProductByFours {
  static constexpr const char* name = "3 four weights in one load";
  static constexpr double tolerance = 2e-5;
  explicit ProductByFours(const ProductProblem&) {}
  static Cost cost(const ProductSize& s) { return {s.bytes(), s.operations(), 32.0 * s.outputs, 64}; }
  void run(ProductProblem& p, Stream& stream) {
    const kvcache::cuda::Product<float> product{p.weights.data(), nullptr,       p.x.data(),   p.y.data(),
                                                p.size.outputs,   p.size.inputs, /*tokens*/ 1, /*adds*/ false};
    kvcache::cuda::project(product, stream);
  }
};

}  // namespace ladder
