// A weight matrix that need not be unpacked: its rows may lie in a mapped file, in whatever format the file has.
#pragma once

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "kvcache/core/check.hpp"
#include "kvcache/core/matrix.hpp"

namespace kvcache {

/// What one format of packed rows can do; math/packed_formats.hpp has one object for each. A row is `cols` numbers and
/// ends where the next begins.
struct PackedFormat {
  const char* name;
  int block_numbers, block_bytes;
  /// y[r] = row r times x, for `count` rows: x [cols], y [count]. For one token: each number is unpacked in a register.
  void (*multiply)(const std::byte* rows, int count, int cols, const float* x, float* y);
  /// Writes `count` rows as floats: numbers [count, cols].
  void (*unpack)(const std::byte* rows, int count, int cols, float* numbers);

  std::size_t row_bytes(int cols) const { return std::size_t(cols / block_numbers) * std::size_t(block_bytes); }
};

/// Neighbouring rows of one kind: Scalars, or packed.
template <class Scalar>
struct WeightRows {
  int count = 0, cols = 0;
  const Scalar* numbers = nullptr;       // [count, cols]; null: packed
  const PackedFormat* format = nullptr;  // null: Scalars
  const std::byte* packed = nullptr;

  bool is_packed() const { return format != nullptr; }
  std::size_t bytes() const {
    return std::size_t(count) * (is_packed() ? format->row_bytes(cols) : std::size_t(cols) * sizeof(Scalar));
  }
  WeightRows slice(int first, int rows) const {
    WeightRows part = *this;
    part.count = rows;
    if (is_packed())
      part.packed += std::size_t(first) * format->row_bytes(cols);
    else
      part.numbers += std::ptrdiff_t(first) * cols;
    return part;
  }
  /// Not packed: as a matrix [count, cols].
  MatrixIn<Scalar> dense() const { return {numbers, count, cols, Eigen::OuterStride<>(cols)}; }
  /// Row r as Scalars: y [cols].
  void read(int r, Scalar* y) const {
    if constexpr (std::is_same_v<Scalar, float>)
      if (is_packed()) return format->unpack(slice(r, 1).packed, 1, cols, y);
    std::copy_n(slice(r, 1).numbers, cols, y);
  }
};

/// [rows, cols], read-only: one run of rows, or several below one another (queries, keys and values are one product,
/// and each may have its own format). Copies share the numbers.
template <class Scalar>
class WeightMatrix {
 public:
  WeightMatrix() = default;
  /// Numbers of its own.
  WeightMatrix(Matrix<Scalar> numbers) {  // not explicit: a matrix is the simplest weight matrix
    const auto owned = std::make_shared<const Matrix<Scalar>>(std::move(numbers));
    add({int(owned->rows()), int(owned->cols()), owned->data()}, owned);
  }
  /// Rows that lie elsewhere; `owner` keeps that alive. Packed rows are for float only.
  WeightMatrix(WeightRows<Scalar> rows, std::shared_ptr<const void> owner) { add(rows, std::move(owner)); }

  /// Puts the rows of another below these. Errors: rows of another length.
  void append(const WeightMatrix& below) {
    for (const Part& part : below.parts_) add(part.rows, part.owner);
  }

  int rows() const { return rows_; }
  int cols() const { return parts_.empty() ? 0 : parts_[0].rows.cols; }
  std::int64_t size() const { return std::int64_t(rows()) * cols(); }
  bool empty() const { return size() == 0; }
  /// That one product with it reads. [COMPUTED]
  std::size_t bytes() const {
    std::size_t sum = 0;
    for (const Part& part : parts_) sum += part.rows.bytes();
    return sum;
  }

  /// Calls visit(rows, first) for the runs that rows [first, first + count) consist of; `first` counts from the first
  /// row of the matrix.
  template <class Visitor>
  void for_each_run(int first, int count, Visitor&& visit) const {
    for (const Part& part : parts_) {
      const int begin = std::max(first, part.first), end = std::min(first + count, part.first + part.rows.count);
      if (begin < end) visit(part.rows.slice(begin - part.first, end - begin), begin);
    }
  }
  /// y [cols]
  void read_row(int row, Scalar* y) const {
    for_each_run(row, 1, [&](const WeightRows<Scalar>& rows, int) { rows.read(0, y); });
  }
  /// All numbers, unpacked.
  Matrix<Scalar> unpacked() const {
    Matrix<Scalar> m(rows(), cols());
    for (int r = 0; r < rows(); ++r) read_row(r, m.data() + std::ptrdiff_t(r) * cols());
    return m;
  }

 private:
  struct Part {
    WeightRows<Scalar> rows;
    int first;  // its first row in the matrix
    std::shared_ptr<const void> owner;
  };
  void add(const WeightRows<Scalar>& rows, std::shared_ptr<const void> owner) {
    static_assert(std::is_floating_point_v<Scalar>);
    check((std::is_same_v<Scalar, float>) || !rows.is_packed(), "WeightMatrix: packed rows can be used as floats only");
    check(parts_.empty() || rows.cols == cols(), "WeightMatrix: rows of ", rows.cols, " numbers put below rows of ",
          cols());
    parts_.push_back({rows, rows_, std::move(owner)});
    rows_ += rows.count;
  }

  std::vector<Part> parts_;
  int rows_ = 0;
};

}  // namespace kvcache
