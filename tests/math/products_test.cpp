#include "kvcache/math/products.hpp"

#include <doctest/doctest.h>

#include <array>

#include "common/instances.hpp"
#include "random_matrix.hpp"

using namespace kvcache;

TEST_CASE("the four products are sums of products, also within wider matrices") {
  Random random(1);
  for (const auto& [m, n, k] : {std::array{1, 1, 1}, {3, 5, 7}, {9, 4, 33}, {20, 65, 8}}) {
    const Matrix<double> a = random_matrix(m, k + 2, random), rows = random_matrix(n, k + 3, random),
                         columns = random_matrix(k, n + 1, random);
    Matrix<double> y = random_matrix(m, n + 4, random), sum = y, one = y.row(0), one_sum = y.row(0);
    const Matrix<double> before = y;
    multiply_rows(in(a.leftCols(k)), in(rows.rightCols(k)), out(y.middleCols(2, n)));
    add_weighted_rows(in(a.leftCols(k)), in(columns.leftCols(n)), out(sum.middleCols(2, n)));
    multiply_rows(a.data(), in(rows.rightCols(k)), one.data() + 2);
    add_weighted_rows(a.data(), in(columns.leftCols(n)), one_sum.data() + 2);
    for (int i = 0; i < m; ++i)
      for (int j = 0; j < n + 4; ++j) {
        const bool inside = j >= 2 && j < n + 2;
        double product = inside ? 0 : before(i, j), added = before(i, j);
        for (int d = 0; inside && d < k; ++d)
          product += a(i, d) * rows(j - 2, d + 3), added += a(i, d) * columns(d, j - 2);
        CHECK(std::abs(y(i, j) - product) < 1e-14 * (k + 1));
        CHECK(std::abs(sum(i, j) - added) < 1e-14 * (k + 1));
        if (i == 0) CHECK(std::abs(one(0, j) - product) < 1e-14 * (k + 1));
        if (i == 0) CHECK(std::abs(one_sum(0, j) - added) < 1e-14 * (k + 1));
      }
  }
}
