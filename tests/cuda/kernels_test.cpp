#include <cstring>

#include "cuda/cpu_side.hpp"
#include "kvcache/cuda/kernels/activate.cuh"
#include "kvcache/cuda/kernels/append.cuh"
#include "kvcache/cuda/kernels/argmax.cuh"
#include "kvcache/cuda/kernels/embed.cuh"
#include "kvcache/cuda/kernels/norm.cuh"
#include "kvcache/cuda/kernels/project.cuh"
#include "kvcache/cuda/kernels/rope.cuh"
#include "kvcache/position/rope.hpp"
#include "on_device.hpp"

using namespace kvcache;
using namespace kvcache::cuda;

namespace {

std::vector<double> product(const std::vector<float>& weight, const std::vector<float>& bias,
                            const std::vector<float>& x, int tokens, int outputs, int inputs) {
  std::vector<double> y;
  for (int t = 0; t < tokens; ++t)
    for (int o = 0; o < outputs; ++o) {
      double sum = bias.empty() ? 0 : bias[std::size_t(o)];
      for (int i = 0; i < inputs; ++i)
        sum += double(weight[std::size_t(o * inputs + i)]) * double(x[std::size_t(t * inputs + i)]);
      y.push_back(sum);
    }
  return y;
}

}  // namespace

TEST_CASE("files of both languages agree on what Eigen aligns its memory to, for matrices pass between them") {
  CHECK(EIGEN_DEFAULT_ALIGN_BYTES == alignment_on_cpu());
}

TEST_CASE("products of one token and of many are the textbook's, in f32 and f16 weights, added or not") {
  Random random(1);
  struct Sizes {
    int tokens, outputs, inputs;
  };
  for (const Sizes& sizes : {Sizes{1, 9, 20}, {1, 130, 260}, {2, 5, 4}, {13, 30, 1100}, {70, 66, 36}}) {
    const int tokens = sizes.tokens, outputs = sizes.outputs, inputs = sizes.inputs;
    CAPTURE(tokens);
    auto weight = random_floats(std::size_t(outputs * inputs), random),
         bias = random_floats(std::size_t(outputs), random), x = random_floats(std::size_t(tokens * inputs), random),
         before = random_floats(std::size_t(tokens * outputs), random);
    for (const bool adds : {false, true})
      for (const bool halves : {false, true}) {
        std::vector<__half> rounded(weight.begin(), weight.end());
        if (halves)
          for (std::size_t i = 0; i < weight.size(); ++i) weight[i] = float(rounded[i]);
        auto expected = product(weight, adds ? std::vector<float>() : bias, x, tokens, outputs, inputs);
        if (adds)
          for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += double(before[i]);
        const auto y = in_each_order([&] {
          Stream stream;
          const auto x_there = on_device(x), weight_there = on_device(weight), bias_there = on_device(bias);
          const auto rounded_there = on_device(rounded);
          auto y_there = on_device(before);
          const float* given_bias = adds ? nullptr : bias_there.data();
          if (halves)
            project(Product<__half>{rounded_there.data(), given_bias, x_there.data(), y_there.data(), outputs, inputs,
                                    tokens, adds},
                    stream);
          else
            project(Product<float>{weight_there.data(), given_bias, x_there.data(), y_there.data(), outputs, inputs,
                                   tokens, adds},
                    stream);
          stream.finish();
          return on_host(y_there);
        });
        CHECK(worst(y, expected) < 2e-6 * inputs);
        if (halves || tokens == 1) continue;
        Stream stream;  // in pieces, the last of one token
        const auto x_there = on_device(x), weight_there = on_device(weight), bias_there = on_device(bias);
        auto y_there = on_device(before);
        project(Product<float>{weight_there.data(), adds ? nullptr : bias_there.data(), x_there.data(), y_there.data(),
                               outputs, inputs, tokens, adds},
                stream, /*at_once*/ tokens == 70 ? 23 : 1);
        stream.finish();
        CHECK(on_host(y_there) == y);
      }
  }
}

