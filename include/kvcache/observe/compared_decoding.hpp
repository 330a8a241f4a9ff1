// Reads one text both ways: with a cache and without.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>
#include <vector>

#include "kvcache/decode/sampling.hpp"
#include "kvcache/model/transformer.hpp"
#include "kvcache/observe/comparison.hpp"

namespace kvcache {

/// Reads a text `repeats` times, each step with the cache and, right after it, without: whatever slows the machine
/// meets both. Nothing is recorded meanwhile, so these are the times to believe.
template <class Scalar, KeyValueCache Cache, KeyValueCache Scratch = Cache, class Model = Transformer<Scalar>>
class ComparedDecoding {
 public:
  /// `text`: a prompt of prompt_length ids, then the ids that were chosen; the last is chosen but never read. `scratch`
  /// is cleared before each step. Errors: a prompt that is empty or not followed by a token; repeats < 1.
  ComparedDecoding(Model& model, Cache cache, Scratch scratch, std::vector<int> text, int prompt_length, int repeats,
                   SamplingOptions sampling = {})
      : model_(model),
        cache_(std::move(cache)),
        scratch_(std::move(scratch)),
        text_(std::move(text)),
        prompt_length_(prompt_length),
        repeats_(repeats),
        sampling_(sampling),
        with_(sampling),
        without_(sampling) {
    check(prompt_length >= 1 && prompt_length < int(text_.size()), "comparison: a prompt of ", prompt_length,
          " tokens in a text of ", text_.size(), "; it must have at least one, and one must follow");
    check(repeats >= 1, "comparison: ", repeats, " repeats asked for; at least 1 is needed");
  }

  int steps() const { return int(text_.size()) - prompt_length_; }
  int total_steps() const { return steps() * repeats_; }
  bool done() const { return repeat_ == repeats_; }

  /// Errors: called when done(); those of Transformer::step.
  ComparedStep next() {
    check(!done(), "comparison: all ", total_steps(), " steps are done");
    if (step_ == 0) {
      cache_.clear();
      with_ = Sampler(sampling_), without_ = Sampler(sampling_);
    }
    ComparedStep result{repeat_, step_, {}, {}, 0, 0, 0};
    const auto text = std::span<const int>(text_).first(std::size_t(prompt_length_ + step_));
    const auto choose = [&](Sampler& sampler, std::span<const Scalar> logits, Work& work) {
      work = model_.work();
      const Timed timed(work, Part::sampling);
      return sampler.choose(logits, text);
    };
    const auto cached = model_.step(cache_, text.subspan(std::size_t(cache_.length(0))));
    result.token_with = choose(with_, cached, result.with);
    logits_.assign(cached.begin(), cached.end());
    scratch_.clear();
    const auto recomputed = model_.step(scratch_, text);
    result.token_without = choose(without_, recomputed, result.without);
    result.logit_difference = largest_difference(logits_, recomputed);
    if (++step_ == steps()) step_ = 0, ++repeat_;
    return result;
  }

 private:
  static double largest_difference(std::span<const Scalar> a, std::span<const Scalar> b) {
    double largest = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      const double d = std::abs(double(a[i]) - double(b[i]));
      if (!std::isfinite(d)) return HUGE_VAL;
      largest = std::max(largest, d);
    }
    return largest;
  }

  Model& model_;
  Cache cache_;
  Scratch scratch_;
  std::vector<int> text_;
  int prompt_length_, repeats_;
  SamplingOptions sampling_;
  Sampler with_, without_;
  std::vector<Scalar> logits_;
  int repeat_ = 0, step_ = 0;
};

}  // namespace kvcache
