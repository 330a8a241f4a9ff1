#include "kvcache/observe/timeline.hpp"

#include <doctest/doctest.h>

using namespace kvcache;

namespace {

constexpr int prompt = 3, layers = 2, kv_heads = 2, dim = 2, q_heads = 4;

TimelineAbout about() {
  TimelineAbout about;
  about.config.layers = layers, about.config.kv_heads = kv_heads, about.config.head_dim = dim;
  about.config.q_heads = q_heads;
  about.prompt = {5, 6, 7};
  about.spelling = {{5, "five"}};
  about.tokens = 4;
  return about;
}
/// A number that tells where it stands.
float number(int side, int layer, int head, int position, int d) {
  return float((((side * 10 + layer) * 10 + head) * 10 + position) * 10 + d);
}
StepRecord step(int index) {
  StepRecord record;
  record.index = index, record.token = 10 + index;
  record.first_position = index == 0 ? 0 : prompt + index - 1;
  record.rows = index == 0 ? prompt : 1;
  for (int l = 0; l < layers; ++l)
    for (int h = 0; h < kv_heads; ++h)
      for (int r = 0; r < record.rows; ++r)
        for (int d = 0; d < dim; ++d) {
          record.keys.push_back(number(1, l, h, record.first_position + r, d));
          record.values.push_back(number(2, l, h, record.first_position + r, d));
        }
  record.spelling = {{record.token, "step" + std::to_string(index)}};
  return record;
}
LayerTrace weights_of(const StepRecord& record, int layer) {
  LayerTrace trace;
  trace.attention = {record.first_position, record.rows, q_heads, {}};
  for (int h = 0; h < q_heads; ++h)
    for (int p = record.first_position; p < record.first_position + record.rows; ++p)
      for (int key = 0; key <= p; ++key) trace.attention.numbers.push_back(number(3, layer, h, p, key));
  return trace;
}
Timeline timeline(int steps = 3) {
  Timeline result(about());
  for (int i = 0; i < steps; ++i) {
    StepRecord record = step(i);
    record.traces[1] = weights_of(record, 1);
    result.add(record);
  }
  return result;
}

}  // namespace

TEST_CASE("a query at position p has p + 1 weights; heads lie after each other") {
  CHECK(AttentionWeights::size_of_head(0, 1) == 1);
  CHECK(AttentionWeights::size_of_head(0, 3) == 1 + 2 + 3);
  CHECK(AttentionWeights::size_of_head(5, 3) == 6 + 7 + 8);
  CHECK(AttentionWeights::size_of_head(5, 0) == 0);
  CHECK(AttentionWeights::size_of_head(100000, 100000) == 15000050000u);  // more than an int
  const AttentionWeights weights{5, 3, 2, std::vector<float>(42)};
  CHECK(weights.offset(0, 5) == 0);
  CHECK(weights.offset(0, 6) == 6);
  CHECK(weights.offset(0, 7) == 13);
  CHECK(weights.offset(1, 5) == 21);
  CHECK(weights.offset(1, 7) == 34);
  CHECK(weights.row(1, 7).data() == weights.numbers.data() + 34);
  CHECK(weights.row(1, 7).size() == 8);  // to the very end
}

TEST_CASE("the prompt is read in step 0, and each chosen token in the step after") {
  const Timeline t = timeline();
  CHECK(t.step_of(0) == 0);
  CHECK(t.step_of(2) == 0);
  CHECK(t.step_of(3) == 1);
  CHECK(t.step_of(4) == 2);
  CHECK(t.length_after(0) == 3);
  CHECK(t.length_after(2) == 5);
  for (int p = 0; p < 5; ++p) {
    CHECK(p < t.length_after(t.step_of(p)));
    CHECK((t.step_of(p) == 0 || p >= t.length_after(t.step_of(p) - 1)));
  }
  const auto text = t.text();
  CHECK(std::vector<int>(text.begin(), text.end()) == std::vector<int>{5, 6, 7, 10, 11, 12});
  CHECK(t.formula_bytes(1) == 2 * layers * kv_heads * dim * 4 * 4);
  CHECK(t.spelling(5) == "five");
  CHECK(t.spelling(12) == "step2");
  CHECK(t.spelling(6).empty());
}