TEST_CASE("norms are the textbook's: of whole tokens, and of heads where they lie") {
  Random random(2);
  const int tokens = 3, size = 300;
  const auto x = random_floats(tokens * size, random, 3), gain = random_floats(size, random),
             bias = random_floats(size, random);
  std::vector<double> rms, layer;
  for (int t = 0; t < tokens; ++t) {
    double sum = 0, squares = 0, deviation = 0;
    for (int i = 0; i < size; ++i)
      sum += double(x[std::size_t(t * size + i)]), squares += std::pow(double(x[std::size_t(t * size + i)]), 2);
    for (int i = 0; i < size; ++i) deviation += std::pow(double(x[std::size_t(t * size + i)]) - sum / size, 2);
    for (int i = 0; i < size; ++i) {
      const double number = double(x[std::size_t(t * size + i)]), g = double(gain[std::size_t(i)]);
      rms.push_back(number / std::sqrt(squares / size + 1e-5) * g);
      layer.push_back((number - sum / size) / std::sqrt(deviation / size + 1e-5) * g + double(bias[std::size_t(i)]));
    }
  }
  const auto gain_there = on_device(gain), bias_there = on_device(bias), x_there = on_device(x);
  const auto run = [&](auto&& launch) {
    return in_each_order([&] {
      Stream stream;
      DeviceMemory<float> y(x.size());
      launch(stream, y.data());
      stream.finish();
      return on_host(y);
    });
  };
  CHECK(worst(run([&](Stream& stream, float* y) {
                stream.launch(rms_norm_rows<256>, dim3(tokens), dim3(256), 0, x_there.data(), gain_there.data(), y,
                              size, size, 1e-5f);
              }),
              rms) < 1e-5);
  CHECK(worst(run([&](Stream& stream, float* y) {
                stream.launch(layer_norm_rows<256>, dim3(tokens), dim3(256), 0, x_there.data(), gain_there.data(),
                              bias_there.data(), y, size, 1e-5f);
              }),
              layer) < 1e-5);
  // Two heads of 8 in the middle of rows of 300, in place: the other numbers stay.
  auto heads = on_device(x);
  Stream stream;
  stream.launch(rms_norm_rows<256>, dim3(tokens, 2), dim3(256), 0, static_cast<const float*>(heads.data() + 16),
                gain_there.data(), heads.data() + 16, 8, size, 1e-5f);
  stream.finish();
  const auto after = on_host(heads);
  for (int t = 0; t < tokens; ++t)
    for (int i = 0; i < size; ++i) {
      const std::size_t at = std::size_t(t * size + i);
      if (i < 16 || i >= 32) {
        CHECK(after[at] == x[at]);
        continue;
      }
      double squares = 0;
      for (int j = 0; j < 8; ++j) squares += std::pow(double(x[std::size_t(t * size + i / 8 * 8 + j)]), 2);
      CHECK(std::fabs(double(after[at]) -
                      double(x[at]) / std::sqrt(squares / 8 + 1e-5) * double(gain[std::size_t(i % 8)])) < 1e-5);
    }
}

TEST_CASE("tokens are looked up, and learned positions added") {
  Random random(3);
  const int hidden = 300;
  const auto table = random_floats(5 * hidden, random), positions = random_floats(9 * hidden, random);
  const std::vector<int> tokens{4, 0, 2};
  for (const bool learned : {false, true}) {
    const auto x = in_each_order([&] {
      Stream stream;
      const auto ids = on_device(tokens);
      const auto table_there = on_device(table), positions_there = on_device(positions);
      DeviceMemory<float> x(std::size_t(3 * hidden));
      stream.launch(embed_tokens<float>, dim3(3), dim3(256), 0, ids.data(), table_there.data(),
                    learned ? positions_there.data() : nullptr, 5, hidden, x.data());
      stream.finish();
      return on_host(x);
    });
    for (int t = 0; t < 3; ++t)
      for (int i = 0; i < hidden; ++i)
        CHECK(x[std::size_t(t * hidden + i)] == table[std::size_t(tokens[std::size_t(t)] * hidden + i)] +
                                                    (learned ? positions[std::size_t((5 + t) * hidden + i)] : 0));
  }
}

TEST_CASE("heads are turned as on the CPU, both kinds of pairs, in place and aside, by one angle and by many") {
  Random random(4);
  const int tokens = 3, heads = 5, dim = 12, stride = heads * dim + 4;
  const auto x = random_floats(std::size_t(tokens * stride), random);
  for (const RopePairs pairs : {RopePairs::half_split, RopePairs::interleaved})
    for (const bool same_angle : {false, true}) {
      const Rope<float> rope(dim, 1000, pairs);
      std::vector<float> angles(std::size_t(tokens * dim));
      for (int t = 0; t < tokens; ++t) rope.angles(7 + t, angles.data() + t * dim);
      auto expected = x;
      for (int t = 0; t < tokens; ++t)
        rope.turn_heads(expected.data() + t * stride, heads * dim, angles.data() + (same_angle ? 0 : t * dim));
      const auto turned = in_each_order([&] {
        Stream stream;
        const auto from = on_device(x), angles_there = on_device(angles);
        auto to = on_device(x);
        stream.launch(pairs == RopePairs::interleaved ? turn_heads<true> : turn_heads<false>, dim3(tokens), dim3(64), 0,
                      same_angle ? from.data() : to.data(), to.data(), angles_there.data(), heads, dim, stride,
                      same_angle ? 0 : dim);
        stream.finish();
        return on_host(to);
      });
      CHECK(worst(turned, std::vector<double>(expected.begin(), expected.end())) < 1e-6);
    }
}

