// A cache with a fault on request, so that the tests of the laws can be tested: a law that accepts any of these says
// nothing.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "kvcache/cache/contiguous_cache.hpp"

enum class Fault {
  none,
  hides_newest,           // law 1
  visits_twice,           // law 2
  visits_empty_blocks,    // law 2
  invents_a_row,          // law 2
  swaps_keys_and_values,  // law 3
  reads_first_head,       // law 3
  allocates,              // law 4
  uses_more_than_it_has,  // law 5
  clear_keeps_bytes,      // law 5
  clear_keeps_rows,       // law 5
  forgets,                // law 6
  shares_rows,            // law 7
  shallow_clone,          // law 7
  mixes_chunks,           // law 8
  takes_no_chunk,         // law 8
  rewind_keeps_rows,      // law 9
  rewind_miscounts,       // law 9
  rewind_promises_less,   // law 9
  prepare_forgets,        // law 14
  prepare_takes_nothing,  // law 14
  one_reader_only,        // law 10
  shares_slots,           // law 11
  slots_beyond_room,      // law 11
  load_keeps_rows,        // law 12
  load_loses_a_row,       // law 12
  load_takes_any_bytes,   // law 12
  counts_half,            // law 13
  counts_nothing,         // law 13
  counts_one_layer,       // law 13
};

class WrongCache {
 public:
  using Inner = kvcache::GrowingCache<kvcache::FloatRows<double>>;
  using Block = Inner::Block;
  using Scalar = double;

  WrongCache(kvcache::CacheShape shape, Fault fault) : fault_(fault), inner_(std::make_shared<Inner>(shape)) {
    static std::weak_ptr<Inner> everybodys;
    if (fault == Fault::shares_rows) {
      if (const auto shared = everybodys.lock()) inner_ = shared;
      everybodys = inner_;
    }
    numbers_.resize(std::size_t(2 * 64 * shape.head_dim));
  }
  WrongCache(WrongCache&&) = default;
  WrongCache& operator=(WrongCache&&) = default;
  WrongCache clone() const {
    WrongCache copy(shape(), fault_);
    copy.inner_ = fault_ == Fault::shallow_clone ? inner_ : std::make_shared<Inner>(inner_->clone());
    return copy;
  }

  kvcache::CacheShape shape() const { return inner_->shape(); }
  int length(int layer) const { return cleared_ ? 0 : inner_->length(layer); }
  int slots(int layer) const { return inner_->slots(layer); }
  int chunk_limit(int) const { return fault_ == Fault::takes_no_chunk ? 0 : kvcache::unlimited; }
  void append(int layer, int first_position, kvcache::MatrixIn<double> keys, kvcache::MatrixIn<double> values) {
    if (cleared_) inner_->clear(), cleared_ = false;
    if (fault_ == Fault::shares_rows && first_position != inner_->length(layer)) first_position = inner_->length(layer);
    if (fault_ == Fault::mixes_chunks && keys.rows() == 3) {
      kvcache::Matrix<double> turned = keys.colwise().reverse();
      return inner_->append(layer, first_position, kvcache::in(turned), values);
    }
    inner_->append(layer, first_position, keys, values);
  }
  template <class Visitor>
  void for_each_block(int layer, int kv_head, Visitor&& visit) const {
    if (fault_ == Fault::reads_first_head) kv_head = 0;
    inner_->for_each_block(layer, kv_head, [&](Block block) {
      const int rows = block.rows();
      switch (fault_) {
        case Fault::hides_newest:
          return rows > 1 ? visit(block.slice(0, rows - 1)) : visit(block);
        case Fault::visits_twice:
          visit(block);
          return visit(block.slice(0, 1));
        case Fault::visits_empty_blocks:
          visit(block);
          return visit(block.slice(0, 0));
        case Fault::invents_a_row: {
          visit(block);
          Block more = block.slice(0, 1);
          more.positions.first = rows + 5;
          return visit(more);
        }
        case Fault::swaps_keys_and_values:
          std::swap(block.keys, block.values);
          return visit(block);
        case Fault::allocates: {
          const std::vector<int> order(std::size_t(rows), 0);
          return visit(block.slice(order[0], rows));
        }
        case Fault::shares_slots:
          block.first_slot = 0;
          return rows > 1 ? visit(block.slice(0, 1)), block.first_slot = -1,
                                                      visit(block.slice(1, rows - 1)) : visit(block);
        case Fault::slots_beyond_room:
          block.first_slot = slots(layer) - rows + 1;
          return visit(block);
        case Fault::forgets:
          return rows > 20 ? visit(block.slice(rows - 20, 20)) : visit(block);
        case Fault::one_reader_only: {  // unpacks into work space that all readers share
          const std::size_t n = std::size_t(rows * shape().head_dim);
          const auto put = [&](const double* from, std::size_t first) {
            for (std::size_t i = 0; i < n; ++i) std::atomic_ref(numbers_[first + i]).store(from[i]);
          };
          put(block.keys.numbers, 0), put(block.values.numbers, numbers_.size() / 2);
          block.keys.numbers = numbers_.data(), block.values.numbers = numbers_.data() + numbers_.size() / 2;
          return visit(block);
        }
        default:
          return visit(block);
      }
    });
  }
  kvcache::MemoryUse memory() const {
    kvcache::MemoryUse memory = inner_->memory();
    if (fault_ == Fault::uses_more_than_it_has) std::swap(memory.used_bytes, memory.reserved_bytes);
    if (cleared_) memory.used_bytes = 0;
    if (fault_ == Fault::clear_keeps_bytes && length(0) == 0) memory.used_bytes = memory.reserved_bytes;
    if (fault_ == Fault::counts_half) memory.used_bytes /= 2;
    if (fault_ == Fault::counts_nothing) memory.used_bytes = 0;
    if (fault_ == Fault::counts_one_layer) memory.used_bytes /= std::size_t(shape().layers);
    return memory;
  }
  void clear() {
    if (fault_ == Fault::clear_keeps_rows)
      cleared_ = true;
    else
      inner_->clear();
  }
  void save(kvcache::ByteWriter& to) const { inner_->save(to); }
  void load(kvcache::ByteReader& from) {
    if (fault_ == Fault::load_keeps_rows) {
      from.bytes(from.left());
      return;
    }
    try {
      inner_->load(from);
    } catch (const kvcache::Error&) {
      if (fault_ != Fault::load_takes_any_bytes) throw;
      from.bytes(from.left());
    }
    const int length = inner_->length(0);
    if (fault_ == Fault::load_loses_a_row && length > 0) inner_->rewind(length - 1);
  }
  int least_rewind() const { return fault_ == Fault::rewind_promises_less ? length(0) / 2 + 1 : 0; }
  void prepare(int tokens) {
    if (fault_ == Fault::prepare_forgets) inner_->rewind(length(0) / 2);
    if (fault_ != Fault::prepare_takes_nothing) inner_->prepare(tokens);
  }
  void rewind(int length) {
    if (fault_ != Fault::rewind_keeps_rows) inner_->rewind(length + (fault_ == Fault::rewind_miscounts && length == 1));
  }

