// What the visualizer sees of a run on a GPU: the rows of its cache, copied back.
#include <doctest/doctest.h>

#include "common/caches.hpp"
#include "common/copied_back.hpp"
#include "kvcache/observe.hpp"
#include "small_models.hpp"

using namespace kvcache;

namespace {

std::vector<StepRecord> record(auto& model, auto&& make_cache, TraceOptions trace = {}) {
  using Model = std::remove_reference_t<decltype(model)>;
  using Cache = decltype(make_cache(MaybeObserver{}));
  TracedDecoding<float, Cache, Model> decoding(model, TracedCache<Cache>(make_cache), some_tokens(6), {.tokens = 12},
                                               trace);
  std::vector<StepRecord> steps;
  while (!decoding.done()) steps.push_back(decoding.next());
  return steps;
}
double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::fabs(double(a[i]) - double(b[i])));
  return largest;
}

}  // namespace

TEST_CASE("a run on a device leaves the records of a run on the CPU: rows, layouts, events, bytes") {
  const Model<float> model = random_model<float>(small_llama());
  const auto device = make_device_model(model, /*halves*/ false);
  Transformer<float> host(model);
  for (const char* name : {"growing", "preallocated", "concatenating", "paged:page=4", "window:sinks=1,recent=6",
                           "offloaded:block=4,recent=2"}) {
    CAPTURE(name);
    const bool is_offloaded = std::string_view(name).starts_with("offloaded");
    const auto there = record(*device, [&](MaybeObserver watch) { return device->make_cache(name, 20, watch); });
    const auto here =
        record(host, [&](MaybeObserver watch) { return make_cache(name, host.config().cache_shape(), 20, watch); });
    REQUIRE(there.size() == here.size());
    for (std::size_t s = 0; s < here.size(); ++s) {
      CAPTURE(s);
      CHECK(there[s].token == here[s].token);
      auto layouts = here[s].layouts;
      for (LayerLayout& layout : layouts)  // what the CPU writes to a file, a device writes to the host's memory
        for (StoragePiece& piece : layout.pieces)
          if (piece.kind == StoragePiece::Kind::in_file) piece.kind = StoragePiece::Kind::in_host;
      CHECK(there[s].layouts == layouts);
      if (!is_offloaded) CHECK(there[s].events == here[s].events);  // reads are counted otherwise there
      CHECK(there[s].memory.slow_bytes == here[s].memory.slow_bytes);
      CHECK(there[s].memory.used_bytes == here[s].memory.used_bytes);
      CHECK(largest_difference(there[s].keys, here[s].keys) < 1e-5);
      CHECK(largest_difference(there[s].values, here[s].values) < 1e-5);
      CHECK(there[s].traces.empty());  // attention weights stay there, and nobody says otherwise
    }
  }
}

TEST_CASE("the bytes that the kernels read are shown, in each format, and older blocks of an offloaded cache") {
  const Model<float> model = random_model<float>(small_llama());
  const auto device = make_device_model(model, /*halves*/ false);
  const CacheShape shape = device->config().cache_shape();
  for (const char* name : {"growing", "growing:format=f16", "growing:format=int8", "offloaded:block=2,recent=1"}) {
    CAPTURE(name);
    DeviceCache cache = device->make_cache(name, 20);
    device->step(cache, some_tokens(9));
    const auto copied = rows_to_read(*device, cache);
    Matrix<float> keys(9, shape.head_dim), values(9, shape.head_dim), one(1, shape.head_dim), other = one;
    RowReader<float> reader(shape.head_dim);
    for (int l = 0; l < shape.layers; ++l)
      for (int h = 0; h < shape.kv_heads; ++h) {
        keys.setConstant(7), values.setConstant(7);
        reader.read(copied, l, h, 0, out(keys), out(values));
        CHECK(keys.cwiseAbs().maxCoeff() < 7);
        CHECK(values.cwiseAbs().maxCoeff() < 7);
        for (int p = 0; p < 9; ++p) {  // a row alone is the row among others
          reader.read(copied, l, h, p, out(one), out(other));
          CHECK(one.row(0) == keys.row(p));
          CHECK(other.row(0) == values.row(p));
        }
      }
  }
  const auto steps =
      record(*device, [&](MaybeObserver watch) { return device->make_cache("growing:format=int8", 20, watch); },
             {.written_rows = true, .codes = true});
  for (const StepRecord& step : steps) {
    CHECK(step.codes.rows_with_codes(&CodedRows::keys) == std::size_t(model.config.layers * step.rows));
    CHECK(step.written_keys.empty());  // what was computed stays there; only what the cache holds is read
  }
}
