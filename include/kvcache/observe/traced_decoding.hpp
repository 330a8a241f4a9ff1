// Decoding that leaves records: the same steps as decode/generate.hpp takes, and what a Timeline keeps of each.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>

#include "kvcache/decode/generate.hpp"
#include "kvcache/observe/read_codes.hpp"
#include "kvcache/observe/read_rows.hpp"
#include "kvcache/observe/timeline.hpp"
#include "kvcache/observe/traced_cache.hpp"

namespace kvcache {

struct TraceOptions {
  bool all_layers = false;  // attention weights and stages of every layer; else of `layer` alone
  int layer = 0;
  int candidates = 5;
  bool written_rows = false;  // also keys and values as they were given to the cache
  bool codes = false;         // also how rows lie in the cache, where it does not keep numbers as they are
  int fork_at = 0;            // above 0: before this step another text goes on from here, and its pages stay shared
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
    const OnlyLooking here;
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

/// The likeliest tokens of a softmax over the logits, the likeliest first; of equal ones, the lower id.
template <class Scalar>
std::vector<Candidate> likeliest(std::span<const Scalar> logits, int count) {
  const auto is_likelier = [&](int a, int b) { return logits[std::size_t(a)] > logits[std::size_t(b)]; };
  const std::size_t wanted = std::min(std::size_t(count), logits.size());
  std::vector<int> best;  // one pass: few tokens are likelier than the least likely of the best so far
  for (int token = 0; wanted > 0 && token < int(logits.size()); ++token) {
    if (best.size() == wanted && !is_likelier(token, best.back())) continue;
    if (best.size() == wanted) best.pop_back();
    best.insert(std::upper_bound(best.begin(), best.end(), token, is_likelier), token);
  }
  const ArrayIn<Scalar> numbers(logits.data(), std::ssize(logits));
  const Scalar largest = numbers.maxCoeff();
  const double sum = double((numbers - largest).exp().sum());
  std::vector<Candidate> candidates;
  for (const int token : best)
    candidates.push_back({token, std::exp(double(logits[std::size_t(token)] - largest)) / sum});
  return candidates;
}

}  // namespace detail

/// What the rows of a cache are read from: the cache itself, unless whoever computes has something else to say, such as
/// a copy of what lies on a GPU (common/copied_back.hpp).
template <class Model, class Cache>
const Cache& rows_to_read(const Model&, const Cache& cache) {
  return cache;
}

/// One record a step. Rows are read back after a step's time is taken; looking at layouts, weights and stages happens
/// within it, and a layer whose weights are kept runs its attention on one thread. So these times are those of a run
/// that is watched: ComparedDecoding has the times to believe. Of a model whose step() takes no hook, such as one on a
/// GPU, attention weights, stages and rows as they were written are not recorded.
template <class Scalar, KeyValueCache Cache, class Model = Transformer<Scalar>>
class TracedDecoding {
 public:
  /// Errors: those of Decoding; a layer that the model does not have; a cache that is not empty.
  TracedDecoding(Model& model, Cache cache, std::span<const int> prompt, GenerateOptions options,
                 TraceOptions trace = {})
      : TracedDecoding(model, TracedCache<Cache>(std::move(cache)), prompt, std::move(options), trace) {}
  TracedDecoding(Model& model, TracedCache<Cache> cache, std::span<const int> prompt, GenerateOptions options,
                 TraceOptions trace = {})
      : model_(model),
        config_(model.config()),
        trace_(trace),
        cache_(std::move(cache)),
        decoding_(model, cache_, prompt, std::move(options)),
        recorder_(cache_, trace_, config_),
        reader_(config_.head_dim),
        prompt_length_(int(prompt.size())) {
    check(trace.layer >= 0 && trace.layer < config_.layers, "TracedDecoding: layer ", trace.layer,
          " asked for; the model has layers 0 to ", config_.layers - 1);
    check(trace.candidates >= 0, "TracedDecoding: ", trace.candidates,
          " candidates asked for; at least 0 are possible");
    if constexpr (!is_open) trace_.written_rows = false;
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
    if constexpr (ForkableCache<Cache>)
      if (trace_.fork_at > 0 && !other_text_ && recorded_ == prompt_length_ + trace_.fork_at - 1)
        other_text_.emplace(cache_.fork_within());
    if (trace_.written_rows) cache_.keep_written_from(recorded_);
    recorder_.begin(recorded_, record);
    const Step<Scalar>& step = next_step();
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
    if (trace_.written_rows) take_written_rows(record);
    for (int l = 0; l < config_.layers && trace_.codes; ++l)
      codes_.read(rows_to_read(model_, cache_), l, record.first_position, record.rows, record.codes);
    for (const CacheEvent& event : record.events)
      if (event.kind == CacheEvent::Kind::packed && record.tokens_fed == record.rows) read_packed_rows(event, record);
    return record;
  }