 private:
  Fault fault_;
  std::shared_ptr<Inner> inner_;
  mutable std::vector<double> numbers_;
  bool cleared_ = false;
};

static_assert(kvcache::RewindableCache<WrongCache> && kvcache::SavableCache<WrongCache> &&
              kvcache::PreparableCache<WrongCache>);

/// A ring of the newest tokens that promises to take `promised` of them at any time, and believes itself: what a
/// student writes first. The rows must notice, for a ring does not look.
class PromisingRing {
 public:
  using Rows = kvcache::FloatRows<double>;
  using Block = Rows::Block;
  using Scalar = double;

  PromisingRing(kvcache::CacheShape shape, int recent, int promised)
      : shape_(shape), recent_(recent), promised_(promised), length_(std::size_t(shape.layers), 0) {
    rows_.assign(std::size_t(shape.layers), Rows(shape));
    for (Rows& layer : rows_) layer.resize(recent, 0);
  }
  PromisingRing(PromisingRing&&) = default;
  PromisingRing& operator=(PromisingRing&&) = default;
  PromisingRing clone() const { return *this; }

  kvcache::CacheShape shape() const { return shape_; }
  int length(int layer) const { return length_[std::size_t(layer)]; }
  int slots(int /*layer*/) const { return recent_; }
  int chunk_limit(int /*layer*/) const { return promised_; }
  void append(int layer, int first_position, kvcache::MatrixIn<double> keys, kvcache::MatrixIn<double> values) {
    rows_[std::size_t(layer)].write(first_position % recent_, keys, values);
    length_[std::size_t(layer)] += int(keys.rows());
  }
  template <class Visitor>
  void for_each_block(int layer, int kv_head, Visitor&& visit) const {
    const int end = length(layer);
    for (int p = std::max(0, end - recent_); p < end; ++p)
      visit(rows_[std::size_t(layer)].block(kv_head, p % recent_, 1, p));
  }
  void clear() { std::fill(length_.begin(), length_.end(), 0); }
  kvcache::MemoryUse memory() const {
    kvcache::MemoryUse memory;
    for (int l = 0; l < shape_.layers; ++l) {
      memory.used_bytes += kvcache::used_bytes(rows_[std::size_t(l)], std::min(length(l), recent_));
      memory.reserved_bytes += kvcache::reserved_bytes(rows_[std::size_t(l)]);
    }
    return memory;
  }

 private:
  PromisingRing(const PromisingRing&) = default;
  kvcache::CacheShape shape_;
  int recent_, promised_;
  std::vector<Rows> rows_;   // [layers]
  std::vector<int> length_;  // [layers]
};
