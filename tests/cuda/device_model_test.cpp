// What programs see of a GPU: caches by name, generation, the proof, and sentences where something is missing.
#include "common/device_model.hpp"

#include "kvcache/cache/contiguous_cache.hpp"
#include "kvcache/decode/generate.hpp"
#include "kvcache/decode/proof.hpp"
#include "on_device.hpp"
#include "small_models.hpp"

using namespace kvcache;

TEST_CASE("a text is written as on the CPU, with every cache that a device has, and the proof holds") {
  const Model<float> model = random_model<float>(small_llama());
  const auto device = make_device_model(model, /*halves*/ false);
  Transformer<float> host(model);
  GrowingCache<> cache(host.config().cache_shape());
  const auto prompt = some_tokens(6);
  const std::vector<int> expected = generate(host, cache, prompt, {.tokens = 12});
  for (const char* name : {"growing", "preallocated", "concatenating", "paged:page=4", "window:sinks=1,recent=30",
                           "offloaded:block=2,recent=3"}) {
    CAPTURE(name);
    DeviceCache there = device->make_cache(name, 20);
    CHECK(generate(*device, there, prompt, {.tokens = 12}) == expected);
    CHECK(there.memory().used_bytes == cache.memory().used_bytes);
    DeviceCache scratch = device->make_cache(name, 20);
    const auto text = some_tokens(12);
    CHECK(largest_logit_difference(*device, there, scratch, std::span<const int>(text), 6, [](int) {}).largest < 1e-5);
  }
  CHECK(device->launches() > 0);
  CHECK(device->work().total_multiplications() > 0);
}

TEST_CASE("bytes are those of the format, and what is forgotten is told") {
  const Model<float> model = random_model<float>(small_llama());
  const auto device = make_device_model(model, /*halves*/ true);
  const auto used = [&](const char* name) {
    DeviceCache cache = device->make_cache(name, 10);
    device->step(cache, some_tokens(5));
    return cache.memory().used_bytes;
  };
  CHECK(used("growing") == 5 * 3 * 2 * 2 * 8 * 4);
  CHECK(used("growing:format=f16") == 5 * 3 * 2 * 2 * 8 * 2);
  CHECK(used("growing:format=int8") == 5 * 3 * 2 * 2 * (8 + 4));
  int evicted = 0;
  std::function<void(const PolicyEvent&)> listener = [&](const PolicyEvent& event) {
    evicted += std::holds_alternative<Evicted>(event);
  };
  DeviceCache window = device->make_cache("window:sinks=1,recent=3", 10, MaybeObserver{&listener});
  device->step(window, some_tokens(7));
  CHECK(evicted == 3 * 3);  // in each of three layers
}

TEST_CASE("what a device has not is refused with a sentence") {
  const Model<float> model = random_model<float>(small_llama());
  const auto device = make_device_model(model, false);
  CHECK_THROWS_WITH_AS(
      device->make_cache("heavy-hitter", 10),
      "cache \"heavy-hitter\" is not there on a device; take growing, preallocated, concatenating, window, "
      "paged, random or offloaded, or leave --device out",
      Error);
  CHECK_THROWS_WITH_AS(device->make_cache("growing:format=int4", 10), doctest::Contains("f32 or f16 or int8"), Error);
  CHECK_THROWS_WITH_AS(device->make_cache("growing:pages=3", 10), doctest::Contains("unknown"), Error);
  DeviceCache cache = device->make_cache("growing", 10);
  device->step(cache, some_tokens(5));
  ByteWriter writer;
  CHECK_THROWS_WITH_AS(cache.save(writer), doctest::Contains("cannot be saved"), Error);
#if !defined(__CUDACC__)
  CHECK(list_devices().size() == 1);
  simt::config().devices = 0;
  CHECK(list_devices().empty());
  CHECK_THROWS_WITH_AS(
      make_device_model(model, false),
      "no GPU can be used: no CUDA-capable device is detected. Leave --device out, or see what `kvcache "
      "info` and nvidia-smi find",
      Error);
  simt::config().devices = 1;
#endif
}
