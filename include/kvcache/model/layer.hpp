// One decoder layer: norm, project, rope, append, attend, project, and a feed-forward network.
#pragma once

#include "kvcache/attention/attention.hpp"
#include "kvcache/math/activation.hpp"
#include "kvcache/math/linear.hpp"
#include "kvcache/math/norm.hpp"
#include "kvcache/model/stage.hpp"
#include "kvcache/model/weights.hpp"

namespace kvcache {

/// Norm of each row: x, y [n, hidden].
template <class Scalar>
void normalise(const ModelConfig& config, const Norm<Scalar>& norm, const MatrixOut<Scalar>& x, MatrixOut<Scalar> y) {
  const Scalar epsilon = Scalar(config.norm_epsilon);
  parallel_runs(x.rows(), /*parallel*/ x.rows() > 1, [&](long first, long count) {
    for (long t = first; t < first + count; ++t)
      if (config.norm == NormKind::rms_norm)
        rms_norm(at(x, t, 0), norm.gain, epsilon, at(y, t, 0));
      else
        layer_norm(at(x, t, 0), norm.gain, norm.bias, epsilon, at(y, t, 0));
  });
}

/// y = x weight^T + bias, counted: x [n, inputs], y [n, outputs].
template <class Scalar>
void project(const Linear<Scalar>& linear, MatrixIn<Scalar> x, MatrixOut<Scalar> y, Work& work, Part part) {
  project(x, linear.weight, linear.bias, y);
  work.count(part, std::int64_t(x.rows()) * linear.weight.size());
}

/// Shows a hook the numbers of one stage, if it has a function for them: hook.see(layer, stage, numbers [n, ...]).
template <class Scalar>
void show(auto& hook, int layer, Stage stage, const MatrixOut<Scalar>& numbers) {
  if constexpr (requires { hook.see(layer, stage, in(numbers)); }) hook.see(layer, stage, in(numbers));
}

/// Runs the layers of a model, one after another; holds the work space they share, so a warm step allocates nothing.
template <class Scalar>
class DecoderLayer {
 public:
  explicit DecoderLayer(const ModelConfig& config)
      : config_(config),
        rope_(config.position == PositionKind::rope ? config.head_dim : 2, config.rope_theta, config.rope_pairs,
              config.position == PositionKind::rope ? config.rope_divisors : std::vector<double>()),
        attention_(config.q_heads, config.position == PositionKind::rope ? &rope_ : nullptr) {}
  DecoderLayer(const DecoderLayer&) = delete;  // attention_ refers to rope_
  DecoderLayer& operator=(const DecoderLayer&) = delete;

  /// To be called once a step, before the first layer: n tokens will stand at first_position and on.
  void begin(int n, int first_position) {
    first_position_ = first_position;
    if (config_.position != PositionKind::rope) return;
    auto angles = room_.angles(n, config_.head_dim);
    for (int t = 0; t < n; ++t) rope_.angles(first_position + t, at(angles, t, 0));
  }

  /// x [n, hidden], in place. Keys and values of these n tokens are appended to the cache; earlier ones are only read.
  template <KeyValueCache Cache, class Hook>
  void apply(const LayerWeights<Scalar>& weights, int layer, Cache& cache, MatrixOut<Scalar> x, Work& work,
             Hook&& hook) {
    const Eigen::Index n = x.rows(), q = config_.q_size(), kv = config_.kv_size();
    auto normed = room_.normed(n, config_.hidden), delta = room_.delta(n, config_.hidden);
    auto qkv = room_.qkv(n, config_.qkv_size()), attended = room_.attended(n, q);
    {
      const Timed timed(work, Part::projection);
      normalise(config_, weights.attention_norm, x, normed);
      project(weights.qkv, in(normed), qkv, work, Part::projection);
      if (config_.qk_norm) {
        normalise_heads(out(qkv.leftCols(q)), weights.q_norm);
        normalise_heads(out(qkv.middleCols(q, kv)), weights.k_norm);
      }
      turn(out(qkv.leftCols(q + kv)), work);  // queries and keys; values carry no position
      show<Scalar>(hook, layer, Stage::normalised, normed);
      show<Scalar>(hook, layer, Stage::projected, qkv);
      work.queries_computed += n * config_.q_heads;
      work.keys_computed += n * config_.kv_heads;
    }
    attention_.append_and_attend(cache, layer, in(qkv.middleCols(q, kv)), in(qkv.middleCols(q + kv, kv)),
                                 in(qkv.leftCols(q)), first_position_, attended, work, hook);
    show<Scalar>(hook, layer, Stage::attended, attended);
    {
      const Timed timed(work, Part::projection);
      project(weights.attention_out, in(attended), delta, work, Part::projection);
      x += delta;
    }
    show<Scalar>(hook, layer, Stage::after_attention, x);
    const Timed timed(work, Part::feed_forward);
    auto up = room_.up(n, config_.up_size()), active = room_.active(n, config_.ffn);
    normalise(config_, weights.ffn_norm, x, normed);
    project(weights.up, in(normed), up, work, Part::feed_forward);
    activate(up, active);
    project(weights.down, in(active), delta, work, Part::feed_forward);
    x += delta;
    show<Scalar>(hook, layer, Stage::after_feed_forward, x);
  }

 private:
  void normalise_heads(MatrixOut<Scalar> heads, const Vector<Scalar>& gain) const {  // [n, heads * head_dim], in place
    for (Eigen::Index t = 0; t < heads.rows(); ++t)
      for (Eigen::Index column = 0; column < heads.cols(); column += config_.head_dim)
        rms_norm(at(heads, t, column), gain, Scalar(config_.norm_epsilon), at(heads, t, column));
  }
  void turn(MatrixOut<Scalar> heads, Work& work) {  // [n, (q_heads + kv_heads) * head_dim]
    if (config_.position != PositionKind::rope) return;
    auto angles = room_.angles(heads.rows(), config_.head_dim);  // filled by begin()
    parallel_runs(heads.rows(), /*parallel*/ heads.rows() > 1, [&](long first, long count) {
      for (long t = first; t < first + count; ++t) rope_.turn_heads(at(heads, t, 0), heads.cols(), at(angles, t, 0));
    });
    work.count(Part::projection, 2 * std::int64_t(heads.size()));
  }
  void activate(const MatrixOut<Scalar>& up, MatrixOut<Scalar>& active) const {
    parallel_runs(up.rows(), /*parallel*/ up.rows() > 1, [&](long first, long count) {
      for (long t = first; t < first + count; ++t)
        if (config_.activation == ActivationKind::silu_gated)
          silu_gated(at(up, t, 0), at(up, t, config_.ffn), config_.ffn, at(active, t, 0));
        else
          gelu_tanh(at(up, t, 0), config_.ffn, at(active, t, 0));
    });
  }

  ModelConfig config_;
  Rope<Scalar> rope_;
  Attention<Scalar> attention_;
  int first_position_ = 0;
  struct {
    Room<Scalar> angles, normed, delta, qkv, attended, up, active;
  } room_;
};

}  // namespace kvcache
