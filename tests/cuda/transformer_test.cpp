#include "kvcache/cuda/transformer.cuh"

#include <array>
#include <cstring>

#include "allocations.hpp"
#include "kvcache/cache/contiguous_cache.hpp"
#include "kvcache/cache/evicting_cache.hpp"
#include "kvcache/cache/paged_cache.hpp"
#include "kvcache/cache/sliding_window_cache.hpp"
#include "kvcache/cuda/offloaded_cache.cuh"
#include "kvcache/model/transformer.hpp"
#include "on_device.hpp"
#include "small_models.hpp"

using namespace kvcache;
using namespace kvcache::cuda;

namespace {

/// Heads of 8 and a feed-forward width that the kernels can read by fours.
std::vector<SmallModel> models_for_kernels() {
  auto models = small_models();
  models[0].config.head_dim = 8;
  return models;
}

/// Feeds a text to both paths, a prompt and then token by token, each from its own cache of one policy; the logits of
/// every step must agree, and the likeliest token.
template <class Weight>
double largest_difference(DeviceTransformer<Weight>& device, Transformer<float>& host, auto device_cache,
                          auto host_cache, int prompt, int tokens) {
  const auto text = some_tokens(tokens);
  double largest = 0;
  for (int done = 0, n; done < tokens; done += n) {
    n = done == 0 ? prompt : 1;
    const auto part = std::span(text).subspan(std::size_t(done), std::size_t(n));
    const auto there = device.step(device_cache, part), here = host.step(host_cache, part);
    REQUIRE(there.size() == here.size());
    CHECK(device.work().keys_reused == host.work().keys_reused);
    CHECK(device.work().tokens_reused == host.work().tokens_reused);
    for (std::size_t i = 0; i < here.size(); ++i)
      largest = std::isnan(there[i]) ? HUGE_VAL : std::max(largest, std::fabs(double(there[i]) - double(here[i])));
  }
  CHECK(device_cache.memory().used_bytes == host_cache.memory().used_bytes);
  return largest;
}

struct Paths {
  explicit Paths(const Model<float>& model) : host(model), device(model, stream) {}
  DeviceOptions options(DeviceFormat format = DeviceFormat::f32) { return {format, &stream}; }
  CacheShape shape() const { return host.config().cache_shape(); }
  Stream stream;
  Transformer<float> host;
  DeviceTransformer<float> device;
};

}  // namespace

TEST_CASE("every family and kind of attention decodes as on the CPU, from growing rows") {
  for (const SmallModel& small : models_for_kernels()) {
    CAPTURE(small.name);
    const Model<float> model = random_model<float>(small.config);
    Paths paths(model);
    CHECK(largest_difference(paths.device, paths.host, GrowingCache<DeviceRows>(paths.shape(), 0, paths.options()),
                             GrowingCache<>(paths.shape()), 9, 40) < 1e-4);
  }
}

TEST_CASE("every policy that places rows on the CPU places them on the device") {
  for (const int which : {0, 1}) {  // GPT-2's family, and Llama's
    const Model<float> model = random_model<float>(models_for_kernels()[std::size_t(which)].config);
    Paths paths(model);
    const CacheShape shape = paths.shape();
    CHECK(largest_difference(paths.device, paths.host, PreallocatedCache<DeviceRows>(shape, 48, paths.options()),
                             PreallocatedCache<>(shape, 48), 1, 40) < 1e-4);
    CHECK(largest_difference(paths.device, paths.host, ConcatenatingCache<DeviceRows>(shape, 0, paths.options()),
                             ConcatenatingCache<>(shape, 0), 9, 12) < 1e-4);
    for (const int prompt : {1, 30}) {
      const WindowOptions window{.sinks = 2, .recent = 7};
      CHECK(largest_difference(paths.device, paths.host, SlidingWindowCache<DeviceRows>(shape, window, paths.options()),
                               SlidingWindowCache<>(shape, window), prompt, 40) < 1e-4);
    }
    // Positions that the policy noted one by one: on the device, a run for each piece of neighbours.
    const EvictionOptions eviction{.budget = 12, .recent = 4};
    for (const int prompt : {1, 30})
      CHECK(largest_difference(paths.device, paths.host, RandomCache<DeviceRows>(shape, eviction, paths.options()),
                               RandomCache<>(shape, eviction), prompt, 40) < 1e-4);
    for (const int page : {1, 4})
      CHECK(largest_difference(
                paths.device, paths.host,
                PagedCache<DeviceRows>(std::make_shared<PagePool<DeviceRows>>(shape, 48 / page, page, paths.options())),
                PagedCache<>(std::make_shared<PagePool<>>(shape, 48 / page, page)), 9, 40) < 1e-4);
  }
}

