// The laws of a cache: what the concept KeyValueCache cannot say. Put your own cache through them:
//
//   TEST_CASE("my cache keeps the laws") {
//     check_cache_laws([] { return MyCache({.layers = 2, .kv_heads = 2, .head_dim = 8}); });
//   }
//
// and, if it forgets (here: all but the last 8 tokens) or rounds (here: to one byte a number):
//
//     check_cache_laws([] { return MyWindow(shape, 8); },
//                      {.keeps = [](int position, int length) { return position >= length - 8; },
//                       .row_tolerance = 0.01, .row_bytes = 2 * 8});
//
//  1  After append(layer, p, ...), position p is among the rows visited in that layer, for every head.
//  2  No position is visited twice; every visited one was appended; blocks are never empty.
//  3  Every row reads back what was written, within its format's tolerance.
//  4  Reading allocates nothing.
//  5  used <= reserved; after clear(), used is 0 and the cache behaves as new.
//  6  Attention over it equals the reference over the tokens that the policy says it kept.
//  7  Two caches never see each other's rows; a clone (or fork) and its origin diverge freely.
//  8  Any chunking of the appends leaves the same rows and the same attention.
//  9  rewind(n) then append equals never having appended what was taken back: for n = 0, and n of least_rewind() and
//     more. Less is refused, and changes nothing. (Only if it can rewind.)
// 10  for_each_block may be called by several threads at once.
// 11  No two rows of a head lie in one slot, and every slot is one of the layer's slots().
// 12  load(save()) reads back the same rows, and attention over what follows is the same, bit for bit; bytes that were
//     cut off are refused and leave the cache empty. (Only if it can be saved.)
// 13  used_bytes are those of the rows visited. (Where rows stand alone: not in groups that are packed together.)
// 14  After prepare(n) the cache holds what it held, and n more tokens take no more room. (Only if it can prepare.)
//
// One fault is one sentence: the trial ends at the first law that does not hold. Mend that, and run again. Laws that
// cannot be tried on a cache, or were not, are said to be skipped.
//
// Rows are read through the two products that attention uses, with unit vectors, so any format can be read.
// The laws themselves are in cache_laws.cpp, compiled once for all caches; allocations.cpp is needed too.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "allocations.hpp"
#include "kvcache/attention/attention.hpp"
#include "kvcache/cache/concept.hpp"

namespace cache_laws {

using kvcache::Matrix;

/// What you say about your policy and its row format.
struct Policy {
  /// Is the token at `position` kept when `length` tokens were appended? A query at position p sees keeps(., p + 1).
  std::function<bool(int position, int length)> keeps = [](int, int) { return true; };
  /// For caches whose choice depends on more than the position: how many tokens are kept. `keeps` then only says which
  /// of them must be.
  std::function<int(int length)> how_many = nullptr;
  /// The block's position_gap of a kept token: 0 unless positions are shifted.
  std::function<int(int position, int length)> gap = [](int, int) { return 0; };
  double row_tolerance = 0;        // of a number read back; the numbers written lie in [-1, 1]
  double attention_tolerance = 0;  // over the rows as read back; 0: 1e-12 if attention computes in double, else 3e-6
  int tokens = 41;                 // in the made-up text; up to three caches hold it at once
  std::size_t row_bytes = 0;       // of a token's key and value, for one head; 0: plain numbers, as they are computed
  bool rows_stand_alone = true;    // false: rows are packed in groups, and have no size of their own
};

/// A broken law and how it was noticed.
struct Breach {
  int law;
  std::string how;
};

/// What came of a trial.
struct Report {
  std::vector<Breach> breaches;      // the first law that does not hold; none, if all is well
  std::vector<std::string> skipped;  // what was not tried, and why
};

/// A cached token as one head sees it.
struct Row {
  int position, gap, slot;
  std::vector<double> key, value;            // [head_dim]
  bool operator==(const Row& other) const {  // where a row lies is the cache's own affair
    return position == other.position && gap == other.gap && key == other.key && value == other.value;
  }
};
using Rows = std::vector<Row>;
using Complain = std::function<void(int law, const std::string& how)>;

/// What append_and_attend is given: [tokens, heads * head_dim] each.
struct Tokens {
  int first_position;
  Matrix<double> keys, values, queries;
};
struct Tiles {
  int tokens = 32, rows = 256;
};

/// A cache of any type, as the laws handle it. SubjectOf below makes one of yours.
struct Subject {
  virtual ~Subject() = default;
  virtual kvcache::CacheShape shape() const = 0;
  virtual int length(int layer) const = 0;
  virtual int slots(int layer) const = 0;
  virtual int chunk_limit(int layer) const = 0;
  virtual kvcache::MemoryUse memory() const = 0;
  virtual void clear() = 0;
  virtual void rewind(int length) = 0;
  virtual bool computes_in_double() const = 0;
  virtual int rows_visited(int layer, int head) const = 0;
  virtual bool can_rewind() const = 0;
  virtual int least_rewind() const = 0;
  virtual bool can_prepare() const = 0;
  virtual void prepare(int tokens) = 0;
  virtual bool can_save() const = 0;
  virtual std::vector<std::byte> save() const = 0;
  virtual void load(std::span<const std::byte> saved) = 0;
  virtual std::unique_ptr<Subject> clone() const = 0;
  virtual std::unique_ptr<Subject> fork() = 0;  // null if it cannot
  virtual std::unique_ptr<Subject> move() = 0;
  /// Returns the attention of the tokens, [tokens, q_heads * head_dim].
  virtual Matrix<double> append_and_attend(int layer, const Tokens& tokens, Tiles tiles) = 0;
  /// The rows in visiting order. inside() is called within each block, before it is read.
  virtual Rows read(int layer, int head, const Complain& complain, const std::function<void()>& inside) const = 0;
  virtual long allocations_of_reading() const = 0;
};

template <kvcache::KeyValueCache Cache>
requires kvcache::HostBlock<typename Cache::Block>
class SubjectOf : public Subject {
 public:
  using Scalar = typename Cache::Scalar;
  explicit SubjectOf(Cache cache) : cache_(std::move(cache)) {}

