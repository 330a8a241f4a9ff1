// The one matrix type of the library: row-major, so that one token (or one cached row) is contiguous.
#pragma once

#if defined(__CUDACC__) && !defined(EIGEN_NO_CUDA)
#define EIGEN_NO_CUDA  // matrices are for the host: nvcc need not make device code of them
#endif
#include <Eigen/Core>
#include <cstddef>
#include <type_traits>
#include <vector>

namespace kvcache {

template <class Scalar>
using Matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class Scalar>
using Vector = Eigen::Matrix<Scalar, Eigen::Dynamic, 1>;

/// Storage aligned for SIMD; std::vector's own allocator promises 16 bytes only.
template <class Number>
using Numbers = std::vector<Number, Eigen::aligned_allocator<Number>>;

/// Matrices as arguments. Rows may lie apart (a few columns of a wider matrix), but each row is contiguous.
template <class Scalar>
using MatrixIn = Eigen::Map<const Matrix<Scalar>, Eigen::Unaligned, Eigen::OuterStride<>>;
template <class Scalar>
using MatrixOut = Eigen::Map<Matrix<Scalar>, Eigen::Unaligned, Eigen::OuterStride<>>;

/// A row-major Eigen object with memory of its own, as an argument to read from. It never copies: Eigen::Ref<const ...>
/// would, in silence, where strides differ.
template <class Dense>
MatrixIn<typename Dense::Scalar> in(const Dense& m) {
  static_assert(Dense::IsRowMajor, "rows must be contiguous: pass a row-major matrix");
  return {m.data(), m.rows(), m.cols(), Eigen::OuterStride<>(m.outerStride())};
}
/// The same, as an argument to write to.
template <class Dense>
MatrixOut<typename std::decay_t<Dense>::Scalar> out(Dense&& m) {
  static_assert(std::decay_t<Dense>::IsRowMajor, "rows must be contiguous: pass a row-major matrix");
  return {m.data(), m.rows(), m.cols(), Eigen::OuterStride<>(m.outerStride())};
}

/// Where the number in a row and column lies.
template <class Dense>
auto* at(Dense&& m, Eigen::Index row, Eigen::Index column) {
  return m.data() + row * m.outerStride() + column;
}

/// A run of numbers, such as one row of a matrix, to compute with element by element.
template <class Scalar>
using ArrayIn = Eigen::Map<const Eigen::Array<Scalar, Eigen::Dynamic, 1>>;
template <class Scalar>
using ArrayOut = Eigen::Map<Eigen::Array<Scalar, Eigen::Dynamic, 1>>;

/// Work space for a matrix whose size changes from call to call. It grows to the largest asked for and stays, so a warm
/// step allocates nothing. The contents are left over from before.
template <class Scalar>
class Room {
 public:
  MatrixOut<Scalar> operator()(Eigen::Index rows, Eigen::Index cols) {  // [rows, cols]
    if (numbers_.size() < std::size_t(rows * cols)) numbers_.resize(std::size_t(rows * cols));
    return {numbers_.data(), rows, cols, Eigen::OuterStride<>(cols)};
  }

 private:
  Numbers<Scalar> numbers_;
};

}  // namespace kvcache
