// The trained models, whole: the text that the CPU writes, from every policy that the device has.
#include "cuda/cpu_side.hpp"
#include "kvcache/cache/contiguous_cache.hpp"
#include "kvcache/cache/paged_cache.hpp"
#include "kvcache/cache/sliding_window_cache.hpp"
#include "kvcache/cuda/offloaded_cache.cuh"
#include "kvcache/cuda/transformer.cuh"
#include "kvcache/model/transformer.hpp"
#include "on_device.hpp"

using namespace kvcache;
using namespace kvcache::cuda;

namespace {

constexpr int prompt = 8, tokens = 32;

/// Writes greedily on the CPU, and the same on the device; the device must choose the same tokens, from logits that
/// agree to 1e-4.
void write_the_same(const char* name, auto&& host_cache, auto&& device_cache) {
  CAPTURE(name);
  const Model<float> model = trained_model(name);
  Stream stream;
  Transformer<float> host(model);
  DeviceTransformer<float> device(model, stream);
  auto here = host_cache(model.config.cache_shape());
  auto there = device_cache(model.config.cache_shape(), DeviceOptions{.stream = &stream});
  std::vector<int> next{3, 17, 80, 5, 200, 42, 9, 301};
  double largest = 0;
  for (int i = 0; i < tokens; ++i) {
    const auto expected = host.step(here, next), logits = device.step(there, next);
    for (std::size_t j = 0; j < expected.size(); ++j) {
      const double difference = std::fabs(double(logits[j]) - double(expected[j]));
      largest = std::isnan(difference) ? HUGE_VAL : std::max(largest, difference);
    }
    const auto likeliest = [](const auto& l) { return int(std::max_element(l.begin(), l.end()) - l.begin()); };
    REQUIRE(likeliest(logits) == likeliest(expected));
    next = {likeliest(expected)};
  }
  CHECK(largest < 1e-4);
  CHECK(there.length(0) == prompt + tokens - 1);
}

constexpr auto growing = [](CacheShape shape) { return GrowingCache<>(shape); };
constexpr auto growing_there = [](CacheShape shape, DeviceOptions options) {
  return GrowingCache<DeviceRows>(shape, 0, options);
};

}  // namespace

TEST_CASE("grouped heads") { write_the_same("tiny", growing, growing_there); }
TEST_CASE("a head for each query head") { write_the_same("tiny-mha", growing, growing_there); }
TEST_CASE("one head for all query heads") { write_the_same("tiny-mqa", growing, growing_there); }
TEST_CASE("a window with sinks, its positions shifted") {
  const WindowOptions window{.sinks = 2, .recent = 14, .positions = SinkPositions::shifted};
  write_the_same(
      "tiny", [&](CacheShape shape) { return SlidingWindowCache<>(shape, window); },
      [&](CacheShape shape, DeviceOptions options) { return SlidingWindowCache<DeviceRows>(shape, window, options); });
}
TEST_CASE("older blocks in the host's memory") {
  write_the_same("tiny", growing, [](CacheShape shape, DeviceOptions options) {
    return DeviceOffloadedCache<>(shape, {.block = 4, .recent = 2}, options);
  });
}
TEST_CASE("pages") {
  write_the_same(
      "tiny", [&](CacheShape shape) { return PagedCache<>(std::make_shared<PagePool<>>(shape, 10, 4)); },
      [&](CacheShape shape, DeviceOptions options) {
        return PagedCache<DeviceRows>(std::make_shared<PagePool<DeviceRows>>(shape, 10, 4, options));
      });
}
