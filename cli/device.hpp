// The options that say where a command computes.
#pragma once

#include "common/paths.hpp"
#include "loading.hpp"

namespace kvcache::cli {

/// The options --device and --device-weights.
struct DeviceChoice {
  std::string device = "cpu", weights = "f32";

  bool is_gpu() const { return device == "cuda"; }
  void add_to(CLI::App& command) {
    command.add_option("--device", device, "cpu, or cuda: an NVIDIA GPU")
        ->check(CLI::IsMember({"cpu", "cuda"}))
        ->capture_default_str();
    command.add_option("--device-weights", weights, "with --device cuda: what the matrices are kept in, f32 or f16")
        ->check(CLI::IsMember({"f32", "f16"}))
        ->capture_default_str();
  }
  /// use(path) with one of the two. Errors: no GPU.
  template <class Use>
  decltype(auto) with_path(const Model<float>& model, Use&& use) const {
    return kvcache::with_path(!is_gpu()          ? Where::cpu
                              : weights == "f16" ? Where::gpu_halves
                                                 : Where::gpu,
                              model, std::forward<Use>(use));
  }
  /// Of the weights that a step reads, as they lie where it computes. [COMPUTED]
  std::size_t bytes_per_step(const Model<float>& model) const {
    if (!is_gpu()) return weight_bytes_per_step(model.weights);
    std::size_t bytes = 0;
    for_each_matrix_of_a_step(model.weights, [&](const WeightMatrix<float>& matrix) {
      bytes += std::size_t(matrix.size()) * (weights == "f16" ? 2 : 4);
    });
    return bytes;
  }
  /// To be asked before anybody waits for weights. Errors: no GPU.
  void check_there() const {
    if (is_gpu()) check_device();
  }
};

}  // namespace kvcache::cli
