#include "kvcache/cuda/attention.cuh"

#include "kvcache/cuda/device_rows.cuh"
#include "on_device.hpp"

using namespace kvcache;
using namespace kvcache::cuda;

namespace {

/// A table of pages from the last to the first, the text's last one not full, with what attention over it must give.
struct Text {
  Text(int kv_heads, int group, int dim, int rows, kvcache::cuda::DeviceFormat format = kvcache::cuda::DeviceFormat::f32,
       int page = 5)
      : kv_heads(kv_heads),
        group(group),
        dim(dim),
        rows(rows),
        random(std::uint64_t(rows * dim)),
        storage({2, kv_heads, dim}, DeviceOptions{format, &stream}) {
    const int pages = (rows + page - 1) / page + 2;
    storage.resize(pages * page, 0);
    keys = random_floats(std::size_t(rows * kv_heads * dim), random), values = random_floats(keys.size(), random);
    const auto keys_there = on_device(keys), values_there = on_device(values);
    const auto view = [&](const DeviceMemory<float>& side, int first, int count) {
      return MatrixIn<float>(side.data() + first * kv_heads * dim, count, kv_heads * dim,
                             Eigen::OuterStride<>(kv_heads * dim));
    };
    for (int i = 0; i * page < rows; ++i) {
      const int first = i * page, count = std::min(page, rows - first), slot = (pages - 1 - i) * page;
      storage.write(slot, view(keys_there, first, count), view(values_there, first, count));
      runs.push_back({first, slot, first, 0});
    }
    stream.finish();
  }
  Table table(const DeviceMemory<Run>& runs_there) const {
    return {runs_there.data(), int(runs.size()), rows, storage.block(0, 0, 1, 0).storage};
  }
  /// Of query head h of a token that sees the rows at its position and before.
  std::vector<double> expected(const std::vector<float>& queries, int tokens, int first_position,
                               const std::vector<float>& turned = {}, int rows_turned = 0) const {
    std::vector<double> output;
    const int q_heads = kv_heads * group;
    for (int t = 0; t < tokens; ++t)
      for (int h = 0; h < q_heads; ++h) {
        std::vector<double> weights, sums(std::size_t(dim), 0);
        double sum = 0;
        const auto at = [&](int r) { return std::size_t((r * kv_heads + h / group) * dim); };
        for (int r = 0; r < rows && r <= first_position + t; ++r) {
          double score = 0;
          const auto& q = r < rows_turned ? turned : queries;
          for (int d = 0; d < dim; ++d)
            score += double(q[std::size_t((t * q_heads + h) * dim + d)]) * double(keys[at(r) + std::size_t(d)]);
          weights.push_back(std::exp(score / std::sqrt(dim)));
          sum += weights.back();
        }
        for (std::size_t r = 0; r < weights.size(); ++r)
          for (int d = 0; d < dim; ++d)
            sums[std::size_t(d)] += weights[r] / sum * double(values[at(int(r)) + std::size_t(d)]);
        output.insert(output.end(), sums.begin(), sums.end());
      }
    return output;
  }
  std::vector<float> attended(const std::vector<float>& queries, int tokens, int first_position, int blocks = 264,
                              const std::vector<float>& turned = {}) {
    return in_each_order([&] {
      DeviceAttention attention(blocks, /*part_rows*/ 8);
      const auto runs_there = on_device(runs);
      const auto queries_there = on_device(queries), turned_there = on_device(turned);
      DeviceMemory<float> output(queries.size());
      const int stride = kv_heads * group * dim;
      attention.attend(
          {queries_there.data(), turned.empty() ? nullptr : turned_there.data(), tokens, first_position, stride},
          table(runs_there), {kv_heads * group, kv_heads, dim, 1 / std::sqrt(float(dim))}, output.data(), stream);
      stream.finish();
      return on_host(output);
    });
  }
  int kv_heads, group, dim, rows;
  Random random;
  Stream stream;
  DeviceRows storage;
  std::vector<float> keys, values;
  std::vector<Run> runs;
};

}  // namespace

