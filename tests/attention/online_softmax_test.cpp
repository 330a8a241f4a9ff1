#include "kvcache/attention/online_softmax.hpp"

#include <doctest/doctest.h>

#include "kvcache/attention/reference.hpp"
#include "random_matrix.hpp"

using namespace kvcache;

namespace {

constexpr double masked = OnlineSoftmax<double>::masked;
constexpr int dim = 3;

/// A block with values and no keys: scores are given by the test.
struct ValuesOnly {
  using Scalar = double;
  const Matrix<double>* values;
  int position_gap = 0;
  int rows() const { return int(values->rows()); }
  ValuesOnly slice(int, int) const { return *this; }
  int position(int row) const { return row; }
  int slot(int row) const { return row; }
  void score(MatrixIn<double>, MatrixOut<double>) const {}
  void accumulate(MatrixIn<double> weights, MatrixOut<double> output) const { output += weights * *values; }
};

struct Pieces {
  Matrix<double> sums{2, dim}, state{2, 2};
  OnlineSoftmax<double> softmax{out(sums), out(state)};
  void absorb(Matrix<double> scores, const Matrix<double>& values) { softmax.absorb(out(scores), ValuesOnly{&values}); }
};
Matrix<double> output_of(const OnlineSoftmax<double>& softmax, int query) {
  Matrix<double> output(1, dim);
  softmax.output(query, output.data());
  return output;
}
void to_weights(const OnlineSoftmax<double>& softmax, int query, Matrix<double>& scores) {
  softmax.to_weights(query, ArrayOut<double>(scores.row(query).data(), scores.cols()));
}
/// Softmax of the whole row, then the weighted sum.
Vector<double> textbook(const Matrix<double>& scores, int query, const Matrix<double>& values) {
  std::vector<double> weights(scores.row(query).begin(), scores.row(query).end());
  softmax(std::span(weights));
  Vector<double> sum = Vector<double>::Zero(dim);
  for (int r = 0; r < values.rows(); ++r) sum += weights[std::size_t(r)] * values.row(r).transpose();
  return sum;
}

}  // namespace

TEST_CASE("shown in pieces of any size, the softmax is the textbook's") {
  Random random(1);
  for (const double size : {1.0, 30.0, 600.0}) {  // 600: exp would overflow
    const Matrix<double> scores = random_matrix(2, 20, random, size), values = random_matrix(20, dim, random);
    for (const int piece : {1, 3, 7, 20}) {
      Pieces pieces;
      for (int first = 0; first < 20; first += piece) {
        const int rows = std::min(piece, 20 - first);
        pieces.absorb(scores.middleCols(first, rows), values.middleRows(first, rows));
      }
      for (int q = 0; q < 2; ++q) {
        CHECK((output_of(pieces.softmax, q).transpose() - textbook(scores, q, values)).cwiseAbs().maxCoeff() < 1e-14);
        Matrix<double> weights = scores;
        to_weights(pieces.softmax, q, weights);
        CHECK(weights.row(q).sum() == doctest::Approx(1).epsilon(1e-14));
        CHECK((weights.row(q) * values - output_of(pieces.softmax, q)).cwiseAbs().maxCoeff() < 1e-14);
      }
    }
  }
}

TEST_CASE("rising and falling scores give the same") {
  Random random(2);
  const Matrix<double> values = random_matrix(10, dim, random);
  Matrix<double> scores(2, 10);
  for (int r = 0; r < 10; ++r) scores(0, r) = r, scores(1, r) = 9 - r;
  Pieces pieces;
  for (int r = 0; r < 10; ++r) pieces.absorb(scores.middleCols(r, 1), values.middleRows(r, 1));
  for (int q = 0; q < 2; ++q)
    CHECK((output_of(pieces.softmax, q).transpose() - textbook(scores, q, values)).cwiseAbs().maxCoeff() < 1e-14);
}

TEST_CASE("a piece that is masked for a query adds nothing to it, be it the first, the last or between") {
  Random random(3);
  const Matrix<double> values = random_matrix(6, dim, random);
  for (const int hidden : {0, 1, 2}) {
    Matrix<double> scores = random_matrix(2, 6, random);
    scores.row(0).segment(2 * hidden, 2).setConstant(masked);
    scores(1, 3) = masked;  // and half a piece
    Pieces pieces;
    for (int first = 0; first < 6; first += 2) pieces.absorb(scores.middleCols(first, 2), values.middleRows(first, 2));
    for (int q = 0; q < 2; ++q) {
      CHECK((output_of(pieces.softmax, q).transpose() - textbook(scores, q, values)).cwiseAbs().maxCoeff() < 1e-14);
      Matrix<double> weights = scores;
      to_weights(pieces.softmax, q, weights);
      for (int r = 0; r < 6; ++r) CHECK((weights(q, r) == 0) == (scores(q, r) == masked));  // exactly 0
    }
  }
}

TEST_CASE("work space with anything in it is as good as new") {
  Matrix<double> sums = Matrix<double>::Constant(1, dim, std::nan("")), state = Matrix<double>::Constant(2, 1, 1e300);
  OnlineSoftmax<double> softmax(out(sums), out(state));
  Matrix<double> scores = Matrix<double>::Constant(1, 1, -5), values = Matrix<double>::Constant(1, dim, 4);
  softmax.absorb(out(scores), ValuesOnly{&values});
  CHECK(output_of(softmax, 0) == Matrix<double>::Constant(1, dim, 4));
}

TEST_CASE("two that saw different rows, merged, are one that saw all; one that saw nothing changes nothing") {
  Random random(7);
  for (const double size : {1.0, 600.0}) {
    const Matrix<double> scores = random_matrix(2, 20, random, size), values = random_matrix(20, dim, random);
    for (const int cut : {0, 1, 9, 20}) {
      Pieces first, second;
      if (cut > 0) first.absorb(scores.leftCols(cut), values.topRows(cut));
      if (cut < 20) second.absorb(scores.rightCols(20 - cut), values.bottomRows(20 - cut));
      first.softmax.merge(second.softmax);
      for (int query = 0; query < 2; ++query)
        CHECK((output_of(first.softmax, query).transpose() - textbook(scores, query, values)).cwiseAbs().maxCoeff() <
              1e-13);
    }
  }
  Pieces blind, other;
  blind.absorb(Matrix<double>::Constant(2, 4, masked), Matrix<double>::Ones(4, dim));
  other.absorb(Matrix<double>::Constant(2, 4, masked), Matrix<double>::Ones(4, dim));
  blind.softmax.merge(other.softmax);
  const Matrix<double> scores = random_matrix(2, 3, random), values = random_matrix(3, dim, random);
  blind.absorb(scores, values);
  CHECK((output_of(blind.softmax, 1).transpose() - textbook(scores, 1, values)).cwiseAbs().maxCoeff() < 1e-13);
}
