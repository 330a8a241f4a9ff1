#include "kvcache/core/matrix.hpp"

#include <doctest/doctest.h>

#include <cstdint>

#include "kvcache/core/tensor.hpp"
#include "kvcache/core/work.hpp"

using namespace kvcache;

TEST_CASE("in() and out() view columns of a wider matrix without copying") {
  Matrix<float> wide(2, 4);
  wide << 1, 2, 3, 4, 5, 6, 7, 8;
  const MatrixIn<float> middle = in(wide.middleCols(1, 2));
  CHECK(middle.rows() == 2);
  CHECK(middle.cols() == 2);
  CHECK(middle.data() == wide.data() + 1);
  CHECK(middle(1, 1) == 7);
  out(wide.rightCols(1)).setZero();
  CHECK(wide(0, 3) == 0);
  CHECK(wide(1, 3) == 0);
  CHECK(wide(1, 2) == 7);
  const MatrixIn<float> part = in(in(wide.bottomRows(1)).rightCols(3));  // a view of a view
  CHECK(part(0, 0) == 6);
}

TEST_CASE("room grows to the largest asked for and keeps its place after that") {
  Room<double> room;
  room(2, 3).setConstant(1);
  auto large = room(10, 10);
  large.setConstant(2);
  auto small = room(3, 4);
  CHECK(small.data() == large.data());
  CHECK(small.rows() == 3);
  CHECK(small.outerStride() == 4);
  CHECK(small(2, 3) == 2);  // left over from before
  CHECK(room(10, 10).data() == large.data());
  CHECK(room(0, 5).size() == 0);
}

TEST_CASE("storage is aligned for SIMD") {
  for (const std::size_t size : {1, 7, 1000}) {
    Numbers<float> numbers(size);
    CHECK(reinterpret_cast<std::uintptr_t>(numbers.data()) % EIGEN_DEFAULT_ALIGN_BYTES == 0);
  }
}

TEST_CASE("shapes are written for people") {
  CHECK(to_string(std::vector<std::size_t>{1024, 192}) == "[1024, 192]");
  CHECK(to_string(std::vector<std::size_t>{7}) == "[7]");
  CHECK(to_string(std::vector<std::size_t>{}) == "[]");
}

TEST_CASE("work adds up, part by part") {
  Work a, b;
  a.count(Part::attention, 5);
  a.count(Part::attention, 2);
  b.count(Part::attention, 1), b.count(Part::sampling, 10);
  a.keys_computed = 3, b.keys_computed = 4, b.queries_computed = 6, b.keys_reused = 8;
  a.count_reused(5), a.count_reused(3), b.count_reused(2);  // of one step each
  a.seconds[0] = 0.5, b.seconds[0] = 0.25, b.seconds[6] = 1;
  a += b;
  CHECK(a.multiplications[std::size_t(Part::attention)] == 8);
  CHECK(a.total_multiplications() == 18);
  CHECK(a.total_seconds() == 1.75);
  CHECK(a.keys_computed == 7);
  CHECK(a.queries_computed == 6);
  CHECK(a.keys_reused == 8 + 5 + 3 + 2);
  CHECK(a.tokens_reused == 5 + 2);
  CHECK(name(Part::feed_forward) == std::string("feed-forward"));
  for (std::size_t p = 0; p < part_count; ++p) CHECK(std::size_t(all_parts[p]) == p);
}

TEST_CASE("time is added to its part and to no other") {
  Work work;
  { const Timed timed(work, Part::copying); }
  { const Timed timed(work, Part::copying); }
  CHECK(work.seconds[std::size_t(Part::copying)] > 0);
  CHECK(work.total_seconds() == work.seconds[std::size_t(Part::copying)]);
}
