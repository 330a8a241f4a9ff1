// How many kernels a step launches: the numbers that docs/cuda.md names.
#include "kvcache/cache/contiguous_cache.hpp"
#include "kvcache/cache/sliding_window_cache.hpp"
#include "kvcache/cuda/transformer.cuh"
#include "on_device.hpp"
#include "small_models.hpp"

using namespace kvcache;
using namespace kvcache::cuda;

namespace {

struct Launches {
  long of_layer, of_step;  // a layer's, and those that are not a layer's
  bool operator==(const Launches&) const = default;
};

/// A step of `tokens`, after 20 others, of the config with one layer and with two: the difference is a layer's.
template <class MakeCache>
Launches count(ModelConfig config, int tokens, MakeCache&& make_cache) {
  config.head_dim = 8;
  long of_layers[2];
  for (const int layers : {1, 2}) {
    config.layers = layers;
    const Model<float> model = random_model<float>(config);
    Stream stream;
    DeviceTransformer<float> device(model, stream);
    auto cache = make_cache(config.cache_shape(), DeviceOptions{.stream = &stream});
    const auto text = some_tokens(20 + tokens);
    device.step(cache, std::span(text).first(20));
    const long before = stream.launches();
    device.step(cache, std::span(text).subspan(20));
    of_layers[layers - 1] = stream.launches() - before;
  }
  return {of_layers[1] - of_layers[0], 2 * of_layers[0] - of_layers[1]};
}
Launches count(const ModelConfig& config, int tokens) {
  return count(config, tokens,
               [](CacheShape shape, DeviceOptions options) { return GrowingCache<DeviceRows>(shape, 0, options); });
}

}  // namespace

TEST_CASE("a layer of Llama's family launches eleven kernels a token, and a step three more") {
  const ModelConfig llama = small_llama();
  CHECK(count(llama, 1) == Launches{11, 3});
  CHECK(count(llama, 5) == Launches{10, 3});  // a prompt: attention is one kernel
  const auto window = [](CacheShape shape, DeviceOptions options) {
    return SlidingWindowCache<DeviceRows>(shape, {2, 7, SinkPositions::shifted}, options);
  };
  CHECK(count(llama, 1, window) == Launches{12, 3});  // queries are turned back for the sinks
  ModelConfig qwen = llama;
  qwen.qk_norm = true;
  CHECK(count(qwen, 1) == Launches{13, 3});
  CHECK(count(qwen, 5) == Launches{12, 3});
  CHECK(count(small_gpt2(), 1) == Launches{10, 3});  // nothing is turned
  CHECK(count(small_gpt2(), 5) == Launches{9, 3});
}

#if !defined(__CUDACC__)
TEST_CASE("a step of many tokens can be launched: along y and z a grid has few blocks") {
  simt::config().most_blocks = 12;  // as a step of 65,536 tokens meets a GPU's 65,535
  for (ModelConfig config : {small_llama(), small_gpt2()}) {
    config.head_dim = 8;
    const Model<float> model = random_model<float>(config);
    Stream stream;
    DeviceTransformer<float> device(model, stream);
    GrowingCache<DeviceRows> whole(config.cache_shape(), 0, {.stream = &stream});
    device.step(whole, some_tokens(40));
    CHECK(whole.length(0) == 40);
  }
  simt::config().most_blocks = 65535;
}
#endif
