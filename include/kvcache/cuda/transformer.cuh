// The decoder on a GPU: the words of model/transformer.hpp and model/layer.hpp, each a kernel. Put the two side by
// side.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "kvcache/core/work.hpp"
#include "kvcache/cuda/attention.cuh"
#include "kvcache/cuda/device_rows.cuh"
#include "kvcache/cuda/device_weights.cuh"
#include "kvcache/cuda/kernels/activate.cuh"
#include "kvcache/cuda/kernels/argmax.cuh"
#include "kvcache/cuda/kernels/embed.cuh"
#include "kvcache/cuda/kernels/norm.cuh"
#include "kvcache/model/check_step.hpp"

namespace kvcache::cuda {

/// Weight: float or __half, what the matrices are kept in; everything is computed in float.
template <class Weight = float>
class DeviceTransformer {
 public:
  using Scalar = float;

  /// Copies the weights to the device. The stream must outlive this object, and is the one that caches are made with.
  /// Errors: a config that check_config refuses; sizes that are no multiples of 4, which the kernels read together;
  /// heads wider than 256; a device memory too small.
  DeviceTransformer(const Model<float>& model, Stream& stream)
      : config_((check_config(model.config), checked(model.config))),
        stream_(stream),
        weights_(model.weights),
        rope_(config_.position == PositionKind::rope ? config_.head_dim : 2, config_.rope_theta, config_.rope_pairs,
              config_.position == PositionKind::rope ? config_.rope_divisors : std::vector<double>()) {}

  const ModelConfig& config() const { return config_; }

  /// As Transformer::step: reads `tokens`, which follow what the cache holds, and returns the logits [vocab] of the
  /// token after the last, copied to the host, valid until the next call. Errors: those of Transformer::step; a cache
  /// that must learn from attention weights, which stay on the device.
  template <KeyValueCache Cache>
  requires std::same_as<typename Cache::Block, DeviceBlock> std::span<const float> step(Cache& cache,
                                                                                        std::span<const int> tokens) {
    const Timed timed(work_, Part::output_layer);
    run_layers(cache, tokens);
    logits_.resize(std::size_t(config_.vocab));
    room_.logits.download(logits_);
    return logits_;
  }
  /// The same, but the likeliest token, found on the device: one number is copied instead of the vocabulary.
  template <KeyValueCache Cache>
  requires std::same_as<typename Cache::Block, DeviceBlock>
  int step_greedy(Cache& cache, std::span<const int> tokens) {
    const Timed timed(work_, Part::output_layer);
    run_layers(cache, tokens);
    stream_.launch(find_largest<threads>, dim3(1), dim3(threads), 0, room_.logits(std::size_t(config_.vocab)),
                   config_.vocab, room_.place(1));
    int place = 0;
    room_.place.download(std::span(&place, 1));
    return place;
  }

  /// What the last step did. Kernels run on their own while the host asks for the next, so no part has seconds of its
  /// own: all are counted in the output layer, where the host waits. Multiplications are counted by shape. [COMPUTED]
  const Work& work() const { return work_; }

 private:
  static constexpr int threads = 256;  // of a block, where nothing else decides

  static const ModelConfig& checked(const ModelConfig& c) {
    for (const auto& [what, size] : {std::pair{"hidden size", c.hidden}, {"head_dim", c.head_dim}, {"ffn", c.ffn}})
      check(size % 4 == 0, "CUDA: the model's ", what, " is ", size,
            ", but the kernels read 4 numbers at a time; it must be a multiple of 4");
    check(c.head_dim <= widest_head, "CUDA: head_dim is ", c.head_dim, "; the kernels hold heads of up to ",
          widest_head);
    return c;
  }

