#include "kvcache/position/rope.hpp"

#include <doctest/doctest.h>

#include <complex>

#include "kvcache/core/random.hpp"
#include "kvcache/position/learned.hpp"

using namespace kvcache;

namespace {

std::vector<double> random_head(int head_dim, std::uint64_t seed) {
  Random random(seed);
  std::vector<double> head;
  for (int d = 0; d < head_dim; ++d) head.push_back(random.uniform(-1, 1));
  return head;
}
std::vector<double> turned(const Rope<double>& rope, std::vector<double> head, int position) {
  std::vector<double> angles(head.size());
  rope.angles(position, angles.data());
  rope.turn(head.data(), angles.data());
  return head;
}
double distance(const std::vector<double>& x, const std::vector<double>& y) {
  double most = 0;
  for (std::size_t d = 0; d < x.size(); ++d) most = std::max(most, std::abs(x[d] - y[d]));
  return most;
}
double dot(const std::vector<double>& x, const std::vector<double>& y) {
  double sum = 0;
  for (std::size_t d = 0; d < x.size(); ++d) sum += x[d] * y[d];
  return sum;
}
constexpr int dim = 12;

}  // namespace

TEST_CASE("a pair turns as a complex number does") {
  for (const double theta : {10000.0, 500.0})
    for (const RopePairs pairs : {RopePairs::half_split, RopePairs::interleaved})
      for (const int position : {0, 1, 17, 4095}) {
        const std::vector<double> head = random_head(dim, 1);
        const std::vector<double> result = turned(Rope<double>(dim, theta, pairs), head, position);
        for (int d = 0; d < dim / 2; ++d) {
          const bool split = pairs == RopePairs::half_split;
          const std::size_t x = std::size_t(split ? d : 2 * d), y = std::size_t(split ? d + dim / 2 : 2 * d + 1);
          const std::complex<double> by = std::polar(1.0, position * std::pow(theta, -2.0 * d / dim));
          const std::complex<double> expected = std::complex<double>(head[x], head[y]) * by;
          CHECK(std::abs(result[x] - expected.real()) < 1e-14);
          CHECK(std::abs(result[y] - expected.imag()) < 1e-14);
        }
      }
}

TEST_CASE("half-split and interleaved are one rotation of numbers in another order") {
  const std::vector<double> head = random_head(dim, 2);
  const auto interleave = [](const std::vector<double>& split) {
    std::vector<double> result(dim);
    for (std::size_t d = 0; d < dim / 2; ++d) result[2 * d] = split[d], result[2 * d + 1] = split[d + dim / 2];
    return result;
  };
  for (const int position : {1, 5, 300})
    CHECK(distance(interleave(turned(Rope<double>(dim), head, position)),
                   turned(Rope<double>(dim, 10000, RopePairs::interleaved), interleave(head), position)) < 1e-15);
}

TEST_CASE("turning by p and then by -gap is turning by p - gap") {
  const Rope<double> rope(dim);
  const std::vector<double> head = random_head(dim, 3);
  for (const auto& [p, gap] : {std::pair{9, 4}, {1000, 999}, {5, 5}})
    CHECK(distance(turned(rope, turned(rope, head, p), -gap), turned(rope, head, p - gap)) < 1e-13);
}

TEST_CASE("position 0 changes nothing; no position changes the length") {
  for (const RopePairs pairs : {RopePairs::half_split, RopePairs::interleaved}) {
    const Rope<double> rope(dim, 10000, pairs);
    const std::vector<double> head = random_head(dim, 4);
    CHECK(turned(rope, head, 0) == head);
    for (const int p : {1, 77, 100000}) {
      const auto other = turned(rope, head, p);
      CHECK(dot(other, other) == doctest::Approx(dot(head, head)).epsilon(1e-14));
    }
  }
}

TEST_CASE("the product of a query and a key depends only on their distance") {
  const Rope<double> rope(dim);
  const std::vector<double> query = random_head(dim, 5), key = random_head(dim, 6);
  const auto product = [&](int q, int k) { return dot(turned(rope, query, q), turned(rope, key, k)); };
  for (const int far : {1, 40, 2000}) CHECK(std::abs(product(7 + far, far) - product(7, 0)) < 1e-12);
  CHECK(std::abs(product(8, 0) - product(7, 0)) > 1e-3);  // and on that it does depend
}

TEST_CASE("angles are accurate in float at far positions") {
  const Rope<float> rope(dim);
  std::vector<float> angles(dim);
  rope.angles(8191, angles.data());
  for (int d = 0; d < dim / 2; ++d) {
    const double angle = 8191 * std::pow(10000.0, -2.0 * d / dim);
    CHECK(std::abs(double(angles[std::size_t(d)]) - std::cos(angle)) < 1e-7);
    CHECK(std::abs(double(angles[std::size_t(d + dim / 2)]) - std::sin(angle)) < 1e-7);
  }
}

TEST_CASE("turn_all turns every head of every row by its own position") {
  const Rope<double> rope(4);
  Matrix<double> wide = Matrix<double>::Random(3, 10), before = wide;
  rope.turn_all(out(wide.middleCols(1, 8)), 5);  // two heads, within a wider matrix
  for (int t = 0; t < 3; ++t)
    for (int h = 0; h < 2; ++h) {
      const double* head = before.row(t).data() + 1 + 4 * h;
      const auto expected = turned(rope, {head, head + 4}, 5 + t);
      for (int d = 0; d < 4; ++d) CHECK(wide(t, 1 + 4 * h + d) == expected[std::size_t(d)]);
    }
  CHECK(wide.col(0) == before.col(0));
  CHECK(wide.col(9) == before.col(9));
}

TEST_CASE("a head that cannot be split into pairs is refused") {
  for (const int head_dim : {7, 0, -2})
    CHECK_THROWS_WITH_AS(Rope<float>{head_dim},
                         ("Rope: head_dim is " + std::to_string(head_dim) + ", but pairs need an even number").c_str(),
                         Error);
  CHECK(Rope<float>(8).head_dim() == 8);
}

TEST_CASE("a learned position is a row of the table, added") {
  const Matrix<double> table = Matrix<double>::Random(3, 4);
  Matrix<double> x = Matrix<double>::Ones(1, 4);
  add_learned_position(table, 2, x.data());
  CHECK(x == Matrix<double>((table.row(2).array() + 1).matrix()));
  CHECK_THROWS_WITH_AS(add_learned_position(table, 3, x.data()),
                       "position 3 asked for, but the model has learned 3; give a shorter text", Error);
  CHECK_THROWS_AS(add_learned_position(table, -1, x.data()), Error);
}
