// Where a program computes: on this processor, or on a GPU. Both ways give a model with step() and caches by name.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "common/caches.hpp"
#include "common/device_model.hpp"
#include "kvcache/model/transformer.hpp"

namespace kvcache {

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

/// What a GPU computes with: matrices in float, or in half precision.
enum class Where { cpu, gpu, gpu_halves };

/// use(path) with one of the two. Errors: no GPU.
template <class Use>
decltype(auto) with_path(Where where, const Model<float>& model, Use&& use) {
  if (where != Where::cpu) {
    DevicePath path(model, where == Where::gpu_halves);
    return use(path);
  }
  HostPath path(model);
  return use(path);
}

}  // namespace kvcache
