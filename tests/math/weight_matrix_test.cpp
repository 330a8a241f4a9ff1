#include "kvcache/math/weight_matrix.hpp"

#include <doctest/doctest.h>

#include "kvcache/math/linear.hpp"
#include "kvcache/math/packed_formats.hpp"
#include "random_matrix.hpp"
#include "random_packed.hpp"
#include "threads.hpp"

using namespace kvcache;

namespace {

/// Queries, keys and values of different formats below one another.
WeightMatrix<float> mixed_matrix(int cols, Random& random) {
  WeightMatrix<float> all = random_packed_matrix(NumberFormat::q8_0, 70, cols, random);
  all.append(random_packed_matrix(NumberFormat::f32, 9, cols, random));
  all.append(random_packed_matrix(NumberFormat::q4_1, 21, cols, random));
  return all;
}

}  // namespace

TEST_CASE("a matrix of its own numbers gives them back, and copies share them") {
  Random random(1);
  const Matrix<double> numbers = random_matrix(5, 7, random);
  const WeightMatrix<double> weights = numbers, copy = weights;
  CHECK(weights.rows() == 5);
  CHECK(weights.cols() == 7);
  CHECK(weights.size() == 35);
  CHECK(weights.bytes() == 35 * sizeof(double));
  CHECK(weights.unpacked() == numbers);
  const auto first_number = [](const WeightMatrix<double>& m) {
    const double* place = nullptr;
    m.for_each_run(0, 1, [&](const WeightRows<double>& rows, int) { place = rows.numbers; });
    return place;
  };
  CHECK(first_number(weights) == first_number(copy));
  CHECK(WeightMatrix<double>().empty());
}

TEST_CASE("runs of a matrix of several parts are its rows in order, each once") {
  Random random(2);
  const WeightMatrix<float> all = mixed_matrix(64, random);
  REQUIRE(all.rows() == 100);
  CHECK(all.bytes() == 70 * 68 + 9 * 256 + 21 * 40);
  const Matrix<float> numbers = all.unpacked();
  for (const auto& [first, count] : {std::pair{0, 100}, {0, 1}, {69, 2}, {70, 9}, {65, 30}, {99, 1}, {40, 0}}) {
    int next = first;
    all.for_each_run(first, count, [&](const WeightRows<float>& rows, int at) {
      CHECK(at == next);
      for (int r = 0; r < rows.count; ++r) {
        Vector<float> row(64);
        rows.read(r, row.data());
        CHECK(row == numbers.row(at + r).transpose());
      }
      next += rows.count;
    });
    CHECK(next == first + count);
  }
}

TEST_CASE("a projection by packed parts is that by the unpacked matrix, for one token and many, for any threads") {
  Random random(3);
  const int inputs = 96;
  const WeightMatrix<float> packed = mixed_matrix(inputs, random), unpacked = packed.unpacked();
  const Vector<float> bias = random_matrix(1, packed.rows(), random).row(0).transpose().cast<float>();
  for (const int tokens : {1, 2, 9})
    for (const int threads : {1, 2, 3}) {
      const Threads scope(threads);
      const Matrix<float> x = random_matrix(tokens, inputs, random).cast<float>();
      Matrix<float> y = Matrix<float>::Constant(tokens, packed.rows(), 1e6f), expected = y;
      project(in(x), packed, bias, out(y));
      project(in(x), unpacked, bias, out(expected));
      CHECK((y - expected).cwiseAbs().maxCoeff() < 1e-6f * expected.cwiseAbs().maxCoeff());
    }
}

TEST_CASE("what does not fit together is refused") {
  Random random(4);
  WeightMatrix<float> wide = random_packed_matrix(NumberFormat::q8_0, 2, 64, random);
  CHECK_THROWS_WITH_AS(wide.append(random_packed_matrix(NumberFormat::q8_0, 2, 32, random)),
                       doctest::Contains("rows of 32 numbers put below rows of 64"), Error);
  CHECK_THROWS_WITH_AS(WeightMatrix<double>({.count = 1, .cols = 32, .format = &packed::q8_0}, nullptr),
                       doctest::Contains("packed rows can be used as floats only"), Error);
}