TEST_CASE("with shifted positions queries are turned on the device too, beyond the model's own length") {
  const Model<float> model = random_model<float>(small_llama());
  Paths paths(model);
  const WindowOptions window{.sinks = 2, .recent = 9, .positions = SinkPositions::shifted};
  CHECK(largest_difference(paths.device, paths.host,
                           SlidingWindowCache<DeviceRows>(paths.shape(), window, paths.options()),
                           SlidingWindowCache<>(paths.shape(), window), 5, 70) < 1e-4);
}

TEST_CASE("rows in device memory refuse slots that are not there") {
  Stream stream;
  DeviceRows rows({.layers = 1, .kv_heads = 2, .head_dim = 8}, {DeviceFormat::f32, &stream});
  rows.resize(4, 0);
  const Matrix<float> never_read = Matrix<float>::Zero(5, 16);
  CHECK_THROWS_WITH_AS(rows.write(0, in(never_read), in(never_read)),
                       doctest::Contains("DeviceRows: 5 rows do not fit at slot 0 of 4; resize() first"), Error);
  CHECK_THROWS_WITH_AS(rows.copy(0, 3, 2), doctest::Contains("2 slots cannot be copied from slot 0 to slot 3"), Error);
  CHECK_THROWS_WITH_AS(rows.resize(9, 5), doctest::Contains("with the first 5 of 4"), Error);
  CHECK_THROWS_WITH_AS(rows.block(0, 2, 3, 0), doctest::Contains("3 slots at 2 asked for, but there are 4"), Error);
}

TEST_CASE("a forked text goes its own way, and the first does not notice") {
  const Model<float> model = random_model<float>(small_llama());
  Paths paths(model);
  PagedCache<DeviceRows> first(std::make_shared<PagePool<DeviceRows>>(paths.shape(), 20, 4, paths.options()));
  PagedCache<> same(std::make_shared<PagePool<>>(paths.shape(), 20, 4));
  const std::vector<int> prompt = some_tokens(10), one{7}, other{9};
  paths.device.step(first, prompt), paths.host.step(same, prompt);
  auto second = first.fork();
  auto copy = first.clone();
  paths.device.step(second, one);
  const auto there = paths.device.step(first, other), here = paths.host.step(same, other);
  for (std::size_t i = 0; i < here.size(); ++i) CHECK(std::fabs(there[i] - here[i]) < 1e-4);
  const std::vector<float> logits(there.begin(), there.end());
  const auto again = paths.device.step(copy, other);
  CHECK(std::equal(logits.begin(), logits.end(), again.begin()));
  first.rewind(4);
  CHECK(first.length(0) == 4);
}

namespace {
using Offloaded = DeviceOffloadedCache<>;

/// With streams that do their work at once, or as late as they may: in each of the four ways that two kinds of streams
/// can, or as a device does it.
void with_streams_in_each_order(auto&& run) {
#if defined(__CUDACC__)
  run();
#else
#if defined(SIMT_ASAN)  // which looks at memory, not at orders
  simt::config().hold_streams = simt::config().hold_independent_streams = true;
  run();
#else
  for (const bool held : {false, true})
    for (const bool independent_held : {false, true}) {
      CAPTURE(held);
      CAPTURE(independent_held);
      simt::config().hold_streams = held, simt::config().hold_independent_streams = independent_held;
      run();
    }
#endif
  simt::config().hold_streams = simt::config().hold_independent_streams = false;
#endif
}
}  // namespace

