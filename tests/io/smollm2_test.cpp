// A real model, if it is on this machine: ids, logits and text are those of transformers.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "common/instances.hpp"
#include "kvcache/cache/contiguous_cache.hpp"
#include "kvcache/decode/generate.hpp"
#include "kvcache/io/checkpoint.hpp"
#include "kvcache/io/find_model.hpp"
#include "sanitized.hpp"
#include "threads.hpp"

using namespace kvcache;

namespace {

nlohmann::json goldens() { return read_json(std::filesystem::path(KVCACHE_GOLDENS) / "smollm2.json"); }

constexpr std::size_t most_tokens = KVCACHE_TESTS_SANITIZED ? 4 : 64;  // a few show what sanitizers can find

const Checkpoint* smollm2() {
  static const auto files = []() -> std::optional<Checkpoint> {
    try {
      return Checkpoint(find_model("smollm2"));
    } catch (const Error& error) {
      MESSAGE("skipped: ", error.what());
      return {};
    }
  }();
  return files ? &*files : nullptr;
}

}  // namespace

TEST_CASE("SmolLM2's tokenizer gives the ids that transformers gives") {
  const Checkpoint* files = smollm2();
  if (!files) return;
  const Tokenizer tokenizer = files->tokenizer();
  for (const nlohmann::json& golden : goldens()) {
    CHECK(tokenizer.encode(golden["prompt"].get<std::string>()) == golden["ids"].get<std::vector<int>>());
    CHECK(tokenizer.decode(golden["greedy"].get<std::vector<int>>()) == golden["text"].get<std::string>());
  }
}

TEST_CASE("SmolLM2's logits are those of transformers to 1e-3, its first 64 greedy tokens are equal") {
  const Checkpoint* files = smollm2();
  if (!files) return;
  const Threads two(2);
  const Model<float> model = files->model<float>();
  Transformer<float> transformer(model);
  for (const nlohmann::json& golden : goldens()) {
    const std::vector<int> prompt = golden["ids"];
    std::vector<int> expected = golden["greedy"];
    if (expected.size() > most_tokens) expected.resize(most_tokens);
    GrowingCache<> cache(model.config.cache_shape());
    bool is_first = true;
    const std::vector<int> got =
        generate(transformer, cache, prompt, {.tokens = int(expected.size())}, [&](const Step<float>& step) {
          if (!std::exchange(is_first, false)) return;
          double sum = 0, squares = 0;
          for (const float logit : step.logits) sum += double(logit), squares += double(logit) * double(logit);
          for (const nlohmann::json& best : golden["top5"])
            CHECK(double(step.logits[best[0].get<std::size_t>()]) ==
                  doctest::Approx(best[1].get<double>()).epsilon(1e-3 / 25));
          CHECK(std::sqrt(squares) == doctest::Approx(golden["logit_l2"].get<double>()).epsilon(1e-5));
          CHECK(std::abs(sum - golden["logit_sum"].get<double>()) < 1e-3 * double(step.logits.size()));
        });
    CHECK(got == expected);
  }
}

TEST_CASE("packed weights and the same ones as floats give the same logits, to 1e-5 of their size") {
  const Checkpoint* files = smollm2();
  if (!files || most_tokens < 64) return;
  const Threads two(2);
  const Model<float> packed = files->model<float>(), unpacked = files->model<float>(WeightsAs::unpacked);
  CHECK(weight_bytes_per_step(unpacked.weights) > 5 * weight_bytes_per_step(packed.weights));
  const std::vector<int> text = goldens()[0]["greedy"];
  for (const std::size_t tokens : {std::size_t(1), text.size()}) {
    std::vector<float> logits[2];
    for (const Model<float>* model : {&packed, &unpacked}) {
      Transformer<float> transformer(*model);
      GrowingCache<> cache(model->config.cache_shape());
      const std::span<const float> got = transformer.step(cache, std::span(text).first(tokens));
      logits[model == &unpacked].assign(got.begin(), got.end());
    }
    float largest = 0, difference = 0;
    for (std::size_t i = 0; i < logits[0].size(); ++i) {
      largest = std::max(largest, std::abs(logits[1][i]));
      difference = std::max(difference, std::abs(logits[0][i] - logits[1][i]));
    }
    MESSAGE(tokens, " tokens: largest difference ", difference, " of logits up to ", largest);
    CHECK(difference <= 1e-5f * largest);
  }
}
