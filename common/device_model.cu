#include "common/device_model.hpp"
#include "kvcache/cache/cache_spec.hpp"
#include "kvcache/cache/contiguous_cache.hpp"
#include "kvcache/cache/evicting_cache.hpp"
#include "kvcache/cache/paged_cache.hpp"
#include "kvcache/cache/sliding_window_cache.hpp"
#include "kvcache/cuda/offloaded_cache.cuh"
#include "kvcache/cuda/transformer.cuh"

namespace kvcache {

namespace {

cuda::DeviceFormat format_of(CacheSpec& spec) {
  const std::string format = spec.word("format", "f32", {"f32", "f16", "int8"});
  return format == "f32" ? cuda::DeviceFormat::f32 : format == "f16" ? cuda::DeviceFormat::f16 : cuda::DeviceFormat::int8;
}

template <class Weight>
class OnDevice final : public DeviceModel {
 public:
  explicit OnDevice(const Model<float>& model) : transformer_(model, stream_) {}
  const ModelConfig& config() const override { return transformer_.config(); }
  std::span<const float> step(DeviceCache& cache, std::span<const int> tokens) override {
    return transformer_.step(cache, tokens);
  }
  const Work& work() const override { return transformer_.work(); }
  void copy_back(const unsigned char* from, std::span<std::byte> to) const override {
    cuda::check_cuda(cudaMemcpy(to.data(), from, to.size(), cudaMemcpyDeviceToHost), "copying rows to the host");
  }
  long launches() const override { return stream_.launches(); }

  DeviceCache make_cache(std::string_view text, int capacity, MaybeObserver watch) override {
    using Rows = cuda::DeviceRows;
    using Watch = MaybeObserver;
    CacheSpec spec(text);
    const CacheShape shape = config().cache_shape();
    const cuda::DeviceOptions options{format_of(spec), &stream_};
    const auto finished = [&](auto cache) {
      spec.check_all_taken();
      return DeviceCache(std::move(cache));
    };
    if (spec.policy() == "growing") return finished(GrowingCache<Rows, Watch>(shape, 0, options, watch));
    if (spec.policy() == "preallocated")
      return finished(PreallocatedCache<Rows, Watch>(shape, capacity, options, watch));
    if (spec.policy() == "concatenating") return finished(ConcatenatingCache<Rows, Watch>(shape, 0, options, watch));
    if (spec.policy() == "window")
      return finished(SlidingWindowCache<Rows, Watch>(shape, window_of(spec), options, watch));
    if (spec.policy() == "paged") {
      const auto [page, pages] = pages_of(spec, capacity);
      return finished(PagedCache<Rows, Watch>(std::make_shared<PagePool<Rows>>(shape, pages, page, options), watch));
    }
    if (spec.policy() == "random") {
      EvictionOptions eviction;
      eviction.budget = spec.number("budget", eviction.budget, 2);
      eviction.recent = spec.number("recent", std::max(1, eviction.budget / 2), 1);
      return finished(RandomCache<Rows, Watch>(shape, eviction, options, watch));
    }
    if (spec.policy() == "offloaded") {
      cuda::DeviceOffload offload;
      offload.block = spec.number("block", offload.block, 1);
      offload.recent = spec.number("recent", offload.recent, 1);
      return finished(cuda::DeviceOffloadedCache<Watch>(shape, offload, options, watch));
    }
    fail("cache \"", spec.policy(), "\" is not there on a device; take growing, preallocated, concatenating, window, ",
         "paged, random or offloaded, or leave --device out");
  }

 private:
  cuda::Stream stream_;
  cuda::DeviceTransformer<Weight> transformer_;
};

}  // namespace

std::vector<DeviceInfo> list_devices() {
  std::vector<DeviceInfo> devices;
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) count = 0;
  for (int d = 0; d < count; ++d) {
    cudaDeviceProp properties{};
    std::size_t free_bytes = 0, all_bytes = 0;
    int kilohertz = 0, bits = 0;
    cuda::check_cuda(cudaGetDeviceProperties(&properties, d), "asking for a device");
    cuda::check_cuda(cudaSetDevice(d), "choosing a device");
    cuda::check_cuda(cudaMemGetInfo(&free_bytes, &all_bytes), "asking for free memory");
    cudaDeviceGetAttribute(&kilohertz, cudaDevAttrMemoryClockRate, d);
    cudaDeviceGetAttribute(&bits, cudaDevAttrGlobalMemoryBusWidth, d);
    devices.push_back(
        {properties.name, all_bytes, free_bytes, 2e3 * kilohertz * bits / 8 / 1e9, properties.multiProcessorCount});
  }
  if (count > 0) cuda::check_cuda(cudaSetDevice(0), "choosing a device");
  return devices;
}

DeviceInfo check_device() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  check(status == cudaSuccess && count > 0,
        "no GPU can be used: ", status == cudaSuccess ? "CUDA finds no device" : cudaGetErrorString(status),
        ". Leave --device out, or see what `kvcache info` and nvidia-smi find");
  return list_devices().front();
}

std::unique_ptr<DeviceModel> make_device_model(const Model<float>& model, bool halves) {
  check_device();
  if (halves) return std::make_unique<OnDevice<__half>>(model);
  return std::make_unique<OnDevice<float>>(model);
}

}  // namespace kvcache
