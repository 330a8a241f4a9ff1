// What a cache costs in quality: how much worse, and how differently, the next tokens of a text are foreseen.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "kvcache/cache/concept.hpp"
#include "kvcache/cache/observer.hpp"
#include "kvcache/core/check.hpp"
#include "kvcache/core/matrix.hpp"
#include "kvcache/core/statistics.hpp"

namespace kvcache {

/// How many of the tokens that were appended a cache does not hold any more, as the blocks that attention reads tell
/// it: so it is known of any policy, whether that tells of evictions or not. The mean over heads and layers.
template <KeyValueCache Cache>
double forgotten_tokens(const Cache& cache) {
  const OnlyLooking here;
  const CacheShape shape = cache.shape();
  std::int64_t forgotten = 0;
  for (int layer = 0; layer < shape.layers; ++layer)
    for (int head = 0; head < shape.kv_heads; ++head) {
      forgotten += cache.length(layer);
      cache.for_each_block(layer, head, [&](const auto& block) { forgotten -= block.rows(); });
    }
  return double(forgotten) / double(shape.layers * shape.kv_heads);
}

/// Figures over the tokens of a text, each the mean of one number a token, in nats. All MEASURED in the decode loop.
class Quality {
 public:
  /// After one step: `logits` [vocab] as this cache gave them, `reference` [vocab] as the one to compare with did, and
  /// the token that really came next. Errors: logits that are not finite.
  template <class Scalar>
  void add(std::span<const Scalar> logits, std::span<const Scalar> reference, int next) {
    check(logits.size() == reference.size() && next >= 0 && next < std::ssize(logits), "Quality: ", logits.size(),
          " logits, ", reference.size(), " to compare with, and token ", next, " given; they do not belong together");
    const auto read = [](std::span<const Scalar> span) {
      return ArrayIn<Scalar>(span.data(), std::ssize(span)).template cast<double>();
    };
    Eigen::Index ours = 0, theirs = 0;
    const double log_sum = log_of_sum(logits, ours), reference_log_sum = log_of_sum(reference, theirs);
    // log p(i) = logit(i) - log_sum;  KL(reference || ours) = sum of p_reference(i) * (log p_reference(i) - log p(i))
    const auto log_p = read(logits) - log_sum, log_reference = read(reference) - reference_log_sum;
    losses_.push_back(log_sum - double(logits[std::size_t(next)]));
    loss_.add(losses_.back());
    divergence_.add((log_reference.exp() * (log_reference - log_p)).sum());
    agreement_.add(ours == theirs);
  }

  /// Negative log likelihood of the token that came.
  const Spread& loss() const { return loss_; }
  double perplexity() const { return std::exp(loss_.mean()); }
  /// Kullback-Leibler divergence of this cache's distribution from the reference's.
  const Spread& divergence() const { return divergence_; }
  /// 1 where both find the same token the likeliest.
  const Spread& agreement() const { return agreement_; }
  /// [tokens]
  const std::vector<double>& losses() const { return losses_; }

 private:
  template <class Scalar>
  static double log_of_sum(std::span<const Scalar> logits, Eigen::Index& likeliest) {
    const ArrayIn<Scalar> all(logits.data(), std::ssize(logits));
    const double largest = double(all.maxCoeff(&likeliest));
    const double sum = (all.template cast<double>() - largest).exp().sum();
    check(std::isfinite(sum) && std::isfinite(largest), "Quality: logits that are not finite; the weights are broken, ",
          "or the cache's format cannot hold its keys");
    return largest + std::log(sum);
  }
  Spread loss_, divergence_, agreement_;
  std::vector<double> losses_;
};

}  // namespace kvcache