TEST_CASE("rows are written byte for byte as the CPU writes them, to their slots and nowhere else") {
  Random random(5);
  const int tokens = 3, kv_heads = 2, dim = 36, slots = 7, first_slot = 2, stride = kv_heads * dim + 8;
  auto rows = random_floats(std::size_t(tokens * stride), random, 5);
  for (int d = 0; d < dim; ++d) rows[std::size_t(stride + d)] = 0;  // a row of zeros has no scale
  const auto write = [&](auto row, const char* same) {
    using Row = decltype(row);
    REQUIRE(Row::row_bytes(dim) == row_bytes_on_cpu(same, dim));
    const std::size_t row_bytes = Row::row_bytes(dim), head_bytes = slots * row_bytes;
    std::vector<unsigned char> expected(kv_heads * head_bytes, 0xab), before = expected;
    for (int t = 0; t < tokens; ++t)
      for (int h = 0; h < kv_heads; ++h)
        pack_row_on_cpu(same, rows.data() + t * stride + h * dim, dim,
                        expected.data() + std::size_t(h) * head_bytes + std::size_t(first_slot + t) * row_bytes);
    const auto written = in_each_order([&] {
      Stream stream;
      const auto from = on_device(rows);
      auto keys = on_device(before), values = on_device(before);
      stream.launch(write_rows<Row>, dim3(tokens, kv_heads, 2), dim3(32), 0, Side{from.data(), stride, keys.data()},
                    Side{from.data(), 0, values.data()}, dim, first_slot, head_bytes);
      stream.finish();
      auto both = on_host(keys);
      for (const unsigned char byte : on_host(values)) both.push_back(byte);
      return both;
    });
    // Keys are the rows, each where it belongs; values, with a stride of 0, are the first token's rows three times.
    for (int t = 0; t < tokens; ++t)
      for (int h = 0; h < kv_heads; ++h)
        pack_row_on_cpu(same, rows.data() + h * dim, dim,
                        before.data() + std::size_t(h) * head_bytes + std::size_t(first_slot + t) * row_bytes);
    expected.insert(expected.end(), before.begin(), before.end());
    CHECK(written == expected);
  };
  write(F32Row{}, "f32");
  write(F16Row{}, "f16");
  write(Int8Row{}, "int8");
}

TEST_CASE("a row of int8 that holds no number reads as none: broken weights show") {
  const int dim = 64;
  for (const float bad : {NAN, INFINITY, -INFINITY})
    for (const int at : {0, 37, 63}) {
      Random random(11);
      auto numbers = random_floats(2 * dim, random);
      numbers[std::size_t(at)] = bad;
      const auto rows = in_each_order([&] {
        Stream stream;
        const auto from = on_device(numbers);
        DeviceMemory<unsigned char> side(2 * Int8Row::row_bytes(dim));
        stream.launch(write_rows<Int8Row>, dim3(2, 1), dim3(32), 0, Side{from.data(), dim, side.data()}, Side{}, dim, 0,
                      Int8Row::row_bytes(dim));
        stream.finish();
        return on_host(side);
      });
      float scales[2];
      for (const std::size_t row : {0, 1})
        std::memcpy(&scales[row], rows.data() + row * Int8Row::row_bytes(dim) + dim, sizeof(float));
      CHECK(std::isnan(scales[0]));
      CHECK(scales[1] > 0);
    }
}

TEST_CASE("activations are the textbook's") {
  Random random(6);
  const int tokens = 2, size = 300;
  const auto x = random_floats(2 * tokens * size, random, 6);
  std::vector<double> silu, gelu;
  for (int t = 0; t < tokens; ++t)
    for (int i = 0; i < size; ++i) {
      const double gate = double(x[std::size_t(2 * t * size + i)]), up = double(x[std::size_t((2 * t + 1) * size + i)]),
                   from = double(x[std::size_t(t * size + i)]);
      silu.push_back(gate / (1 + std::exp(-gate)) * up);
      gelu.push_back(from / 2 * (1 + std::tanh(0.7978845608028654 * (from + 0.044715 * from * from * from))));
    }
  for (const bool gated : {true, false}) {
    const auto y = in_each_order([&] {
      Stream stream;
      const auto from = on_device(x);
      DeviceMemory<float> to(std::size_t(tokens * size));
      stream.launch(gated ? silu_gated_rows<256> : gelu_tanh_rows<256>, dim3(tokens, pieces(size, 256)), dim3(256), 0,
                    from.data(), to.data(), size);
      stream.finish();
      return on_host(to);
    });
    CHECK(worst(y, gated ? silu : gelu) < 1e-5);
  }
}

TEST_CASE("the first of the largest is found, wherever it is") {
  Random random(7);
  for (const int size : {1, 255, 256, 257, 1000})
    for (const int at : {0, size / 2, size - 1}) {
      auto numbers = random_floats(std::size_t(size), random);
      numbers[std::size_t(at)] = 2;
      if (at + 3 < size) numbers[std::size_t(at + 3)] = 2;  // as large, but later
      const auto place = in_each_order([&] {
        Stream stream;
        const auto there = on_device(numbers);
        DeviceMemory<int> place(1);
        stream.launch(find_largest<256>, dim3(1), dim3(256), 0, there.data(), size, place.data());
        stream.finish();
        return on_host(place);
      });
      CHECK(place[0] == at);
    }
}
