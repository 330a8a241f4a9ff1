#include "kvcache/math/few_tokens.hpp"

#include <doctest/doctest.h>

#include "random_matrix.hpp"

using namespace kvcache;

TEST_CASE("products of few tokens are the textbook's, for tiles that are full and not") {
  Random random(1);
  for (const int tokens : {1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 25})
    for (const int inputs : {1, 5, 16, 33, 96, 100})
      for (const int outputs : {1, 2, 3, 4, 5, 7, 8, 13}) {
        const Matrix<double> x = random_matrix(tokens, inputs, random), w = random_matrix(outputs, inputs, random);
        const Matrix<float> xf = x.cast<float>(), wf = w.cast<float>();
        Matrix<float> y = Matrix<float>::Constant(tokens + 1, outputs + 2, 7);
        detail::multiply_few_tokens(in(xf), in(wf), out(y.block(0, 1, tokens, outputs)));
        Matrix<double> expected = Matrix<double>::Constant(tokens + 1, outputs + 2, 7);
        for (int t = 0; t < tokens; ++t)
          for (int o = 0; o < outputs; ++o) expected(t, o + 1) = x.row(t).dot(w.row(o));
        CHECK((y.cast<double>() - expected).cwiseAbs().maxCoeff() < 1e-5 * inputs);
      }
}

TEST_CASE("weighted sums of few rows are the textbook's, and add to what is there") {
  Random random(3);
  for (const int queries : {1, 2, 3, 6, 7, 8, 13})
    for (const int rows : {0, 1, 5, 16})
      for (const int columns : {1, 4, 7, 16, 33, 64, 100}) {
        const Matrix<double> weights = random_matrix(queries, rows, random), b = random_matrix(rows, columns, random);
        const Matrix<float> weights_f = weights.cast<float>(), b_f = b.cast<float>();
        Matrix<float> y = Matrix<float>::Constant(queries + 1, columns + 2, 7);
        detail::add_few_weighted_rows(in(weights_f), in(b_f), out(y.block(0, 1, queries, columns)));
        Matrix<double> expected = Matrix<double>::Constant(queries + 1, columns + 2, 7);
        for (int q = 0; q < queries; ++q)
          for (int c = 0; c < columns; ++c)
            for (int r = 0; r < rows; ++r) expected(q, c + 1) += weights(q, r) * b(r, c);
        CHECK((y.cast<double>() - expected).cwiseAbs().maxCoeff() < 1e-5);
      }
}

TEST_CASE("a weighted sum is the same bit for bit however its rows are cut into pieces") {
  Random random(4);
  const Matrix<float> weights = random_matrix(3, 40, random).cast<float>(),
                      b = random_matrix(40, 70, random).cast<float>();
  Matrix<float> whole = Matrix<float>::Zero(3, 70), pieces = whole;
  detail::add_few_weighted_rows(in(weights), in(b), out(whole));
  for (const auto& [first, count] : {std::pair{0, 1}, {1, 16}, {17, 23}})
    detail::add_few_weighted_rows(in(weights.middleCols(first, count)), in(b.middleRows(first, count)), out(pieces));
  CHECK(whole == pieces);
}

TEST_CASE("rows may lie apart") {
  Random random(2);
  const Matrix<float> wide = random_matrix(9, 70, random).cast<float>(), w = random_matrix(6, 40, random).cast<float>();
  const Matrix<float> narrow = wide.middleCols(13, 40);
  Matrix<float> y(9, 6), expected(9, 6);
  detail::multiply_few_tokens(in(wide.middleCols(13, 40)), in(w), out(y));
  detail::multiply_few_tokens(in(narrow), in(w), out(expected));
  CHECK(y == expected);
}

TEST_CASE("what counts as few grows with the length of rows, up to a limit") {
  CHECK(detail::are_few_tokens(2, 576));
  CHECK(detail::are_few_tokens(48, 576));
  CHECK(!detail::are_few_tokens(49, 576));
  CHECK(detail::are_few_tokens(96, 4096));
  CHECK(!detail::are_few_tokens(97, 4096));
}
