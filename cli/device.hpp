// Where a command computes: on this processor, or on a GPU. Both ways give a model with step() and caches by name.
#pragma once

#include "common/caches.hpp"
#include "common/device_model.hpp"
#include "kvcache/model/transformer.hpp"
#include "loading.hpp"

namespace kvcache::cli {

struct HostPath {
  explicit HostPath(const Model<float>& weights) : transformer(weights), model(transformer) {}
  HostPath(const HostPath&) = delete;
  HostPath& operator=(const HostPath&) = delete;
  NamedCache<> cache(const std::string& spec, int capacity, MaybeObserver watch = {}) {
    return make_cache(spec, model.config().cache_shape(), capacity, watch);
  }
  Transformer<float> transformer;
  Transformer<float>& model;
};

struct DevicePath {
  DevicePath(const Model<float>& weights, bool halves)
      : transformer(make_device_model(weights, halves)), model(*transformer) {}
  DeviceCache cache(const std::string& spec, int capacity, MaybeObserver watch = {}) {
    return model.make_cache(spec, capacity, watch);
  }
  std::unique_ptr<DeviceModel> transformer;
  DeviceModel& model;
};

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
    if (is_gpu()) {
      DevicePath path(model, weights == "f16");
      return use(path);
    }
    HostPath path(model);
    return use(path);
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
    if (is_gpu() && list_devices().empty()) make_device_model({}, false);  // says why
  }
};

}  // namespace kvcache::cli
