// Rotary position encoding: each pair of numbers of a head is turned by an angle that grows with the position.
// Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021.
#pragma once

#include <cmath>
#include <span>
#include <vector>

#include "kvcache/core/check.hpp"
#include "kvcache/core/matrix.hpp"

namespace kvcache {

/// Which numbers of a head make a pair.
enum class RopePairs {
  half_split,   // d and d + head_dim / 2: Hugging Face's folders
  interleaved,  // 2d and 2d + 1: the paper, and GGUF files
};

/// There is no table: the angles of a position cost head_dim / 2 sines and cosines once a step, for all heads and
/// layers, and no position is out of range.
template <class Scalar>
class Rope {
 public:
  /// Pair d turns by position * theta^(-2d / head_dim) radians, divided by divisors[d] where those are given.
  /// Errors: an odd or non-positive head_dim; divisors that are not one for each pair.
  Rope(int head_dim, double theta = 10000, RopePairs pairs = RopePairs::half_split,
       std::span<const double> divisors = {})
      : pairs_(pairs) {
    check(head_dim > 0 && head_dim % 2 == 0, "Rope: head_dim is ", head_dim, ", but pairs need an even number");
    frequency_.resize(std::size_t(head_dim / 2));
    for (int d = 0; d < head_dim / 2; ++d) frequency_[std::size_t(d)] = std::pow(theta, -2.0 * d / head_dim);
    check(divisors.empty() || divisors.size() == frequency_.size(), "Rope: ", divisors.size(),
          " divisors of frequencies given for ", frequency_.size(), " pairs");
    for (std::size_t d = 0; d < divisors.size(); ++d) frequency_[d] /= divisors[d];
  }
  int head_dim() const { return int(2 * frequency_.size()); }

  /// The cosines of a position, then its sines: angles [head_dim]. Computed in double: float angles are off by 1e-4 at
  /// position 1000.
  void angles(int position, Scalar* angles) const {
    for (std::size_t d = 0; d < frequency_.size(); ++d) {
      const double angle = position * frequency_[d];
      angles[d] = Scalar(std::cos(angle)), angles[frequency_.size() + d] = Scalar(std::sin(angle));
    }
  }
  /// Turns one head [head_dim] in place. Turning by p and then by -gap is turning by p - gap.
  void turn(Scalar* head, const Scalar* angles) const {
    const std::size_t half = frequency_.size();
    const bool split = pairs_ == RopePairs::half_split;
    const std::size_t step = split ? 1 : 2, partner = split ? half : 1;
    for (std::size_t d = 0; d < half; ++d) {
      const Scalar x = head[step * d], y = head[step * d + partner], cos = angles[d], sin = angles[half + d];
      head[step * d] = x * cos - y * sin;
      head[step * d + partner] = x * sin + y * cos;
    }
  }
  /// Every head of one token in place: `size` = heads * head_dim numbers.
  void turn_heads(Scalar* heads, Eigen::Index size, const Scalar* angles) const {
    for (Eigen::Index column = 0; column < size; column += head_dim()) turn(heads + column, angles);
  }
  /// Every head of every row of [tokens, heads * head_dim]; row t stands at first_position + t. Convenient, not fast.
  void turn_all(MatrixOut<Scalar> heads, int first_position) const {
    Numbers<Scalar> turned_by(frequency_.size() * 2);
    for (int t = 0; t < heads.rows(); ++t) {
      angles(first_position + t, turned_by.data());
      turn_heads(at(heads, t, 0), heads.cols(), turned_by.data());
    }
  }

 private:
  RopePairs pairs_;
  std::vector<double> frequency_;  // [head_dim / 2], radians per position
};

}  // namespace kvcache
