// A softmax that is never shown all scores at once: when a larger one comes, what was summed so far is scaled down to
// match. Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018; the heart of FlashAttention.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "kvcache/cache/concept.hpp"

namespace kvcache {

/// The attention output of m queries, growing block by block.
template <class Scalar>
class OnlineSoftmax {
 public:
  static constexpr Scalar masked = -std::numeric_limits<Scalar>::infinity();  // the score of a row a query must not see

  /// Work space that the caller owns: sums [m, head_dim], state [2, m].
  OnlineSoftmax(MatrixOut<Scalar> sums, MatrixOut<Scalar> state)
      : output_(sums), max_(at(state, 0, 0)), sum_(at(state, 1, 0)) {
    std::fill_n(output_.data(), output_.size(), Scalar(0));
    std::fill_n(max_, sums.rows(), masked);
    std::fill_n(sum_, sums.rows(), Scalar(0));
  }

  /// Turns the scores [m, rows] of some rows into weights relative to the largest score so far, in place. Their values
  /// are added next, with these weights.
  void weigh(MatrixOut<Scalar> scores) {
    for (int i = 0; i < scores.rows(); ++i) {
      ArrayOut<Scalar> row(at(scores, i, 0), scores.cols());
      const Scalar max = std::max(max_[i], row.maxCoeff());
      if (max == masked) {  // nothing to see yet; exp(masked - masked) would be NaN
        std::fill_n(row.data(), row.size(), Scalar(0));
        continue;
      }
      const Scalar rescale = std::exp(max_[i] - max);  // 0 the first time
      row = (row - max).exp();
      sum_[i] = sum_[i] * rescale + row.sum();
      if (rescale != 1) ArrayOut<Scalar>(at(output_, i, 0), output_.cols()) *= rescale;
      max_[i] = max;
    }
  }
  /// Adds the values of a block: weights [m, rows], as weigh made them.
  void add(MatrixIn<Scalar> weights, const HostBlock auto& block) { block.accumulate(weights, output_); }
  /// Both for one block.
  void absorb(MatrixOut<Scalar> scores, const HostBlock auto& block) { weigh(scores), add(in(scores), block); }

  int queries() const { return int(output_.rows()); }
  int head_dim() const { return int(output_.cols()); }

  /// Takes in what another one saw of the same queries: other rows.
  void merge(const OnlineSoftmax& other) {
    for (int i = 0; i < queries(); ++i) {
      const Scalar max = std::max(max_[i], other.max_[i]);
      if (max == masked) continue;  // neither saw a row
      const Scalar ours = std::exp(max_[i] - max), theirs = std::exp(other.max_[i] - max);
      sum_[i] = sum_[i] * ours + other.sum_[i] * theirs;
      ArrayOut<Scalar> into(at(output_, i, 0), head_dim());
      into = into * ours + ArrayIn<Scalar>(at(other.output_, i, 0), head_dim()) * theirs;
      max_[i] = max;
    }
  }

  /// Writes the attention output of one query to `output` [head_dim], once every block was absorbed.
  void output(int query, Scalar* output) const {
    ArrayOut<Scalar>(output, output_.cols()) = ArrayIn<Scalar>(at(output_, query, 0), output_.cols()) / sum_[query];
  }

  /// Turns the scores of one query over all rows of all blocks into its attention weights, in place.
  void to_weights(int query, ArrayOut<Scalar> scores) const {
    scores = (scores == masked)  // Eigen's vectorised exp(-inf) is 1e-38, not 0
                 .select(Scalar(0), (scores - max_[query]).exp() / sum_[query]);
  }

 private:
  MatrixOut<Scalar> output_;  // [m, head_dim], not yet divided by sum_
  Scalar *max_, *sum_;        // [m]
};

}  // namespace kvcache
