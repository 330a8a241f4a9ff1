// From logits to a token: greedy, or drawn at random after temperature, top-k, top-p and repetition penalty.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "kvcache/core/check.hpp"
#include "kvcache/core/matrix.hpp"
#include "kvcache/core/random.hpp"

namespace kvcache {

struct SamplingOptions {
  double temperature = 0;         // 0: always the likeliest token (greedy); 1: the model's own probabilities
  int top_k = 0;                  // only the k likeliest tokens; 0: all
  double top_p = 1;               // only the likeliest tokens that together reach this probability; 1: all
  double repetition_penalty = 1;  // above 1: tokens already in the text become less likely (Keskar et al., 2019)
  std::uint64_t seed = 0;         // the same seed gives the same text
};

/// Errors: numbers outside their range.
inline void check_sampling(const SamplingOptions& o) {
  check(std::isfinite(o.temperature) && o.temperature >= 0, "temperature is ", o.temperature,
        "; it must be 0 (greedy) or more");
  check(o.top_k >= 0, "top-k is ", o.top_k, "; it must be 0 (all tokens) or more");
  check(o.top_p > 0 && o.top_p <= 1, "top-p is ", o.top_p, "; it must be above 0 and at most 1 (all tokens)");
  check(std::isfinite(o.repetition_penalty) && o.repetition_penalty > 0, "repetition penalty is ", o.repetition_penalty,
        "; it must be above 0; 1 means none");
}

/// Chooses tokens; the order of the steps is that of Hugging Face's transformers: penalty, temperature, top-k, top-p.
class Sampler {
 public:
  explicit Sampler(const SamplingOptions& options = {}) : options_(options), random_(options.seed) {
    check_sampling(options);
  }

  /// The token to come after `text`, given its logits [vocab]. A logit of minus infinity forbids a token.
  /// Errors: no token is allowed; a logit that is not a number or plus infinity.
  template <class Scalar>
  int choose(std::span<const Scalar> logits, std::span<const int> text) {
    const ArrayIn<Scalar> all(logits.data(), std::ssize(logits));
    constexpr Scalar infinity = std::numeric_limits<Scalar>::infinity();
    check((all > -infinity).any() && (all < infinity).all(), "sampling: of ", logits.size(),
          " logits none is finite, or some are infinite or not a number; the model's weights are broken");
    if (options_.temperature == 0 && options_.repetition_penalty == 1)  // nothing to change: no copy
      return int(std::max_element(logits.begin(), logits.end()) - logits.begin());
    if (options_.temperature == 0) {
      penalise(logits, text);
      return int(std::max_element(scores_.begin(), scores_.end()) - scores_.begin());
    }
    const std::vector<double>& probabilities = this->probabilities(logits, text);
    double left = random_.uniform();
    int last = 0;
    for (const int token : order_) {
      if (probabilities[std::size_t(token)] == 0) break;
      last = token;
      left -= probabilities[std::size_t(token)];
      if (left < 0) break;
    }
    return last;  // rounding may leave a little at the end
  }

  /// The probability [vocab] that each token is drawn with; temperature must not be 0.
  template <class Scalar>
  const std::vector<double>& probabilities(std::span<const Scalar> logits, std::span<const int> text) {
    check(options_.temperature > 0, "probabilities: greedy choice (temperature 0) has none");
    penalise(logits, text);
    order_.resize(scores_.size());
    std::iota(order_.begin(), order_.end(), 0);
    const auto likelier = [&](int a, int b) {
      return scores_[std::size_t(a)] > scores_[std::size_t(b)] ||
             (scores_[std::size_t(a)] == scores_[std::size_t(b)] && a < b);
    };
    std::size_t kept = scores_.size();
    if (options_.top_k > 0) kept = std::min(kept, std::size_t(options_.top_k));
    std::partial_sort(order_.begin(), order_.begin() + std::ptrdiff_t(kept), order_.end(), likelier);

    probabilities_.assign(scores_.size(), 0);
    const double largest = scores_[std::size_t(order_[0])];
    double sum = 0;
    for (std::size_t i = 0; i < kept; ++i)
      sum += probability_of(order_[i]) = std::exp((scores_[std::size_t(order_[i])] - largest) / options_.temperature);
    double reached = 0, kept_sum = 0;
    for (std::size_t i = 0; i < kept; ++i) {
      if (options_.top_p < 1 && reached >= options_.top_p)
        probability_of(order_[i]) = 0;  // those before it suffice; the first always stays
      reached += probability_of(order_[i]) / sum;
      kept_sum += probability_of(order_[i]);
    }
    for (std::size_t i = 0; i < kept; ++i) probability_of(order_[i]) /= kept_sum;
    return probabilities_;
  }

 private:
  double& probability_of(int token) { return probabilities_[std::size_t(token)]; }

  template <class Scalar>
  void penalise(std::span<const Scalar> logits, std::span<const int> text) {
    scores_.assign(logits.begin(), logits.end());
    if (options_.repetition_penalty == 1) return;
    seen_.assign(scores_.size(), 0);  // a token is penalised once, however often it stands in the text
    for (const int token : text) {
      check(token >= 0 && token < int(scores_.size()), "sampling: token id ", token, " is in the text, but there are ",
            scores_.size(), " logits; was the text tokenised for another model?");
      if (std::exchange(seen_[std::size_t(token)], char(1)) != 0) continue;
      double& score = scores_[std::size_t(token)];
      score = score > 0 ? score / options_.repetition_penalty : score * options_.repetition_penalty;
    }
  }

  SamplingOptions options_;
  Random random_;
  std::vector<double> scores_, probabilities_;  // [vocab]
  std::vector<int> order_;                      // [vocab], the likeliest first
  std::vector<char> seen_;                      // [vocab]: is the token in the text?
};

}  // namespace kvcache
