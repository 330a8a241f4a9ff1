#include <doctest/doctest.h>

#include "common/instances.hpp"
#include "common/caches.hpp"
#include "kvcache/model/transformer.hpp"
#include "reference_transformer.hpp"
#include "small_models.hpp"
#include "threads.hpp"

using namespace kvcache;

// In float, what is left between cached and recomputed logits is rounding: a few units of 6e-8 times the size of the
// numbers (logits up to about 3), through a few sums of up to 48. 1e-5 is several times what was seen; a wrong row
// shows at 1e-2 and more.
constexpr double bound = 1e-5;

TEST_CASE("in float, cached and recomputed logits differ by rounding only") {
  const Threads one(1);
  const std::vector<int> tokens = some_tokens(24);
  for (const SmallModel& small : small_models()) {
    const auto model = random_model<float>(small.config);
    const auto in_double = random_model<double>(small.config);  // the same numbers
    const auto expected = reference::logits(in_double, tokens);
    Transformer<float> cached(model), plain(model);
    double worst = 0, worst_of_reference = 0;
    for (const CacheName& name : cache_names) {
      auto cache = make_cache(name.name, small.config.cache_shape(), 24);
      auto scratch = make_cache("growing", small.config.cache_shape(), 0);
      for (int done = 0, n = 9; done < 24; done += n, n = 1) {
        const auto logits = cached.step(cache, std::span(tokens).subspan(std::size_t(done), std::size_t(n)));
        scratch.clear();
        const auto recomputed = plain.step(scratch, std::span(tokens).first(std::size_t(done + n)));
        for (std::size_t i = 0; i < logits.size(); ++i) {
          worst = std::max(worst, double(std::abs(logits[i] - recomputed[i])));
          worst_of_reference =
              std::max(worst_of_reference, std::abs(logits[i] - expected[std::size_t(done + n - 1)][i]));
        }
      }
    }
    MESSAGE(std::string(small.name) << ": cached against recomputed " << worst << ", against double "
                                    << worst_of_reference);
    CHECK(worst < bound);
    CHECK(worst_of_reference < bound);
  }
}