  template <class Cache>
  void run_layers(Cache& cache, std::span<const int> tokens) {
    check_step(config_, cache, tokens);
    if constexpr (LearningCache<Cache>)
      check(!cache.learns(),
            "CUDA: this cache must be told how much attention its rows got, which the kernels keep to ",
            "themselves; take growing, preallocated, window, paged or offloaded");
    work_ = {};
    tokens_ = int(tokens.size()), position_ = cache.length(0);
    x_ = room_.x(std::size_t(tokens_) * std::size_t(config_.hidden));
    const int* ids = room_.tokens.upload(tokens);
    stream_.launch(embed_tokens<Weight>, dim3(unsigned(tokens_)), dim3(threads), 0, ids,
                   weights_.embedding.weight.data(), given(weights_.positions), position_, config_.hidden, x_);
    begin_rope();
    whole_or_not(cache, tokens_, [&] {
      for (int l = 0; l < config_.layers; ++l) apply(weights_.layers[std::size_t(l)], l, cache);
    });
    float* last = x_ + std::size_t(tokens_ - 1) * std::size_t(config_.hidden);
    tokens_ = 1;
    float* normed = normalise(weights_.final_norm, last);
    run(weights_.output_matrix(), normed, room_.logits(std::size_t(config_.vocab)), /*adds*/ false, Part::output_layer);
  }

  /// One layer, as DecoderLayer::apply.
  template <class Cache>
  void apply(const DeviceLayer<Weight>& layer, int l, Cache& cache) {
    const int q = config_.q_size(), kv = config_.kv_size(), qkv_size = config_.qkv_size();
    float* qkv = room_.qkv(std::size_t(tokens_) * std::size_t(qkv_size));
    float* attended = room_.attended(std::size_t(tokens_) * std::size_t(q));
    run(layer.qkv, normalise(layer.attention_norm, x_), qkv, /*adds*/ false, Part::projection);
    if (config_.qk_norm) {
      normalise_heads(layer.q_norm, qkv, config_.q_heads);
      normalise_heads(layer.k_norm, qkv + q, config_.kv_heads);
    }
    if (config_.position == PositionKind::rope)
      turn(qkv, qkv, angles_, config_.q_heads + config_.kv_heads, config_.head_dim);
    work_.queries_computed += std::int64_t(tokens_) * config_.q_heads;
    work_.keys_computed += std::int64_t(tokens_) * config_.kv_heads;
    for (int done = 0, piece; done < tokens_; done += piece) {  // as Attention::append_and_attend
      piece = std::min(tokens_ - done, cache.chunk_limit(l));
      check(piece > 0, "CUDA: the cache's chunk_limit is ", piece, "; it must be at least 1");
      float* first = qkv + std::size_t(done) * std::size_t(qkv_size);
      const auto rows = [&](int column) {  // a view of device memory: the policy passes it on, unread
        return MatrixIn<float>(first + column, piece, kv, Eigen::OuterStride<>(qkv_size));
      };
      cache.append(l, position_ + done, rows(q), rows(q + kv));
      if (done == 0) count_reused(cache, l);
      attend(cache, l, first, done, piece, attended + std::size_t(done) * std::size_t(q));
    }
    run(layer.attention_out, attended, x_, /*adds*/ true, Part::projection);
    feed_forward(layer);
  }
  template <class Cache>
  void attend(const Cache& cache, int l, float* queries, int done, int piece, float* attended) {
    const Table table = table_.collect(cache, l);
    const float* turned = nullptr;
    if (table_.gap() != 0) {  // queries are turned back instead of the cached keys
      float* copy = room_.turned(std::size_t(piece) * std::size_t(config_.qkv_size()));
      turn(queries, copy, gap_angles(table_.gap()), config_.q_heads, /*stride of angles*/ 0, piece);
      turned = copy;
    }
    const AttentionShape shape{config_.q_heads, config_.kv_heads, config_.head_dim,
                               1 / std::sqrt(float(config_.head_dim))};
    attention_.attend({queries, turned, piece, position_ + done, config_.qkv_size()}, table, shape, attended, stream_);
    work_.count(Part::attention, std::int64_t(2) * piece * config_.q_size() * table.rows);
  }
  void feed_forward(const DeviceLayer<Weight>& layer) {
    const std::size_t n = std::size_t(tokens_);
    float *up = room_.up(n * std::size_t(config_.up_size())), *active = room_.active(n * std::size_t(config_.ffn));
    run(layer.up, normalise(layer.ffn_norm, x_), up, /*adds*/ false, Part::feed_forward);
    const auto kernel =
        config_.activation == ActivationKind::silu_gated ? silu_gated_rows<threads> : gelu_tanh_rows<threads>;
    stream_.launch(kernel, dim3(unsigned(tokens_), pieces(config_.ffn, threads)), dim3(threads), 0,
                   static_cast<const float*>(up), active, config_.ffn);
    run(layer.down, active, x_, /*adds*/ true, Part::feed_forward);
  }

