#include <doctest/doctest.h>

#include "allocations.hpp"
#include "common/instances.hpp"
#include "common/caches.hpp"
#include "kvcache/model/transformer.hpp"
#include "small_models.hpp"
#include "threads.hpp"

using namespace kvcache;

TEST_CASE("a warm decoding step allocates nothing") {
  if (!allocations::counting()) {
    MESSAGE("not checked: allocations cannot be counted in this build");
    return;
  }
  for (const SmallModel& small : small_models())
    for (const int threads : {1, 2}) {
      CAPTURE(std::string(small.name));
      const Threads scope(threads);
      const auto model = random_model<float>(small.config);
      Transformer<float> transformer(model);
      auto cache = make_cache("preallocated", small.config.cache_shape(), 48);
      const std::vector<int> tokens = some_tokens(48);
      const auto step = [&](int n) {
        transformer.step(cache, std::span(tokens).subspan(std::size_t(cache.length(0)), std::size_t(n)));
      };
      step(33);  // a prompt of more than one tile; from here on all work space is there
      step(1);
      cache.rewind(10);
      const allocations::Ledger ledger;
      for (const int n : {1, 2, 3, 4, 5, 1}) step(n);
      CHECK(ledger.count() == 0);
    }
}

TEST_CASE("the counter counts: a concatenating cache allocates in every step") {
  if (!allocations::counting()) return;
  const Threads one(1);
  const auto model = random_model<float>(small_llama());
  Transformer<float> transformer(model);
  auto cache = make_cache("concatenating", model.config.cache_shape(), 0);
  const std::vector<int> tokens = some_tokens(20);
  transformer.step(cache, std::span(tokens).first(10));
  const allocations::Ledger ledger;
  transformer.step(cache, std::span(tokens).subspan(10, 1));
  CHECK(ledger.count() == 3 * 2);  // keys and values of three layers
}
