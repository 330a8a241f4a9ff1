// A window against transformers with the matching mask (tests/goldens/make_windows.py).
#include <doctest/doctest.h>

#include "common/instances.hpp"
#include "kvcache/cache/sliding_window_cache.hpp"
#include "kvcache/io/checkpoint.hpp"
#include "kvcache/model/transformer.hpp"
#include "temporary_folder.hpp"

using namespace kvcache;
using kvcache_test::read_file;

TEST_CASE("a cache that forgets answers as a model whose mask hides what was forgotten, to 1e-4") {
  const std::filesystem::path goldens = KVCACHE_GOLDENS;
  int cases = 0;
  for (const auto& golden : nlohmann::json::parse(read_file(goldens / "windows.json"))) {
    const std::string name = golden["model"];
    const WindowOptions window{golden["sinks"], golden["recent"]};
    CAPTURE(name);
    CAPTURE(window.sinks);
    CAPTURE(window.recent);
    const std::vector<int> text = golden["text"];
    const Model<float> model = load_model<float>(goldens / "models" / name);
    for (const int chunk : {1, 7, 44}) {
      Transformer<float> transformer(model);
      SlidingWindowCache<> cache(model.config.cache_shape(), window);
      for (int first = 0; first < std::ssize(text); first += chunk) {
        const auto part = std::span(text).subspan(std::size_t(first), std::size_t(std::min(chunk, 44 - first)));
        const Matrix<float> logits = transformer.step_all(cache, part);
        for (int t = 0; t < logits.rows(); ++t) {
          const auto expected = golden["logits"].find(std::to_string(first + t));
          if (expected == golden["logits"].end()) continue;
          const std::vector<float> numbers = *expected;
          double worst = 0;
          for (std::size_t i = 0; i < numbers.size(); ++i)
            worst = std::max(worst, double(std::abs(numbers[i] - logits(t, Eigen::Index(i)))));
          CHECK(worst < 1e-4);
        }
      }
    }
    ++cases;
  }
  CHECK(cases == 16);
}
