// A model on a GPU, as programs speak of it. No CUDA header is needed here: device_model.cu is behind it where the
// project was built with CUDA, and no_device.cpp, which only says so, where it was not.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kvcache/cache/any_cache.hpp"
#include "kvcache/cache/lent_cache.hpp"
#include "kvcache/cache/observer.hpp"
#include "kvcache/core/work.hpp"
#include "kvcache/cuda/device_block.hpp"
#include "kvcache/model/weights.hpp"

namespace kvcache {

/// A cache of any policy whose rows lie on the device.
using DeviceCache = AnyCache<cuda::DeviceBlock>;

struct DeviceInfo {
  std::string name;
  std::size_t memory_bytes = 0, free_bytes = 0;
  double gigabytes_per_second = 0;  // of its memory, as its maker says [COMPUTED from clock and width]; 0: not known
  int multiprocessors = 0;
};
/// The GPUs of this machine; none in a build without CUDA, or where there is no driver.
std::vector<DeviceInfo> list_devices();
/// The one that make_device_model takes. Errors: none can be used, and why.
DeviceInfo check_device();

/// A transformer whose weights, caches and kernels are on a GPU; see kvcache/cuda/transformer.cuh.
class DeviceModel {
 public:
  using Scalar = float;
  virtual ~DeviceModel() = default;
  virtual const ModelConfig& config() const = 0;
  virtual std::span<const float> step(DeviceCache& cache, std::span<const int> tokens) = 0;
  /// The same with any cache of such rows, such as one that is traced.
  template <KeyValueCache Cache>
  requires(!std::same_as<Cache, DeviceCache>) std::span<const float> step(Cache& cache, std::span<const int> tokens) {
    DeviceCache lent{LentCache<Cache>(cache)};
    return step(lent, tokens);
  }
  virtual const Work& work() const = 0;
  /// As kvcache::make_cache, for what a device has: growing, preallocated, concatenating, window, paged, random and offloaded
  /// (to the host's memory), in f32, f16 or int8. Errors: other policies and formats.
  virtual DeviceCache make_cache(std::string_view text, int capacity, MaybeObserver watch = {}) = 0;
  /// Bytes of device memory, such as rows of a cache, to the host, once they are written.
  virtual void copy_back(const unsigned char* from, std::span<std::byte> to) const = 0;
  /// Kernels launched so far.
  virtual long launches() const = 0;
};

/// `halves`: the weight matrices are kept in half precision, else in float. Errors: no device, or a build without CUDA;
/// a model that is too large for it.
std::unique_ptr<DeviceModel> make_device_model(const Model<float>& model, bool halves);

}  // namespace kvcache