TEST_CASE("keys, values and weights are found by position, whichever step computed them") {
  const Timeline t = timeline();
  for (int l = 0; l < layers; ++l)
    for (int p = 0; p < 5; ++p) {
      for (int h = 0; h < kv_heads; ++h) {
        const auto key = t.key(l, h, p), value = t.value(l, h, p);
        REQUIRE(int(key.size()) == dim);
        REQUIRE(int(value.size()) == dim);
        for (int d = 0; d < dim; ++d) CHECK(key[std::size_t(d)] == number(1, l, h, p, d));
        for (int d = 0; d < dim; ++d) CHECK(value[std::size_t(d)] == number(2, l, h, p, d));
      }
      for (int h = 0; h < q_heads; ++h) {
        const auto weights = t.attention(l, h, p);
        CHECK(int(weights.size()) == (l == 1 ? p + 1 : 0));  // layer 0 was not recorded
        for (std::size_t k = 0; k < weights.size(); ++k) CHECK(weights[k] == number(3, l, h, p, int(k)));
      }
    }
}

TEST_CASE("what was not recorded, or not yet, is empty") {
  const Timeline t = timeline(2);
  CHECK(t.key(0, 0, 4).empty());
  CHECK(t.value(1, 1, 4).empty());
  CHECK(t.attention(1, 0, 4).empty());
  CHECK(t.trace(1, 2) == nullptr);
  CHECK(t.trace(0, 1) == nullptr);
  Timeline bare(about());
  StepRecord without = step(0);
  without.keys.clear();
  bare.add(without);
  CHECK(bare.key(0, 0, 1).empty());
  CHECK(bare.value(0, 0, 1).size() == dim);
  CHECK(Timeline().steps() == 0);
  CHECK(Timeline().key(0, 0, 0).empty());
}

TEST_CASE("steps come in order") {
  Timeline t = timeline(2);
  CHECK_THROWS_WITH_AS(t.add(step(3)), "Timeline: step 3 came after 2 steps", Error);
  CHECK_THROWS_WITH_AS(t.add(step(1)), "Timeline: step 1 came after 2 steps", Error);
  CHECK(t.steps() == 2);
  CHECK(t.text().size() == 5);
  t.add(step(2));
  CHECK(t.records().size() == 3);
}

TEST_CASE("a layer may be added later, and counts in the bytes once") {
  Timeline t = timeline(2);
  const std::size_t before = t.bytes();
  const LayerTrace late = weights_of(t.step(1), 0);
  t.add_trace(0, 1, late);
  CHECK(t.attention(0, 2, 3)[1] == number(3, 0, 2, 3, 1));
  CHECK(t.attention(0, 2, 2).empty());
  CHECK(t.bytes() == before + late.bytes());
  t.add_trace(0, 1, late);  // again
  CHECK(t.bytes() == before + late.bytes());
  CHECK_THROWS_WITH_AS(t.add_trace(0, 2, late), "Timeline: a trace of step 2 given, but there are 2", Error);
  CHECK_THROWS_AS(t.add_trace(0, -1, late), Error);
}

TEST_CASE("a layout says where a token lies") {
  const LayerLayout layout{10, {{4, 0, 3}, {0, 7, 2}}};
  CHECK(layout.rows() == 5);
  CHECK(layout.slot_of(2) == 6);
  CHECK(layout.slot_of(3) == -1);
  CHECK(layout.slot_of(8) == 1);
  CHECK(layout.position_in(4) == 0);
  CHECK(layout.position_in(1) == 8);
  CHECK(layout.position_in(2) == -1);
  StepRecord record;
  record.layouts = {layout};
  CHECK(&record.layout(7) == &record.layouts[0]);  // one for all
  record.layouts.push_back({});
  CHECK(&record.layout(1) == &record.layouts[1]);
}