  kvcache::CacheShape shape() const override { return cache_.shape(); }
  int length(int layer) const override { return cache_.length(layer); }
  int slots(int layer) const override { return cache_.slots(layer); }
  int chunk_limit(int layer) const override { return cache_.chunk_limit(layer); }
  kvcache::MemoryUse memory() const override { return cache_.memory(); }
  void clear() override { cache_.clear(); }
  void rewind([[maybe_unused]] int length) override {
    if constexpr (kvcache::RewindableCache<Cache>) cache_.rewind(length);
  }
  bool computes_in_double() const override { return sizeof(Scalar) == sizeof(double); }
  int rows_visited(int layer, int head) const override { return kvcache::kept_rows(cache_, layer, head); }
  bool can_rewind() const override { return kvcache::RewindableCache<Cache>; }
  int least_rewind() const override {
    if constexpr (kvcache::RewindableCache<Cache>) return cache_.least_rewind();
    return 0;
  }
  bool can_prepare() const override { return kvcache::PreparableCache<Cache>; }
  void prepare([[maybe_unused]] int tokens) override {
    if constexpr (kvcache::PreparableCache<Cache>) cache_.prepare(tokens);
  }
  bool can_save() const override { return kvcache::SavableCache<Cache>; }
  std::vector<std::byte> save() const override {
    kvcache::ByteWriter to;
    if constexpr (kvcache::SavableCache<Cache>) cache_.save(to);
    return {to.written().begin(), to.written().end()};
  }
  void load(std::span<const std::byte> saved) override {
    kvcache::ByteReader from(saved);
    if constexpr (kvcache::SavableCache<Cache>) cache_.load(from);
    from.check_finished();
  }
  std::unique_ptr<Subject> clone() const override { return std::make_unique<SubjectOf>(cache_.clone()); }
  std::unique_ptr<Subject> fork() override {
    if (!kvcache::can_fork(cache_)) return nullptr;
    if constexpr (kvcache::ForkableCache<Cache>) return std::make_unique<SubjectOf>(cache_.fork());
    return nullptr;
  }
  std::unique_ptr<Subject> move() override { return std::make_unique<SubjectOf>(std::move(cache_)); }

  Matrix<double> append_and_attend(int layer, const Tokens& tokens, Tiles tiles) override {
    const bool turns = shape().head_dim % 2 == 0;  // towards blocks with a position_gap
    const kvcache::Rope<Scalar> rope(turns ? shape().head_dim : 2);
    const int q_heads = int(tokens.queries.cols()) / shape().head_dim;
    kvcache::Attention<Scalar> attention(q_heads, turns ? &rope : nullptr, tiles.tokens, tiles.rows);
    const Numbers keys = tokens.keys.cast<Scalar>(), values = tokens.values.cast<Scalar>(),
                  queries = tokens.queries.cast<Scalar>();
    Numbers output(queries.rows(), queries.cols());
    kvcache::Work work;
    attention.append_and_attend(cache_, layer, in(keys), in(values), in(queries), tokens.first_position, out(output),
                                work);
    return output.template cast<double>();
  }

  Rows read(int layer, int head, const Complain& complain, const std::function<void()>& inside) const override {
    Rows rows;
    cache_.for_each_block(layer, head, [&](const auto& block) {
      inside();
      if (block.rows() < 1) return complain(2, "a block of " + std::to_string(block.rows()) + " rows was visited");
      const Rows read = read_block(block);
      const int n = block.rows(), third = n / 3;
      const auto end = block.slice(third, n - third);  // slices of slices, and one query at a time, show the same rows
      for (int r = 0; r < n - third; ++r)
        if (!close(read_row(end.slice(r, 1)), read[std::size_t(third + r)]))
          return complain(3, "a slice of one row reads otherwise than the block it was cut from, at position " +
                                 std::to_string(read[std::size_t(third + r)].position));
      rows.insert(rows.end(), read.begin(), read.end());
    });
    return rows;
  }

