// The proof that a cache changes nothing: the same text fed twice, and the logits of every step compared.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>

#include "kvcache/model/transformer.hpp"

namespace kvcache {

struct LogitDifference {
  double largest = 0;          // of |cached - recomputed|, over all steps and tokens of the vocabulary
  int step = 0;                // where it was
  int first_other_token = -1;  // the first step in which the likeliest token differs; -1: none
};

/// Feeds the text with `cache`, prompt first and then token by token, and again without: `scratch` is cleared before
/// each step. Both see the same ids, so what differs is rounding. on_step(number) is called after each step. Both
/// caches are cleared first. A logit that is not finite counts as an infinite difference.
template <class Model, KeyValueCache Cache, KeyValueCache Scratch, class OnStep>
LogitDifference largest_logit_difference(Model& model, Cache& cache, Scratch& scratch, std::span<const int> text,
                                         int prompt_length, OnStep&& on_step) {
  check(prompt_length >= 1 && prompt_length <= int(text.size()), "proof: a prompt of ", prompt_length,
        " tokens in a text of ", text.size(), "; it must be from 1 to that many");
  LogitDifference difference;
  std::vector<typename Model::Scalar> cached;
  cache.clear();
  for (int length = prompt_length; length <= int(text.size()); ++length) {
    const int held = cache.length(0), step = length - prompt_length;
    const auto logits = model.step(cache, text.subspan(std::size_t(held), std::size_t(length - held)));
    cached.assign(logits.begin(), logits.end());
    scratch.clear();
    const auto recomputed = model.step(scratch, text.first(std::size_t(length)));
    for (std::size_t i = 0; i < cached.size(); ++i) {
      const double d = std::abs(double(cached[i]) - double(recomputed[i]));
      if (std::isfinite(difference.largest) && !(d <= difference.largest))
        difference.largest = std::isfinite(d) ? d : HUGE_VAL, difference.step = step;
    }
    const auto likeliest = [](const auto& l) { return std::max_element(l.begin(), l.end()) - l.begin(); };
    if (difference.first_other_token < 0 && likeliest(cached) != likeliest(recomputed))
      difference.first_other_token = step;
    on_step(step);
  }
  scratch.clear();
  return difference;
}

/// The first place where two texts differ; -1 if they are equal.
inline int first_difference(std::span<const int> a, std::span<const int> b) {
  const auto [x, y] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return x == a.end() && y == b.end() ? -1 : int(x - a.begin());
}

}  // namespace kvcache
