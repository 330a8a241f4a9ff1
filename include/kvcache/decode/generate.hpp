// Writing text one token at a time: prefill the prompt, then choose, append, feed, and again.
#pragma once

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "kvcache/decode/sampling.hpp"
#include "kvcache/model/transformer.hpp"

namespace kvcache {

struct GenerateOptions {
  int tokens = 20;                    // how many to write at most
  bool use_cache = true;              // false: the cache is cleared before each step, and every token is computed again
  SamplingOptions sampling = {};      // greedy unless asked otherwise
  std::vector<int> stop_tokens = {};  // writing ends after one of these
};

/// What one step did. Spans are valid until the next step.
template <class Scalar>
struct Step {
  int index = 0;                   // 0 is the step that reads the prompt
  int token = 0;                   // the token it chose
  int tokens_fed = 0;              // tokens computed in this step
  int tokens_reused = 0;           // earlier tokens whose keys attention read; where layers differ, the most of any
  double seconds = 0;              // wall time of the whole step [MEASURED]
  Work work;                       // by part: seconds [MEASURED], multiplications [counted]
  MemoryUse memory;                // of the cache after the step
  std::span<const Scalar> logits;  // [vocab], that `token` was chosen from
  std::span<const int> text;       // prompt and all tokens chosen, this one too
  bool is_last = false;
};

/// Decoding, step by step, for whoever wants to look between the steps. generate() below is the loop over it. A model
/// is what has the config(), step() and work() of Transformer, whatever computes it.
template <class Model, KeyValueCache Cache>
class Decoding {
 public:
  using Scalar = typename Model::Scalar;

  /// Tokens that the cache already holds must be the first of the prompt; at least one more must follow them.
  /// Errors: an empty prompt; tokens < 1; a text longer than the model's positions; sampling numbers out of range; a
  /// cache that holds the whole prompt already.
  Decoding(Model& model, Cache& cache, std::span<const int> prompt, GenerateOptions options)
      : model_(model), cache_(cache), options_(std::move(options)), sampler_(options_.sampling) {
    const int positions = longest_text(model.config(), cache), length = int(prompt.size());
    check(!prompt.empty(), "generate: the prompt is empty; give at least one token");
    check(options_.tokens >= 1, "generate: ", options_.tokens, " tokens asked for; at least 1 is needed");
    check(length <= positions, "generate: the prompt has ", length, " tokens, but the model has positions for ",
          positions, "; give a shorter prompt");
    // The last token is chosen but never fed, so it needs no position.
    check(std::int64_t(length) + options_.tokens - 1 <= positions, "generate: a prompt of ", length, " tokens and ",
          options_.tokens, " more do not fit in the model's ", positions, " positions; ask for at most ",
          positions - length + 1, " tokens");
    check(!options_.use_cache || cache.length(0) < length, "generate: the cache holds ", cache.length(0),
          " tokens and the prompt has ", length,
          "; at least the prompt's last token must be computed: clear or rewind the cache");
    text_.reserve(prompt.size() + std::size_t(options_.tokens));
    text_.assign(prompt.begin(), prompt.end());
    prompt_length_ = prompt.size();
  }

  Decoding(const Decoding&) = delete;  // the last step refers to the text in here
  Decoding& operator=(const Decoding&) = delete;

  bool done() const { return done_; }

  /// Feeds what the cache does not hold yet, and chooses the next token. The hook, if any, sees what Transformer::step
  /// shows. Errors: called when done(); those of step, after which it may be called again.
  template <class Hook = NoHook>
  const Step<Scalar>& next(Hook&& hook = {}) {
    check(!done_, "generate: all ", step_.index + 1, " tokens are written; start anew for more");
    const auto start = Timed::Clock::now();
    if (!options_.use_cache) cache_.clear();
    const std::size_t held = std::size_t(cache_.length(0));
    check(held < text_.size(), "generate: the cache holds ", held, " tokens and the text has ", text_.size(),
          "; somebody else has appended to it: rewind or clear it");
    step_.tokens_fed = int(text_.size() - held);
    const std::span<const int> fed = std::span<const int>(text_).subspan(held);
    if constexpr (std::same_as<std::remove_cvref_t<Hook>, NoHook>)
      step_.logits = model_.step(cache_, fed);
    else
      step_.logits = model_.step(cache_, fed, hook);
    step_.work = model_.work();
    step_.tokens_reused = int(step_.work.tokens_reused);
    {
      const Timed timed(step_.work, Part::sampling);
      step_.token = sampler_.choose(step_.logits, std::span<const int>(text_));
    }
    step_.index = int(text_.size() - prompt_length_);
    text_.push_back(step_.token);
    step_.text = text_;
    step_.memory = cache_.memory();
    done_ = step_.index + 1 == options_.tokens ||
            std::count(options_.stop_tokens.begin(), options_.stop_tokens.end(), step_.token) > 0;
    step_.is_last = done_;
    step_.seconds = std::chrono::duration<double>(Timed::Clock::now() - start).count();
    return step_;
  }

 private:
  Model& model_;
  Cache& cache_;
  GenerateOptions options_;
  Sampler sampler_;
  std::vector<int> text_;
  std::size_t prompt_length_ = 0;
  Step<Scalar> step_;
  bool done_ = false;
};

/// Writes up to options.tokens tokens after the prompt and returns them; on_step(const Step&) is called after each, and may
/// return false to end there. Errors: those of Decoding.
template <class Model, KeyValueCache Cache, class OnStep>
std::vector<int> generate(Model& model, Cache& cache, std::span<const int> prompt, const GenerateOptions& options,
                          OnStep&& on_step) {
  Decoding<Model, Cache> decoding(model, cache, prompt, options);
  std::vector<int> written;
  while (!decoding.done()) {
    const auto& step = decoding.next();
    written.push_back(step.token);
    if constexpr (std::same_as<decltype(on_step(step)), bool>) {
      if (!on_step(step)) break;
    } else {
      on_step(step);
    }
  }
  return written;
}
template <class Model, KeyValueCache Cache>
std::vector<int> generate(Model& model, Cache& cache, std::span<const int> prompt,
                          const GenerateOptions& options = {}) {
  return generate(model, cache, prompt, options, [](const Step<typename Model::Scalar>&) {});
}

}  // namespace kvcache