  float* normalise(const DeviceNorm<Weight>& norm, const float* x) {  // [tokens, hidden]
    float* y = room_.normed(std::size_t(tokens_) * std::size_t(config_.hidden));
    const float epsilon = float(config_.norm_epsilon);
    if (config_.norm == NormKind::rms_norm)
      stream_.launch(rms_norm_rows<threads>, dim3(unsigned(tokens_)), dim3(threads), 0, x, norm.gain.data(), y,
                     config_.hidden, config_.hidden, epsilon);
    else
      stream_.launch(layer_norm_rows<threads>, dim3(unsigned(tokens_)), dim3(threads), 0, x, norm.gain.data(),
                     norm.bias.data(), y, config_.hidden, epsilon);
    return y;
  }
  void normalise_heads(const DeviceMemory<float>& gain, float* heads, int count) {  // in place
    stream_.launch(rms_norm_rows<threads>, dim3(unsigned(tokens_), unsigned(count)), dim3(threads), 0,
                   static_cast<const float*>(heads), gain.data(), heads, config_.head_dim, config_.qkv_size(),
                   float(config_.norm_epsilon));
  }
  void run(const DeviceLinear<Weight>& linear, const float* x, float* y, bool adds, Part part) {
    project(
        Product<Weight>{linear.weight.data(), given(linear.bias), x, y, linear.outputs, linear.inputs, tokens_, adds},
        stream_);
    work_.count(part, std::int64_t(tokens_) * linear.outputs * linear.inputs);
  }
  void turn(const float* from, float* to, const float* angles, int heads, int stride_of_angles, int tokens = 0) {
    const auto kernel = config_.rope_pairs == RopePairs::interleaved ? turn_heads<true> : turn_heads<false>;
    stream_.launch(kernel, dim3(unsigned(tokens > 0 ? tokens : tokens_)), dim3(threads), 0, from, to, angles, heads,
                   config_.head_dim, config_.qkv_size(), stride_of_angles);
  }
  /// The angles of this step, for all layers and heads.
  void begin_rope() {
    if (config_.position != PositionKind::rope) return;
    host_angles_.resize(std::size_t(tokens_) * std::size_t(config_.head_dim));
    for (int t = 0; t < tokens_; ++t)
      rope_.angles(position_ + t, host_angles_.data() + std::size_t(t) * std::size_t(config_.head_dim));
    angles_ = room_.angles.upload(host_angles_);
  }
  const float* gap_angles(int gap) {
    if (gap == gap_) return room_.gap_angles(std::size_t(config_.head_dim));
    gap_ = gap;
    host_angles_.resize(std::size_t(config_.head_dim));
    rope_.angles(-gap, host_angles_.data());
    return room_.gap_angles.upload(host_angles_);
  }
  static const float* given(const DeviceMemory<float>& numbers) {
    return numbers.size() > 0 ? numbers.data() : nullptr;
  }
  /// As Attention does. All heads read the same table.
  void count_reused(const auto& cache, int layer) {
    int rows = 0;
    cache.for_each_block(layer, 0, [&](const DeviceBlock& block) {
      for (int row = 0, count; row < block.count; row += count) {
        count = block.neighbours(row);
        rows += std::clamp(position_ - block.position(row), 0, count);
      }
    });
    for (int head = 0; head < config_.kv_heads; ++head) work_.count_reused(rows);
  }

  ModelConfig config_;
  Stream& stream_;
  DeviceWeights<Weight> weights_;
  Rope<float> rope_;
  DeviceAttention attention_;
  BlockTable table_;
  Work work_;
  int tokens_ = 0, position_ = 0, gap_ = 0;
  float* x_ = nullptr;             // [tokens, hidden]
  const float* angles_ = nullptr;  // [tokens, head_dim]
  std::vector<float> host_angles_, logits_;
  struct {
    DeviceRoom<float> x, normed, qkv, turned, attended, up, active, logits, angles, gap_angles;
    DeviceRoom<int> tokens, place;
  } room_;
};

}  // namespace kvcache::cuda
