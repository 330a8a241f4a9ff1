#include <doctest/doctest.h>

#include "kvcache/model/shapes.hpp"
#include "kvcache/model/weights.hpp"
#include "small_models.hpp"

using namespace kvcache;

namespace {
/// Every number of the model, counted one tensor after another.
template <class Scalar>
std::int64_t counted(const Model<Scalar>& model) {
  const auto& w = model.weights;
  std::int64_t n =
      w.embedding.size() + w.positions.size() + w.output.size() + w.final_norm.gain.size() + w.final_norm.bias.size();
  for (const auto& l : w.layers) {
    for (const auto* linear : {&l.qkv, &l.attention_out, &l.up, &l.down})
      n += linear->weight.size() + linear->bias.size();
    n += l.q_norm.size() + l.k_norm.size();
    for (const auto* norm : {&l.attention_norm, &l.ffn_norm}) n += norm->gain.size() + norm->bias.size();
  }
  return n;
}
}  // namespace

TEST_CASE("parameters() counts every number of the model, and a step reads every matrix but the tables") {
  for (const SmallModel& small : small_models()) {
    const ModelConfig& c = small.config;
    const auto model = random_model<float>(c);
    CHECK(c.parameters() == counted(model));
    const int layer = c.qkv_size() + c.q_size() + c.up_size() + c.ffn;  // numbers of its matrices for each of hidden
    const std::size_t read = std::size_t(c.hidden) * std::size_t(c.layers * layer + c.vocab);
    CHECK(weight_bytes_per_step(model.weights) == 4 * read);
    CHECK(weight_bytes_per_step(random_model<double>(c).weights) == 8 * read);
  }
}

TEST_CASE("published parameter counts") {  // of the models' own cards
  CHECK(config_of_shape("gpt2").parameters() == 124439808);
  CHECK(config_of_shape("smollm2-135m").parameters() == 134515008);
  CHECK(config_of_shape("tinyllama-1.1b").parameters() == 1100048384);
  CHECK(config_of_shape("llama-3.2-1b").parameters() == 1235814400);
  CHECK(config_of_shape("llama-2-7b").parameters() == 6738415616);
  CHECK(config_of_shape("llama-3.1-8b").parameters() == 8030261248);
}

TEST_CASE("every named shape is a possible model; an unknown name is refused with those known") {
  for (const NamedShape& shape : named_shapes) CHECK_NOTHROW(check_config(config_of_shape(shape.name)));
  CHECK_THROWS_WITH_AS(config_of_shape("gpt5"),
                       doctest::Contains("shape \"gpt5\" is unknown; known are gpt2, gpt2-medium"), Error);
}

TEST_CASE("random weights are the same for a seed, in every number type") {
  const auto model = random_model<double>(small_gpt2()), again = random_model<double>(small_gpt2()),
             other = random_model<double>(small_gpt2(), 2);
  const auto narrow = random_model<float>(small_gpt2());
  CHECK(model.weights.layers[1].down.weight.unpacked() == again.weights.layers[1].down.weight.unpacked());
  CHECK(model.weights.layers[1].down.weight.unpacked() != other.weights.layers[1].down.weight.unpacked());
  CHECK(model.weights.layers[1].down.weight.unpacked() ==
        narrow.weights.layers[1].down.weight.unpacked().cast<double>());
}

TEST_CASE("impossible configs are refused with a sentence") {
  CHECK_NOTHROW(check_config(small_llama()));
  const auto refused = [](auto change, const char* sentence) {
    ModelConfig c = small_llama();
    change(c);
    CHECK_THROWS_WITH_AS(check_config(c), doctest::Contains(sentence), Error);
  };
  using C = ModelConfig;
  refused([](C& c) { c.layers = 0; }, "the number of layers is 0; it must be from 1 to 1024");
  refused([](C& c) { c.layers = 1025; }, "the number of layers is 1025");
  refused([](C& c) { c.hidden = -1; }, "hidden size is -1");
  refused([](C& c) { c.q_heads = 0; }, "the number of query heads is 0");
  refused([](C& c) { c.kv_heads = 0; }, "the number of kv heads is 0");
  refused([](C& c) { c.kv_heads = 5; }, "6 query heads cannot share 5 kv heads evenly");
  refused([](C& c) { c.kv_heads = 12; }, "6 query heads cannot share 12 kv heads evenly");
  refused([](C& c) { c.head_dim = 4098; }, "head_dim is 4098; it must be from 1 to 4096");
  refused([](C& c) { c.head_dim = 7; }, "head_dim is 7, but rope turns pairs");
  refused([](C& c) { c.ffn = 0; }, "feed-forward width is 0");
  refused([](C& c) { c.vocab = 1 << 23; }, "vocabulary is 8388608");
  refused([](C& c) { c.max_positions = 0; }, "the number of positions is 0");
  refused([](C& c) { c.norm_epsilon = 0; }, "norm epsilon is 0");
  refused([](C& c) { c.norm_epsilon = std::nan(""); }, "norm epsilon is nan");
  refused([](C& c) { c.rope_theta = 1; }, "rope theta is 1");
  refused([](C& c) { c.rope_theta = HUGE_VAL; }, "rope theta is inf");
  ModelConfig odd = small_gpt2();
  odd.head_dim = 7;
  CHECK_NOTHROW(check_config(odd));  // learned positions need no pairs
}