struct Heads {
  int kv_heads, group, dim;
};

TEST_CASE("one query: MHA, GQA and MQA, heads of any width, texts split into any parts") {
  for (const Heads& heads : {Heads{2, 1, 8}, {2, 3, 64}, {1, 6, 100}, {1, 2, 128}, {1, 1, 256}})
    for (const int rows : {1, 9, 70})
      for (const int blocks : {1, 8}) {
        CAPTURE(heads.dim);
        CAPTURE(rows);
        CAPTURE(blocks);
        Text text(heads.kv_heads, heads.group, heads.dim, rows);
        const auto queries = random_floats(std::size_t(heads.kv_heads * heads.group * heads.dim), text.random, 2);
        CHECK(worst(text.attended(queries, 1, rows - 1, blocks), text.expected(queries, 1, rows - 1)) < 2e-6);
      }
}

TEST_CASE("many queries: each sees its own row and those before, not one more") {
  for (const Heads& heads : {Heads{2, 1, 8}, {2, 3, 36}, {1, 2, 128}})
    for (const auto& lengths : {std::pair{2, 2}, {9, 9}, {45, 13}, {70, 3}}) {
      const int rows = lengths.first, tokens = lengths.second;
      CAPTURE(heads.dim);
      CAPTURE(rows);
      Text text(heads.kv_heads, heads.group, heads.dim, rows);
      const auto queries =
          random_floats(std::size_t(tokens * heads.kv_heads * heads.group * heads.dim), text.random, 2);
      CHECK(worst(text.attended(queries, tokens, rows - tokens), text.expected(queries, tokens, rows - tokens)) < 2e-6);
    }
}

TEST_CASE("packed rows are read as they were rounded") {
  for (const auto& [format, tolerance] :
       {std::pair{kvcache::cuda::DeviceFormat::f16, 1e-3}, {kvcache::cuda::DeviceFormat::int8, 2e-2}})
    for (const int tokens : {1, 4}) {
      Text text(2, 3, 36, 45, format);
      const auto queries = random_floats(std::size_t(tokens * 6 * 36), text.random);
      const auto output = text.attended(queries, tokens, 45 - tokens);
      const double off = worst(output, text.expected(queries, tokens, 45 - tokens));
      CHECK(off < tolerance);
      CHECK(off > tolerance / 1000);  // it was rounded indeed
    }
}

TEST_CASE("rows with a gap are read by the queries that were turned back") {
  for (const int tokens : {1, 3}) {
    Text text(1, 2, 16, 23);
    text.runs[0].position_gap = text.runs[1].position_gap = 4;  // the first ten rows
    const auto queries = random_floats(std::size_t(tokens * 2 * 16), text.random, 2),
               turned = random_floats(queries.size(), text.random, 2);
    CHECK(worst(text.attended(queries, tokens, 23 - tokens, 264, turned),
                text.expected(queries, tokens, 23 - tokens, turned, 10)) < 2e-6);
  }
}

TEST_CASE("scores too large for exp do no harm") {
  Text text(1, 1, 8, 40);
  for (float& k : text.keys) k *= 1000;
  const auto keys_there = on_device(text.keys), values_there = on_device(text.values);
  text.storage.write(0, MatrixIn<float>(keys_there.data(), 40, 8, Eigen::OuterStride<>(8)),
                     MatrixIn<float>(values_there.data(), 40, 8, Eigen::OuterStride<>(8)));
  text.runs = {{0, 0, 0, 0}};
  const auto queries = random_floats(8, text.random, 2), many = random_floats(3 * 8, text.random, 2);
  for (const float x : text.attended(queries, 1, 39)) CHECK(std::isfinite(x));
  for (const float x : text.attended(many, 3, 37)) CHECK(std::isfinite(x));
}
