// Small random models as GGUF files, in every format and architecture: their answers are those of transformers.
#include <doctest/doctest.h>

#include <cmath>

#include "common/instances.hpp"
#include "golden_answers.hpp"
#include "kvcache/io/checkpoint.hpp"
#include "kvcache/text/utf8_stream.hpp"
#include "threads.hpp"

using namespace kvcache;
using kvcache_test::greedy, kvcache_test::largest_difference;

namespace {

const std::filesystem::path goldens = std::filesystem::path(KVCACHE_GOLDENS) / "gguf";

}  // namespace

TEST_CASE("the logits of every GGUF file are those of transformers, to 1e-4, packed and unpacked") {
  const Threads one(1);
  int files = 0;
  double worst = 0;
  for (const auto& entry : std::filesystem::directory_iterator(goldens)) {
    const std::filesystem::path answers = std::filesystem::path(entry.path()).replace_extension(".golden.json");
    if (entry.path().extension() != ".gguf" || !std::filesystem::exists(answers)) continue;
    CAPTURE(entry.path().filename().string());
    const nlohmann::json golden = read_json(answers);
    const Checkpoint file(entry.path());
    for (const WeightsAs as : {WeightsAs::packed, WeightsAs::unpacked}) {
      const Model<float> model = file.model<float>(as);
      const double difference = largest_difference(model, golden);
      CHECK(difference < 1e-4);
      CHECK(greedy(model, golden) == golden["greedy"].get<std::vector<int>>());
      worst = std::max(worst, difference);
    }
    ++files;
  }
  CHECK(files == 13);
  MESSAGE("largest difference from transformers: ", worst);
}

TEST_CASE("weights of a GGUF file are used where they lie: no number is copied") {
  const Checkpoint file(goldens / "llama_mixed.gguf");
  const Model<float> model = file.model<float>();
  const TensorFiles files = file.tensors();
  const auto lies_in_file = [&](const WeightMatrix<float>& matrix) {
    bool all = matrix.rows() > 0;
    matrix.for_each_run(0, matrix.rows(), [&](const WeightRows<float>& rows, int) {
      const auto* place = rows.is_packed() ? rows.packed : reinterpret_cast<const std::byte*>(rows.numbers);
      bool found = false;
      for (const auto& [name, tensor] : files.tensors) found = found || tensor.bytes.data() == place;
      all = all && found;
    });
    return all;
  };
  CHECK(lies_in_file(model.weights.embedding));
  CHECK(lies_in_file(model.weights.output));
  for (const LayerWeights<float>& layer : model.weights.layers)
    for (const Linear<float>* linear : {&layer.qkv, &layer.attention_out, &layer.up, &layer.down})
      CHECK(lies_in_file(linear->weight));
}

TEST_CASE("a model keeps its file: it works when the checkpoint is gone") {
  const nlohmann::json golden = read_json(goldens / "llama_q4_1.golden.json");
  const Model<float> model = load_model<float>(goldens / "llama_q4_1.gguf");
  CHECK(greedy(model, golden) == golden["greedy"].get<std::vector<int>>());
}

TEST_CASE("a model in double agrees with transformers too: packed weights become doubles") {
  const Model<double> model = load_model<double>(goldens / "llama_q4_0.gguf");
  CHECK(weight_bytes_per_step(model.weights) > 100'000);
  const nlohmann::json golden = read_json(goldens / "llama_q4_0.golden.json");
  Transformer<double> transformer(model);
  GrowingCache<FloatRows<double>> cache(model.config.cache_shape());
  const std::vector<int> prompt = golden["prompt"];
  const MatrixIn<double> logits = transformer.step_all(cache, prompt);
  CHECK(std::abs(logits(3, 5) - golden["logits"][3][5].get<double>()) < 1e-4);
}

TEST_CASE("the tokenizer of a GGUF file gives the ids of Hugging Face's") {
  for (const auto& [name, golden] : {std::pair{"tokenizer_gpt2", "gpt2_rule"},
                                     {"tokenizer_llama3", "llama3_rule"},
                                     {"tokenizer_smollm", "digits"},
                                     {"tokenizer_qwen2", "qwen2_rule"}}) {
    const std::string file = name;
    CAPTURE(file);
    const Tokenizer tokenizer = load_tokenizer(goldens / (file + ".gguf"));
    const nlohmann::json rows =
        read_json(std::filesystem::path(KVCACHE_GOLDENS) / "tokenizers" / (std::string(golden) + ".golden.json"));
    CHECK(rows.size() > 100);
    for (const nlohmann::json& row : rows) {
      CAPTURE(row["text"].dump());
      const std::vector<int> ids = tokenizer.encode(row["text"].get<std::string>());
      CHECK(ids == row["ids"].get<std::vector<int>>());
      Utf8Stream stream;
      const std::string decoded = stream.add(tokenizer.decode(ids));
      CHECK(decoded + stream.finish() == row["decoded"].get<std::string>());
    }
  }
}