TEST_CASE("older blocks lie in the host's memory, and come back in time, whichever stream is late") {
  const auto difference = [](const Model<float>& model, DeviceOffload sizes, int prompt, int tokens) {
    Paths paths(model);
    return largest_difference(paths.device, paths.host, Offloaded(paths.shape(), sizes, paths.options()),
                              GrowingCache<>(paths.shape()), prompt, tokens);
  };
  const Model<float> llama = random_model<float>(small_llama());
  with_streams_in_each_order([&] {
    CHECK(difference(llama, {4, 2}, 9, 24) < 1e-4);
    CHECK(difference(llama, {1, 1}, 1, 8) < 1e-4);
  });
  CHECK(difference(llama, {4, 1}, 30, 40) < 1e-4);
  CHECK(difference(llama, {64, 2}, 9, 40) < 1e-4);  // nothing leaves
  CHECK(difference(random_model<float>(models_for_kernels()[0].config), {7, 3}, 1, 40) < 1e-4);
}

TEST_CASE("offloaded rows give the very bits that rows on the device give; moves are counted") {
  const Model<float> model = random_model<float>(small_llama());
  Paths paths(model);
  const int layers = paths.shape().layers;
  for (const DeviceFormat format : {DeviceFormat::f32, DeviceFormat::f16, DeviceFormat::int8}) {
    Offloaded offloaded(paths.shape(), {4, 2}, paths.options(format));
    GrowingCache<DeviceRows> growing(paths.shape(), 0, paths.options(format));
    paths.device.step(offloaded, some_tokens(9)), paths.device.step(growing, some_tokens(9));
    for (int i = 0; i < 20; ++i) {
      const std::vector<int> token{i};
      const auto a = paths.device.step(growing, token);
      const std::vector<float> expected(a.begin(), a.end());
      const auto b = paths.device.step(offloaded, token);
      CHECK(std::memcmp(expected.data(), b.data(), b.size_bytes()) == 0);
    }
    // 29 tokens are 8 blocks of 4, of which 2 stay: 6 have left, at the lengths 9, 13, 17, 21 and 25, one or two each.
    const auto traffic = offloaded.traffic();
    CHECK(traffic.moved_out == 6 * layers);
    CHECK(offloaded.memory().slow_bytes == std::size_t(6 * layers) * traffic.block_bytes);
    CHECK(offloaded.memory().used_bytes == growing.memory().used_bytes);
    // A block is late in the step in which it leaves, and where rooms have grown and are filled anew; else foreseen.
    CHECK(traffic.late >= traffic.moved_out);
    CHECK(traffic.brought_back > 5 * traffic.late);
  }
}

TEST_CASE("an offloaded text that is rewound, cloned or cleared goes on as a text on the device does") {
  const Model<float> model = random_model<float>(small_llama());
  with_streams_in_each_order([&] {
    Paths paths(model);
    Offloaded offloaded(paths.shape(), {4, 2}, paths.options());
    GrowingCache<DeviceRows> growing(paths.shape(), 0, paths.options());
    const auto both = [&](auto& a, auto& b, std::vector<int> tokens) {
      const auto one = paths.device.step(a, tokens);
      const std::vector<float> expected(one.begin(), one.end());
      const auto other = paths.device.step(b, tokens);
      CHECK(std::memcmp(expected.data(), other.data(), other.size_bytes()) == 0);
    };
    both(growing, offloaded, some_tokens(30));
    for (const int length : {27, 10, 8, 1}) {
      CAPTURE(length);
      auto copy = offloaded.clone();
      auto same = growing.clone();
      offloaded.rewind(length), growing.rewind(length);
      both(growing, offloaded, {3});
      both(growing, offloaded, {length});
      both(same, copy, {7});
      offloaded = std::move(copy), growing = std::move(same);
      both(growing, offloaded, {length + 1});
    }
    offloaded.clear(), growing.clear();
    both(growing, offloaded, some_tokens(12));
  });
  Stream stream;
  CHECK_THROWS_WITH_AS(Offloaded({1, 1, 8}, {0, 1}, {.stream = &stream}),
                       "DeviceOffloadedCache: blocks of 0 tokens, 1 of them on the device, asked for; each must be at "
                       "least 1",
                       Error);
}

