// A cache as a student might write it, with nothing of the library's layouts: a deque of tokens, newest first, read
// back in blocks of up to three rows whose positions run backwards. The laws hold for it all the same.
#pragma once

#include <deque>

#include "kvcache/cache/check_append.hpp"
#include "kvcache/cache/concept.hpp"

struct BackwardBlock {
  using Scalar = double;
  using Token = std::pair<std::vector<double>, std::vector<double>>;  // keys and values [kv_heads * head_dim]

  const std::deque<Token>* tokens;  // newest first
  int first, count, column, newest;
  int position_gap = 0;

  int rows() const { return count; }
  int position(int row) const { return newest - first - row; }
  int slot(int row) const { return first + row; }
  BackwardBlock slice(int from, int rows) const { return {tokens, first + from, rows, column, newest, position_gap}; }
  void score(kvcache::MatrixIn<double> queries, kvcache::MatrixOut<double> scores) const {
    scores.setZero();
    for (int i = 0; i < queries.rows(); ++i)
      for (int r = 0; r < count; ++r)
        for (int d = 0; d < queries.cols(); ++d)
          scores(i, r) += queries(i, d) * token(r).first[std::size_t(column + d)];
  }
  void accumulate(kvcache::MatrixIn<double> weights, kvcache::MatrixOut<double> output) const {
    for (int i = 0; i < weights.rows(); ++i)
      for (int r = 0; r < count; ++r)
        for (int d = 0; d < output.cols(); ++d)
          output(i, d) += weights(i, r) * token(r).second[std::size_t(column + d)];
  }
  const Token& token(int row) const { return (*tokens)[std::size_t(first + row)]; }
};

class StudentCache {
 public:
  using Block = BackwardBlock;
  using Scalar = double;

  /// Keeps the last `window` tokens.
  explicit StudentCache(kvcache::CacheShape shape, int window = kvcache::unlimited)
      : shape_(shape), window_(window), layers_(std::size_t(shape.layers)), length_(std::size_t(shape.layers), 0) {}
  StudentCache(StudentCache&&) = default;
  StudentCache& operator=(StudentCache&&) = default;
  StudentCache clone() const { return *this; }

  kvcache::CacheShape shape() const { return shape_; }
  int length(int layer) const { return length_[std::size_t(layer)]; }
  int slots(int layer) const { return int(layers_[std::size_t(layer)].size()); }
  int chunk_limit(int layer) const { return std::max(1, window_ - length(layer)); }
  void append(int layer, int first_position, kvcache::MatrixIn<double> keys, kvcache::MatrixIn<double> values) {
    kvcache::check_append("StudentCache", *this, layer, first_position, keys, values);
    auto& tokens = layers_[std::size_t(layer)];
    for (int t = 0; t < keys.rows(); ++t) {
      const auto row = [&](const auto& side) {
        return std::vector<double>(side.row(t).data(), side.row(t).data() + side.cols());
      };
      tokens.emplace_front(row(keys), row(values));
      if (int(tokens.size()) > window_) tokens.pop_back();
    }
    length_[std::size_t(layer)] += int(keys.rows());
  }
  template <class Visitor>
  void for_each_block(int layer, int kv_head, Visitor&& visit) const {
    const auto& tokens = layers_[std::size_t(layer)];
    for (int first = 0; first < int(tokens.size()); first += 3)
      visit(BackwardBlock{&tokens, first, std::min(3, int(tokens.size()) - first), kv_head * shape_.head_dim,
                          length(layer) - 1});
  }
  kvcache::MemoryUse memory() const {
    kvcache::MemoryUse memory;
    for (const auto& tokens : layers_)
      memory.used_bytes += tokens.size() * 2 * sizeof(double) * std::size_t(shape_.row_size());
    memory.reserved_bytes = memory.used_bytes;
    return memory;
  }
  void clear() {
    for (auto& tokens : layers_) tokens.clear();
    std::fill(length_.begin(), length_.end(), 0);
  }

 private:
  StudentCache(const StudentCache&) = default;  // only for clone()
  kvcache::CacheShape shape_;
  int window_;
  std::vector<std::deque<BackwardBlock::Token>> layers_;
  std::vector<int> length_;
};

static_assert(kvcache::KeyValueCache<StudentCache> && kvcache::HostBlock<BackwardBlock>);
static_assert(!kvcache::RewindableCache<StudentCache>);