 private:
  /// step() shows what it computes.
  static constexpr bool is_open = requires(Model & model, TracedCache<Cache>& cache, std::span<const int> tokens,
                                           detail::Recorder<TracedCache<Cache>>& recorder) {
    model.step(cache, tokens, recorder);
  };
  const Step<Scalar>& next_step() {
    if constexpr (is_open)
      return decoding_.next(recorder_);
    else
      return decoding_.next();
  }
  void read_new_rows(StepRecord& record) {
    const int rows = record.rows, dim = config_.head_dim;
    const std::size_t numbers = std::size_t(rows * dim);
    keys_.resize(rows, dim), values_.resize(rows, dim);
    for (std::vector<float>* side : {&record.keys, &record.values})
      side->reserve(std::size_t(config_.layers * config_.kv_heads) * numbers);
    for (int l = 0; l < config_.layers; ++l)
      for (int h = 0; h < config_.kv_heads; ++h) {
        keys_.setZero(), values_.setZero();
        reader_.read(rows_to_read(model_, cache_), l, h, record.first_position, out(keys_), out(values_));
        record.keys.insert(record.keys.end(), keys_.data(), keys_.data() + numbers);
        record.values.insert(record.values.end(), values_.data(), values_.data() + numbers);
      }
  }

  /// [tokens, kv_heads, head_dim] of each layer, to [layers, kv_heads, rows, head_dim].
  void take_written_rows(StepRecord& record) {
    const auto take = [&](const std::vector<Scalar>& from, std::vector<float>& to) {
      const int row_size = config_.kv_heads * config_.head_dim;
      for (int h = 0; h < config_.kv_heads; ++h)
        for (int r = 0; r < record.rows; ++r) {
          const auto first = from.begin() + r * row_size + h * config_.head_dim;
          to.insert(to.end(), first, first + config_.head_dim);
        }
    };
    for (int l = 0; l < config_.layers; ++l) {
      take(cache_.written(l).keys, record.written_keys);
      take(cache_.written(l).values, record.written_values);
    }
  }
  /// Attention reads other numbers of these rows from now on.
  void read_packed_rows(const CacheEvent& event, StepRecord& record) {
    const int rows = std::min(event.rows, record.first_position - event.first_position);
    if (rows <= 0) return;  // all are new
    record.rewritten.push_back({event.layer, event.first_position, rows});
    if (trace_.codes) codes_.read(rows_to_read(model_, cache_), event.layer, event.first_position, rows, record.codes);
    keys_.resize(rows, config_.head_dim), values_.resize(rows, config_.head_dim);
    const std::size_t first = record.rewritten_keys.size(), row_size = std::size_t(config_.kv_heads * config_.head_dim);
    for (auto* side : {&record.rewritten_keys, &record.rewritten_values})
      side->resize(first + std::size_t(rows) * row_size);
    for (int h = 0; h < config_.kv_heads; ++h) {
      reader_.read(rows_to_read(model_, cache_), event.layer, h, event.first_position, out(keys_), out(values_));
      for (int r = 0; r < rows; ++r) {
        const std::size_t to = first + std::size_t(r) * row_size + std::size_t(h * config_.head_dim);
        std::copy_n(at(keys_, r, 0), config_.head_dim, record.rewritten_keys.data() + to);
        std::copy_n(at(values_, r, 0), config_.head_dim, record.rewritten_values.data() + to);
      }
    }
  }

  Model& model_;
  const ModelConfig& config_;
  TraceOptions trace_;
  std::optional<Cache> other_text_;  // that shares pages with this one
  TracedCache<Cache> cache_;
  Decoding<Model, TracedCache<Cache>> decoding_;
  detail::Recorder<TracedCache<Cache>> recorder_;
  RowReader<Scalar> reader_;
  Matrix<Scalar> keys_, values_;  // what the reader wrote last
  CodeReader codes_;
  std::span<const Scalar> logits_;
  int prompt_length_, recorded_ = 0;  // positions
};

}  // namespace kvcache