TEST_CASE("halves as weights, and rounded rows, differ by rounding") {
  const Model<float> model = random_model<float>(small_llama());
  Paths paths(model);
  Stream stream;
  DeviceTransformer<__half> halves(model, stream);
  const DeviceOptions options{DeviceFormat::f32, &stream};
  const double off = largest_difference(halves, paths.host, GrowingCache<DeviceRows>(paths.shape(), 0, options),
                                        GrowingCache<>(paths.shape()), 9, 20);
  CHECK(off < 1e-2);
  CHECK(off > 1e-5);
  for (const DeviceFormat format : {DeviceFormat::f16, DeviceFormat::int8}) {
    GrowingCache<DeviceRows> rounded(paths.shape(), 0, paths.options(format));
    GrowingCache<> whole(paths.shape());
    paths.device.step(rounded, some_tokens(9));
    paths.host.step(whole, some_tokens(9));
    const auto there = paths.device.step(rounded, std::vector<int>{4}),
               here = paths.host.step(whole, std::vector<int>{4});
    double largest = 0;
    for (std::size_t i = 0; i < here.size(); ++i)
      largest = std::max(largest, std::fabs(double(there[i]) - double(here[i])));
    CHECK(largest < 5e-2);
    CHECK(largest > 1e-6);
    CHECK(2 * rounded.memory().used_bytes <= whole.memory().used_bytes);
  }
}

TEST_CASE("the likeliest token is found on the device") {
  const Model<float> model = random_model<float>(small_llama());
  Paths paths(model);
  GrowingCache<DeviceRows> a(paths.shape(), 0, paths.options()), b(paths.shape(), 0, paths.options());
  std::vector<int> token = some_tokens(5);
  for (int i = 0; i < 8; ++i) {
    const auto logits = paths.device.step(a, token);
    const int likeliest = int(std::max_element(logits.begin(), logits.end()) - logits.begin());
    CHECK(paths.device.step_greedy(b, token) == likeliest);
    token = {likeliest};
  }
}

TEST_CASE("a warm step allocates nothing, and launches as many kernels as the last") {
  const Model<float> model = random_model<float>(small_llama());
  Paths paths(model);
  PreallocatedCache<DeviceRows> cache(paths.shape(), 40, paths.options());
  const std::vector<int> prompt = some_tokens(9), one{3};
  paths.device.step(cache, prompt);
  for (int i = 0; i < 3; ++i) paths.device.step(cache, one);
  const long launches = paths.stream.launches();
  paths.device.step(cache, one);
  const long of_a_step = paths.stream.launches() - launches;
  CHECK(of_a_step == 11 * 3 + 3);  // 12 a layer, and the lookup, the last norm and the output
#if !defined(__CUDACC__)
  const std::size_t before = simt::device_allocations();
  paths.device.step(cache, one);
  CHECK(simt::device_allocations() == before);
#endif
}

TEST_CASE("what the kernels cannot do is refused with a sentence") {
  ModelConfig odd = small_gpt2();  // heads of 6
  const Model<float> model = random_model<float>(odd);
  Stream stream;
  CHECK_THROWS_WITH_AS(
      DeviceTransformer<float>(model, stream),
      "CUDA: the model's head_dim is 6, but the kernels read 4 numbers at a time; it must be a multiple "
      "of 4",
      Error);
  CHECK_THROWS_WITH_AS(DeviceRows({1, 1, 6}, DeviceOptions{DeviceFormat::f32, &stream}),
                       doctest::Contains("head_dim is 6"), Error);
  CHECK_THROWS_WITH_AS(DeviceRows({1, 1, 8}, DeviceOptions{}), doctest::Contains("no stream given"), Error);
  const Model<float> llama = random_model<float>(small_llama());
  Paths paths(llama);
  GrowingCache<DeviceRows> other({1, 1, 8}, 0, paths.options());
  CHECK_THROWS_WITH_AS(paths.device.step(other, some_tokens(2)), doctest::Contains("the cache is for 1 layers"), Error);
  GrowingCache<DeviceRows> right(paths.shape(), 0, paths.options());
  CHECK_THROWS_WITH_AS(paths.device.step(right, std::vector<int>{50}), doctest::Contains("token id 50"), Error);
  CHECK_THROWS_WITH_AS(paths.device.step(right, std::vector<int>{}), doctest::Contains("no tokens"), Error);
#if !defined(__CUDACC__)
  simt::config().device_bytes = 1000;
  CHECK_THROWS_WITH_AS(paths.device.step(right, some_tokens(20)), doctest::Contains("bytes of device memory asked for"),
                       Error);
  simt::config().device_bytes = SIZE_MAX;
#endif
}