  /// Of everything a reader calls. The products are asked for one query: more may take work space from Eigen.
  long allocations_of_reading() const override {
    int widest = 0;
    for (int l = 0; l < shape().layers; ++l)
      for (int h = 0; h < shape().kv_heads; ++h)
        cache_.for_each_block(l, h, [&](const auto& block) { widest = std::max(widest, int(block.rows())); });
    const Numbers query = ones(1, shape().head_dim), weights = ones(1, widest);
    Numbers scores = weights, output = query;
    std::uint64_t sum = 0;  // of whatever they say: it may not overflow
    const allocations::Ledger ledger;
    for (int l = 0; l < shape().layers; ++l)
      for (int h = 0; h < shape().kv_heads; ++h)
        cache_.for_each_block(l, h, [&](const auto& whole) {
          const auto block = whole.slice(0, whole.rows());
          sum += std::uint64_t(block.position(block.rows() - 1)) + std::uint64_t(block.slot(block.rows() - 1));
          block.score(in(query), out(scores.leftCols(block.rows())));
          block.accumulate(in(weights.leftCols(block.rows())), out(output));
        });
    sum += memory().used_bytes;
    for (const int size : {length(0), chunk_limit(0), slots(0)}) sum += std::uint64_t(size);
    return sum == std::uint64_t(-1) ? -1 : ledger.count();  // sum: so that nothing is optimised away
  }

 private:
  using Numbers = Matrix<Scalar>;
  using Block = typename Cache::Block;
  static auto in(const auto& m) { return kvcache::in(m); }
  static auto out(auto&& m) { return kvcache::out(m); }
  static Numbers ones(int rows, int columns) { return Numbers::Ones(rows, columns); }

  Rows read_block(const auto& block) const {
    const int n = block.rows(), dim = shape().head_dim;
    const Numbers units = Numbers::Identity(dim, dim), picks = Numbers::Identity(n, n);
    Numbers keys = Numbers::Constant(dim, n, 7), values = Numbers::Zero(n, dim);
    block.score(in(units), out(keys));
    block.accumulate(in(picks), out(values));
    block.accumulate(in(picks), out(values));  // it must add: so twice gives the double, exactly
    Rows rows;
    for (int r = 0; r < n; ++r) {
      Row row{block.position(r), block.position_gap, block.slot(r), {}, {}};
      for (int d = 0; d < dim; ++d)
        row.key.push_back(double(keys(d, r))), row.value.push_back(double(values(r, d)) / 2);
      rows.push_back(row);
    }
    return rows;
  }
  Row read_row(const auto& block) const {
    const int dim = shape().head_dim;
    Row row{block.position(0), block.position_gap, block.slot(0), {}, {}};
    Numbers unit = Numbers::Zero(1, dim), key(1, 1), value = Numbers::Zero(1, dim);
    const Numbers one = ones(1, 1);
    block.accumulate(in(one), out(value));
    for (int d = 0; d < dim; ++d) {
      unit(0, d) = 1;
      block.score(in(unit), out(key));
      unit(0, d) = 0;
      row.key.push_back(double(key(0, 0))), row.value.push_back(double(value(0, d)));
    }
    return row;
  }
  static bool close(const Row& x, const Row& y) {
    bool close = x.position == y.position && x.gap == y.gap && x.slot == y.slot;
    for (std::size_t d = 0; d < x.key.size(); ++d)
      close = close && std::abs(x.key[d] - y.key[d]) <= 1e-6 && std::abs(x.value[d] - y.value[d]) <= 1e-6;
    return close;
  }

  Cache cache_;
};

/// Tries the caches from make().
Report trial_of(const std::function<std::unique_ptr<Subject>()>& make, Policy policy);

template <class Make>
Report trial(const Make& make, const Policy& policy = {}) {
  using Cache = std::invoke_result_t<Make>;
  constexpr bool is_copied_by_name = !std::is_copy_constructible_v<Cache> && !std::is_copy_assignable_v<Cache>;
  static_assert(is_copied_by_name, "a cache is copied by name alone, with clone(): make its copy constructor private");
  static_assert(!is_copied_by_name || kvcache::KeyValueCache<Cache>,
                "first the concept of cache/concept.hpp, then the laws");
  static_assert(kvcache::HostBlock<typename Cache::Block>, "the laws read rows through score() and accumulate()");
  return trial_of([&] { return std::make_unique<SubjectOf<Cache>>(make()); }, policy);
}
/// The first law that they break; none, if all is well.
template <class Make>
std::vector<Breach> broken_laws(const Make& make, const Policy& policy = {}) {
  return trial(make, policy).breaches;
}

/// Says once in each test what was skipped.
void say_skipped(const std::vector<std::string>& skipped);

/// One failed check for the first law that is broken, and a message with what was skipped.
template <class Make>
void check_cache_laws(const Make& make, const Policy& policy = {}) {
  const Report report = trial(make, policy);
  say_skipped(report.skipped);
  for (const Breach& breach : report.breaches) FAIL_CHECK("law " << breach.law << ": " << breach.how);
  CHECK(true);  // so that an obedient cache counts as checked
}

}  // namespace cache_laws

using cache_laws::check_cache_laws;
