// Decoding that leaves records: the same steps as decode/generate.hpp takes, and what a Timeline keeps of each.
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kvcache/decode/generate.hpp"
#include "kvcache/observe/read_rows.hpp"
#include "kvcache/observe/timeline.hpp"
#include "kvcache/observe/traced_cache.hpp"

namespace kvcache {

struct TraceOptions {
  bool all_layers = false;  // attention weights and stages of every layer; else of `layer` alone
  int layer = 0;
  int candidates = 5;
};

namespace detail {

/// The hook that Transformer::step calls: keeps weights of the new queries, and the newest token's way through a layer.
template <class Cache>
class Recorder {
 public:
  using Scalar = typename Cache::Scalar;
  Recorder(const Cache& cache, const TraceOptions& options, const ModelConfig& config)
      : cache_(cache), options_(options), config_(config) {}

  /// Queries before `first_new` were recorded in earlier steps.
  void begin(int first_new, StepRecord& record) {
    first_new_ = first_new;
    record_ = &record;
  }
  bool wants(int layer) const { return options_.all_layers || layer == options_.layer; }
  void operator()(int layer, int kv_head, int first_position, MatrixIn<Scalar> weights) {
    const int group = config_.q_heads / config_.kv_heads, tokens = int(weights.rows()) / group;
    AttentionWeights& kept = record_->traces[layer].attention;
    if (kept.numbers.empty()) {
      kept.first_position = first_new_;
      kept.queries = record_->rows;
      kept.q_heads = config_.q_heads;
      kept.numbers.assign(
          std::size_t(config_.q_heads) * AttentionWeights::size_of_head(kept.first_position, kept.queries),
          AttentionWeights::not_kept);
    }
    positions_.clear();  // of the weights' columns, as attention just visited them
    cache_.for_each_block(layer, kv_head, [&](const auto& block) {
      for (int r = 0; r < block.rows(); ++r) positions_.push_back(block.position(r));
    });
    for (int t = std::max(0, first_new_ - first_position); t < tokens; ++t)
      for (int g = 0; g < group; ++g) {
        float* row = kept.numbers.data() + kept.offset(kv_head * group + g, first_position + t);
        for (std::size_t c = 0; c < positions_.size(); ++c)
          if (positions_[c] <= first_position + t) row[positions_[c]] = float(weights(t * group + g, Eigen::Index(c)));
      }
  }
  void see(int layer, Stage stage, MatrixIn<Scalar> numbers) {
    if (!wants(layer)) return;
    const Scalar* newest = numbers.data() + (numbers.rows() - 1) * numbers.outerStride();
    record_->traces[layer].stages[std::size_t(stage)].assign(newest, newest + numbers.cols());
  }

 private:
  const Cache& cache_;
  const TraceOptions& options_;
  const ModelConfig& config_;
  int first_new_ = 0;
  StepRecord* record_ = nullptr;
  std::vector<int> positions_;
};

/// The likeliest tokens of a softmax over the logits, the likeliest first.
template <class Scalar>
std::vector<Candidate> likeliest(std::span<const Scalar> logits, int count) {
  std::vector<int> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto kept = order.begin() + std::min<std::ptrdiff_t>(count, std::ssize(order));
  std::partial_sort(order.begin(), kept, order.end(), [&](int a, int b) {
    const Scalar x = logits[std::size_t(a)], y = logits[std::size_t(b)];
    return x > y || (x == y && a < b);
  });
  const double largest = double(logits[std::size_t(order.front())]);
  double sum = 0;
  for (const Scalar logit : logits) sum += std::exp(double(logit) - largest);
  std::vector<Candidate> candidates;
  for (auto token = order.begin(); token != kept; ++token)
    candidates.push_back({*token, std::exp(double(logits[std::size_t(*token)]) - largest) / sum});
  return candidates;
}

}  // namespace detail

/// One record a step. Rows are read back after a step's time is taken; looking at layouts, weights and stages happens
/// within it, and a layer whose weights are kept runs its attention on one thread. So these times are those of a run
/// that is watched: ComparedDecoding has the times to believe.
template <class Scalar, KeyValueCache Cache>
class TracedDecoding {
 public:
  /// Errors: those of Decoding; a layer that the model does not have; a cache that is not empty.
  TracedDecoding(Transformer<Scalar>& model, Cache cache, std::span<const int> prompt, GenerateOptions options,
                 TraceOptions trace = {})
      : config_(model.config()),
        trace_(trace),
        cache_(std::move(cache)),
        decoding_(model, cache_, prompt, std::move(options)),
        recorder_(cache_, trace_, config_),
        prompt_length_(int(prompt.size())) {
    check(trace.layer >= 0 && trace.layer < config_.layers, "TracedDecoding: layer ", trace.layer,
          " asked for; the model has layers 0 to ", config_.layers - 1);
    check(trace.candidates >= 0, "TracedDecoding: ", trace.candidates,
          " candidates asked for; at least 0 are possible");
    check(cache_.length(0) == 0, "TracedDecoding: the cache holds ", cache_.length(0),
          " tokens already; give an empty one");
  }
  TracedDecoding(const TracedDecoding&) = delete;
  TracedDecoding& operator=(const TracedDecoding&) = delete;

  bool done() const { return decoding_.done(); }
  const TracedCache<Cache>& cache() const { return cache_; }
  /// Of the last step; valid until the next.
  std::span<const Scalar> logits() const { return logits_; }

  StepRecord next() {
    StepRecord record;
    record.first_position = recorded_;
    record.rows = recorded_ == 0 ? prompt_length_ : 1;
    recorder_.begin(recorded_, record);
    const Step<Scalar>& step = decoding_.next(recorder_);
    recorded_ += record.rows;
    logits_ = step.logits;
    record.index = step.index, record.token = step.token;
    record.tokens_fed = step.tokens_fed, record.tokens_reused = step.tokens_reused;
    record.seconds = step.seconds, record.work = step.work, record.memory = step.memory;
    record.candidates = detail::likeliest(step.logits, trace_.candidates);
    record.events = cache_.take_events();
    for (int l = 0; l < config_.layers; ++l) record.layouts.push_back(cache_.layout(l));
    if (std::all_of(record.layouts.begin(), record.layouts.end(),
                    [&](const LayerLayout& layout) { return layout == record.layouts[0]; }))
      record.layouts.resize(1);
    read_new_rows(record);
    return record;
  }

 private:
  void read_new_rows(StepRecord& record) {
    Matrix<Scalar> keys(record.rows, config_.head_dim), values(record.rows, config_.head_dim);
    for (int l = 0; l < config_.layers; ++l)
      for (int h = 0; h < config_.kv_heads; ++h) {
        keys.setZero(), values.setZero();
        read_rows(cache_, l, h, record.first_position, out(keys), out(values));
        const auto keep = [](const Matrix<Scalar>& side, std::vector<float>& numbers) {
          numbers.insert(numbers.end(), side.data(), side.data() + side.size());
        };
        keep(keys, record.keys), keep(values, record.values);
      }
  }

  const ModelConfig& config_;
  TraceOptions trace_;
  TracedCache<Cache> cache_;
  Decoding<Scalar, TracedCache<Cache>> decoding_;
  detail::Recorder<TracedCache<Cache>> recorder_;
  std::span<const Scalar> logits_;
  int prompt_length_, recorded_ = 0;  // positions
};

}  // namespace kvcache
