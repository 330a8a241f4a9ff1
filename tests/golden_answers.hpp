// What a small model answers, to compare with the answers of transformers in a golden.json (tests/goldens/README.md).
#pragma once

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "kvcache/cache/contiguous_cache.hpp"
#include "kvcache/decode/generate.hpp"

namespace kvcache_test {

/// The largest difference from the golden's logits at any position of its prompt.
inline double largest_difference(const kvcache::Model<float>& model, const nlohmann::json& golden) {
  const std::vector<int> prompt = golden["prompt"];
  kvcache::Transformer<float> transformer(model);
  kvcache::GrowingCache<> cache(model.config.cache_shape());
  const kvcache::MatrixIn<float> logits = transformer.step_all(cache, prompt);
  double largest = 0;
  for (Eigen::Index t = 0; t < logits.rows(); ++t)
    for (Eigen::Index i = 0; i < logits.cols(); ++i)
      largest = std::max(
          largest, std::abs(double(logits(t, i)) - golden["logits"][std::size_t(t)][std::size_t(i)].get<double>()));
  return largest;
}

/// As many greedy tokens as the golden has.
inline std::vector<int> greedy(const kvcache::Model<float>& model, const nlohmann::json& golden,
                               bool use_cache = true) {
  const std::vector<int> prompt = golden["prompt"];
  kvcache::Transformer<float> transformer(model);
  kvcache::GrowingCache<> cache(model.config.cache_shape());
  return kvcache::generate(transformer, cache, prompt,
                           {.tokens = int(golden["greedy"].size()), .use_cache = use_cache});
}

}  // namespace kvcache_test
