// The second ladder's problem: y = W x for one token, which is most of a decoding step. Every weight is used once, so
// no kernel can be faster than memory.
#pragma once

#include "kvcache/cuda/kernels/project.cuh"
#include "rung.cuh"

namespace ladder {

struct ProductSize {
  int outputs, inputs;
  double operations() const { return 2.0 * outputs * inputs; }
  double bytes(double of_weight = 4) const { return of_weight * outputs * inputs + 4.0 * (outputs + inputs); }
};

struct ProductProblem {
  explicit ProductProblem(ProductSize s)
      : size(s),
        host_weights(random_numbers(std::size_t(s.outputs) * std::size_t(s.inputs), 4)),
        host_x(random_numbers(std::size_t(s.inputs), 5)),
        weights(on_device(host_weights)),
        x(on_device(host_x)),
        y(std::size_t(s.outputs)) {}

  ProductSize size;
  std::vector<float> host_weights, host_x;
  DeviceMemory<float> weights;  // [outputs, inputs]
  DeviceMemory<float> x, y;     // [inputs], [outputs]
};

inline std::vector<double> product_reference(const ProductSize& size, const std::vector<float>& weights,
                                             const std::vector<float>& x) {
  std::vector<double> y(std::size_t(size.outputs));
  for (std::size_t o = 0; o < y.size(); ++o)
    for (std::size_t i = 0; i < x.size(); ++i) y[o] += double(weights[o * x.size() + i]) * x[i];
  return y;
}

}  // namespace ladder
