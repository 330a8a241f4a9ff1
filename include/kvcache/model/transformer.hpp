// A decoder-only transformer: token ids in, logits out. It never learns which cache it has.
#pragma once

#include <span>

#include "kvcache/model/check_step.hpp"
#include "kvcache/model/layer.hpp"
#include "kvcache/position/learned.hpp"

namespace kvcache {

template <class ScalarType>
class Transformer {
 public:
  using Scalar = ScalarType;

  /// Refers to the model, which must outlive it. Errors: a config that check_config refuses.
  explicit Transformer(const Model<Scalar>& model)
      : model_(model), layer_((check_config(model.config), model.config)) {}
  explicit Transformer(Model<Scalar>&&) = delete;  // it would be gone at once

  const ModelConfig& config() const { return model_.config; }

  /// Reads `tokens`, which follow what the cache holds; returns the logits [vocab] of the token after the last, valid
  /// until the next call. One batched pass: many tokens are a prefill, one token is a decoding step.
  /// Errors: no tokens, ids outside the vocabulary, more tokens than positions, a cache of another shape, or a full
  /// one. A step that fails, also in its midst, leaves the cache as it was; one that has forgotten what it would go
  /// back to is empty then.
  template <KeyValueCache Cache, class Hook = NoHook>
  std::span<const Scalar> step(Cache& cache, std::span<const int> tokens, Hook&& hook = {}) {
    auto x = run_layers(cache, tokens, hook);
    auto logits = output_layer(out(x.bottomRows(1)));
    return {logits.data(), std::size_t(logits.size())};
  }

  /// The same, but the logits after every token: [tokens, vocab], valid until the next call. Training looks like this:
  /// row t is what cached decoding gives after token t.
  template <KeyValueCache Cache, class Hook = NoHook>
  MatrixIn<Scalar> step_all(Cache& cache, std::span<const int> tokens, Hook&& hook = {}) {
    auto x = run_layers(cache, tokens, hook);
    return in(output_layer(x));
  }

  /// What the last step did. Multiplications are counted where they are performed.
  const Work& work() const { return work_; }

 private:
  template <KeyValueCache Cache, class Hook>
  MatrixOut<Scalar> run_layers(Cache& cache, std::span<const int> tokens, Hook& hook) {
    const ModelConfig& c = model_.config;
    const int n = int(tokens.size()), position = cache.length(0);
    check_step(c, cache, tokens);
    work_ = {};
    auto x = room_.x(n, c.hidden);
    {
      const Timed timed(work_, Part::projection);
      for (int t = 0; t < n; ++t) {
        model_.weights.embedding.read_row(tokens[std::size_t(t)], at(x, t, 0));
        if (c.position == PositionKind::learned)
          add_learned_position(model_.weights.positions, position + t, at(x, t, 0));
      }
      layer_.begin(n, position);
    }
    whole_or_not(cache, int(tokens.size()), [&] {
      for (int l = 0; l < c.layers; ++l) layer_.apply(model_.weights.layers[std::size_t(l)], l, cache, x, work_, hook);
    });
    return x;
  }

  MatrixOut<Scalar> output_layer(MatrixOut<Scalar> x) {  // [rows, hidden] -> [rows, vocab]
    const Timed timed(work_, Part::output_layer);
    auto normed = room_.normed(x.rows(), x.cols()), logits = room_.logits(x.rows(), model_.config.vocab);
    normalise(model_.config, model_.weights.final_norm, x, normed);
    const WeightMatrix<Scalar>& matrix = model_.weights.output_matrix();
    project(in(normed), matrix, Vector<Scalar>(), logits);
    work_.count(Part::output_layer, std::int64_t(x.rows()) * matrix.size());
    return logits;
  }

  const Model<Scalar>& model_;
  DecoderLayer<Scalar> layer_;
  Work work_;
  struct {
    Room<Scalar> x, normed, logits;
  } room_;
};

}  // namespace kvcache
