// Attention of many queries over any cache, block by block: each cached row is read once for all queries that share it.
// MHA, GQA and MQA are one formula: q_heads / kv_heads neighbouring query heads share a kv head.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "kvcache/attention/online_softmax.hpp"
#include "kvcache/cache/observer.hpp"
#include "kvcache/core/check.hpp"
#include "kvcache/core/parallel.hpp"
#include "kvcache/core/work.hpp"
#include "kvcache/position/rope.hpp"

namespace kvcache {

/// How many tokens the cache kept, as one head of one layer sees them.
int kept_rows(const auto& cache, int layer, int kv_head) {
  const OnlyLooking here;
  int rows = 0;
  cache.for_each_block(layer, kv_head, [&](const auto& block) { rows += block.rows(); });
  return rows;
}

/// How many of them stand before a position.
int kept_rows_before(const auto& cache, int layer, int kv_head, int position) {
  const OnlyLooking here;
  int rows = 0;
  cache.for_each_block(layer, kv_head, [&](const auto& block) {
    for (int r = 0; r < block.rows(); ++r) rows += block.position(r) < position;
  });
  return rows;
}

/// Nobody wants to see the attention weights.
struct NoHook {};

/// A hook may choose its layers: the others are computed as fast as without it.
template <class Hook>
concept ChoosesLayers = requires(const Hook& hook, int layer) {
  { hook.wants(layer) } -> std::convertible_to<bool>;
};

namespace detail {
/// A hook that tells the cache how much attention its rows got, and then whoever else wants to know.
template <class Cache, class Hook>
struct Teaching {
  Cache& cache;
  Hook& hook;
  void operator()(int layer, int kv_head, int first_position, const auto& weights) {
    cache.learn(layer, kv_head, weights);
    if constexpr (ChoosesLayers<Hook>)
      if (!hook.wants(layer)) return;
    if constexpr (!std::same_as<Hook, NoHook>) hook(layer, kv_head, first_position, weights);
  }
};
}  // namespace detail

template <class Scalar>
class Attention {
 public:
  /// `rope` turns queries towards blocks with a position_gap; null for models whose positions are not in the keys. It
  /// must outlive this object. A tile is 32 tokens by 256 rows unless asked otherwise: it stays in the second-level
  /// cache.
  /// A text is cut into parts for several threads only if each gets at least part_rows rows: with fewer, merging the
  /// parts costs more than it gains.
  explicit Attention(int q_heads, const Rope<Scalar>* rope = nullptr, int query_tile = 32, int row_tile = 256,
                     int part_rows = 128)
      : q_heads_(q_heads), query_tile_(query_tile), row_tile_(row_tile), part_rows_(part_rows), rope_(rope) {
    check(q_heads > 0 && query_tile > 0 && row_tile > 0 && part_rows > 0, "Attention: ", q_heads,
          " query heads, tiles of ", query_tile, " tokens and ", row_tile, " rows, parts of ", part_rows,
          " rows asked for; each must be at least 1");
  }

  /// output [n, q_heads * head_dim] = softmax(Q K^T / sqrt(head_dim)) V over what the cache kept, for `queries` of the
  /// same shape, already turned, at first_position and on. A query sees the rows at its own position and before.
  /// hook(layer, kv_head, position of the first query, weights [tokens * group, rows in visiting order]), if any, is
  /// called by one thread, in order. Errors: queries or output of another shape; query heads that are no multiple of
  /// the kv heads; an empty cache.
  template <KeyValueCache Cache, class Hook = NoHook>
  requires HostBlock<typename Cache::Block>
  void attend(const Cache& cache, int layer, MatrixIn<Scalar> queries, int first_position, MatrixOut<Scalar> output,
              Work& work, Hook&& hook = {}) {
    constexpr bool hooked = !std::same_as<std::remove_cvref_t<Hook>, NoHook>;
    if constexpr (ChoosesLayers<std::remove_cvref_t<Hook>>)
      if (!hook.wants(layer)) return attend(cache, layer, queries, first_position, output, work);
    const Timed timed(work, Part::attention);
    const int heads = cache.shape().kv_heads, count = int(queries.rows());
    if (queries.cols() != q_heads_ * cache.shape().head_dim || q_heads_ % heads != 0)
      fail("attend: queries have ", queries.cols(), " columns; ", q_heads_, " query heads of ", cache.shape().head_dim,
           " are needed, a multiple of ", heads, " kv heads");
    if (output.rows() != count || output.cols() != queries.cols())
      fail("attend: output is [", output.rows(), ", ", output.cols(), "], but must be as the queries, [", count, ", ",
           queries.cols(), "]");
    check(kept_rows(cache, layer, 0) > 0, "attend: the cache holds no rows in layer ", layer, "; append first");
    if (int(scratch_.size()) < thread_count()) scratch_.resize(std::size_t(thread_count()));
    for (Scratch& scratch : scratch_)  // all of them: who gets which job is not known
      scratch.prepare(std::min(query_tile_, count) * q_heads_ / heads, cache.shape().head_dim, row_tile_);
    const int jobs = heads * ((count + query_tile_ - 1) / query_tile_);
    const int parts = hooked ? 1 : parts_of(jobs, count, kept_rows(cache, layer, 0));
    if (parts > 1)
      attend_in_parts(cache, layer, queries, first_position, output, parts);
    else
      parallel_jobs(jobs, /*parallel*/ !hooked, [&](int i, int thread) {
        const int job = hooked ? i : jobs - 1 - i;  // the last queries see most: the threads begin with them
        const int first = job / heads * query_tile_, tokens = std::min(query_tile_, count - first);
        attend_tile(scratch_[std::size_t(thread)], cache, layer, job % heads, in(queries.middleRows(first, tokens)),
                    first_position + first, out(output.middleRows(first, tokens)), hook);
      });
    for (const Scratch& scratch : scratch_) work.count(Part::attention, scratch.multiplications);
  }

  /// The only right order for every policy: in pieces of chunk_limit() tokens, append, then attend, then let the cache
  /// learn, if it wants to. Counts the keys of earlier steps that are read (Work::keys_reused).
  /// keys, values [n, kv_heads * head_dim]; queries, output [n, q_heads * head_dim]; all of the tokens at
  /// first_position and on.
  template <KeyValueCache Cache, class Hook = NoHook>
  void append_and_attend(Cache& cache, int layer, MatrixIn<Scalar> keys, MatrixIn<Scalar> values,
                         MatrixIn<Scalar> queries, int first_position, MatrixOut<Scalar> output, Work& work,
                         Hook&& hook = {}) {
    for (int done = 0, piece; done < keys.rows(); done += piece) {
      piece = std::min(int(keys.rows()) - done, cache.chunk_limit(layer));
      check(piece > 0, "append_and_attend: the cache's chunk_limit is ", piece, "; it must be at least 1");
      {
        const Timed timed(work, Part::copying);
        cache.append(layer, first_position + done, in(keys.middleRows(done, piece)),
                     in(values.middleRows(done, piece)));
      }
      if (done == 0) count_reused(cache, layer, first_position, piece, work);
      const auto attend_with = [&](auto&& whom) {
        attend(cache, layer, in(queries.middleRows(done, piece)), first_position + done,
               out(output.middleRows(done, piece)), work, whom);
      };
      if constexpr (LearningCache<Cache>)
        if (cache.learns()) {
          attend_with(detail::Teaching<Cache, std::remove_cvref_t<Hook>>{cache, hook});
          continue;
        }
      attend_with(hook);
    }
  }

 private:
  /// What the first piece of a step reads of earlier steps. Later pieces read no other such rows: what a cache has
  /// forgotten does not come back.
  template <class Cache>
  static void count_reused(const Cache& cache, int layer, int first_position, int appended, Work& work) {
    for (int head = 0; head < cache.shape().kv_heads; ++head)
      work.count_reused(appended == 1 ? kept_rows(cache, layer, head) - 1  // all but the new one: nothing to look up
                                      : kept_rows_before(cache, layer, head, first_position));
  }

  struct Scratch {  // of one thread
    Room<Scalar> queries, turned, angles, scores, all_scores, sums, state;
    std::int64_t multiplications = 0;

    void prepare(int m, int dim, int row_tile) {
      queries(m, dim), turned(m, dim), angles(1, dim), scores(m, row_tile), sums(m, dim), state(2, m);
      multiplications = 0;
    }
  };

  /// Where there are fewer kv heads than threads could share evenly (3 on 2 threads: one would wait), a long text is
  /// cut into so many parts that they can.
  int parts_of(int jobs, int tokens, int rows) const {
    const int wanted = thread_count() / std::gcd(jobs, thread_count());
    return tokens <= query_tile_ ? std::min(wanted, rows / part_rows_) : 1;
  }

  /// As attend, for one tile of queries: each part of the text has a softmax of its own, and these are merged.
  template <class Cache>
  void attend_in_parts(const Cache& cache, int layer, MatrixIn<Scalar> queries, int first_position,
                       MatrixOut<Scalar> output, int parts) {
    const int heads = cache.shape().kv_heads, dim = cache.shape().head_dim, m = int(queries.rows()) * q_heads_ / heads;
    auto sums = part_sums_(heads * parts * m, dim), state = part_state_(heads * parts * 2, m);
    part_softmaxes_.clear();
    for (int i = 0; i < heads * parts; ++i)
      part_softmaxes_.emplace_back(out(sums.middleRows(i * m, m)), out(state.middleRows(2 * i, 2)));
    parallel_jobs(heads * parts, /*parallel*/ true, [&](int job, int thread) {
      const int head = job / parts, part = job % parts;
      const long rows = kept_rows(cache, layer, head);
      const OnlyLooking also(part > 0);  // a head's blocks are counted once
      absorb_rows(scratch_[std::size_t(thread)], part_softmaxes_[std::size_t(job)], cache, layer, head, queries,
                  first_position, {int(rows * part / parts), int(rows * (part + 1) / parts)});
    });
    for (int head = 0; head < heads; ++head) {
      OnlineSoftmax<Scalar>& whole = part_softmaxes_[std::size_t(head * parts)];
      for (int part = 1; part < parts; ++part) whole.merge(part_softmaxes_[std::size_t(head * parts + part)]);
      write_output(whole, head, q_heads_ / heads, output);
    }
  }

  template <class Cache, class Hook>
  void attend_tile(Scratch& scratch, const Cache& cache, int layer, int kv_head, MatrixIn<Scalar> tile,
                   int first_position, MatrixOut<Scalar> output, Hook& hook) const {
    constexpr bool hooked = !std::same_as<std::remove_cvref_t<Hook>, NoHook>;
    const int dim = cache.shape().head_dim, group = q_heads_ / cache.shape().kv_heads, m = int(tile.rows()) * group;
    const int kept = kept_rows(cache, layer, kv_head);
    auto all_scores = scratch.all_scores(hooked ? m : 0, hooked ? kept : 0);
    std::fill_n(all_scores.data(), all_scores.size(), OnlineSoftmax<Scalar>::masked);
    OnlineSoftmax<Scalar> softmax(scratch.sums(m, dim), scratch.state(2, m));
    absorb_rows(scratch, softmax, cache, layer, kv_head, tile, first_position, {0, kept}, all_scores);
    write_output(softmax, kv_head, group, output);
    if constexpr (hooked) {
      for (int i = 0; i < m; ++i) softmax.to_weights(i, ArrayOut<Scalar>(at(all_scores, i, 0), all_scores.cols()));
      hook(layer, kv_head, first_position, in(all_scores));
    }
  }

  /// Small blocks, such as pages, whose scores stand side by side in one tile: the softmax is shown them together.
  template <class Block>
  struct Gathered {
    std::array<std::optional<Block>, 32> blocks;  // views: on the stack, as nothing is allocated in a step
    int count = 0, rows = 0;

    bool is_full() const { return count == int(blocks.size()); }
    void add(const Block& block) { blocks[std::size_t(count++)] = block, rows += block.rows(); }
    void show(OnlineSoftmax<Scalar>& softmax, MatrixOut<Scalar> scores) {
      if (rows > 0) softmax.weigh(out(scores.leftCols(rows)));
      for (int i = 0, first = 0; i < count; first += blocks[std::size_t(i++)]->rows())
        softmax.add(in(scores.middleCols(first, blocks[std::size_t(i)]->rows())), *blocks[std::size_t(i)]);
      count = rows = 0;
    }
  };

  /// Some of the rows of a head, counted in the order they are visited in.
  struct Rows {
    int begin, end;
  };

  /// Lets the softmax of a tile's queries see rows, tile by tile. Scores are kept in all_scores [m, rows of the head],
  /// if that has room.
  template <class Cache>
  void absorb_rows(Scratch& scratch, OnlineSoftmax<Scalar>& softmax, const Cache& cache, int layer, int kv_head,
                   MatrixIn<Scalar> tile, int first_position, Rows rows,
                   MatrixOut<Scalar> all_scores = {nullptr, 0, 0, Eigen::OuterStride<>(0)}) const {
    const int dim = cache.shape().head_dim, group = q_heads_ / cache.shape().kv_heads, tokens = int(tile.rows()),
              m = tokens * group;
    auto queries = scratch.queries(m, dim), turned = scratch.turned(m, dim);  // heads that share a kv head lie together
    for (int i = 0; i < m; ++i)
      ArrayOut<Scalar>(at(queries, i, 0), dim) =
          ArrayIn<Scalar>(at(tile, i / group, column(kv_head, group, i, dim)), dim) / std::sqrt(Scalar(dim));
    auto scores = scratch.scores(m, row_tile_);
    Gathered<typename Cache::Block> gathered;
    const bool future = cache.length(layer) > first_position + 1;  // rows that not all queries may see
    int visited = 0;
    cache.for_each_block(layer, kv_head, [&](const auto& whole) {
      const int before = std::exchange(visited, visited + whole.rows());
      int visible = std::min(whole.rows(), rows.end - before);
      // Trailing rows that stand after the last query need no look.
      while (future && visible > 0 && whole.position(visible - 1) >= first_position + tokens) --visible;
      const int begin = std::max(0, rows.begin - before);
      const bool gap = whole.position_gap != 0 && rope_ && begin < visible;
      if (gap) turn_back(scratch, queries, whole.position_gap, turned);
      for (int first = begin, count; first < visible; first += count) {
        count = std::min(row_tile_ - gathered.rows, visible - first);
        const auto block = whole.slice(first, count);
        auto part = out(scores.middleCols(gathered.rows, count));
        block.score(in(gap ? turned : queries), part);
        if (future) mask_the_future(block, group, first_position, part);
        if (all_scores.size() > 0) all_scores.middleCols(before + first, count) = part;
        gathered.add(block);
        if (gathered.rows == row_tile_ || gathered.is_full()) gathered.show(softmax, scores);
        scratch.multiplications += std::int64_t(2) * m * count * dim;
      }
    });
    gathered.show(softmax, scores);
  }

  /// Where query i of a kv head begins among the columns of its token: query heads that share a kv head are neighbours.
  static int column(int kv_head, int group, int i, int dim) { return (kv_head * group + i % group) * dim; }

  static void write_output(const OnlineSoftmax<Scalar>& softmax, int kv_head, int group, MatrixOut<Scalar> output) {
    for (int i = 0; i < softmax.queries(); ++i)
      softmax.output(i, at(output, i / group, column(kv_head, group, i, softmax.head_dim())));
  }

  /// A row at position p may be seen by the queries at p and after.
  static void mask_the_future(const auto& block, int group, int first_position, MatrixOut<Scalar>& scores) {
    for (int r = 0; r < block.rows(); ++r)
      for (int i = 0; i < std::min(int(scores.rows()), (block.position(r) - first_position) * group); ++i)
        scores(i, r) = OnlineSoftmax<Scalar>::masked;
  }
  /// Turns the queries instead of the cached keys, which are never touched again.
  void turn_back(Scratch& scratch, const MatrixOut<Scalar>& queries, int gap, MatrixOut<Scalar>& turned) const {
    auto angles = scratch.angles(1, turned.cols());
    rope_->angles(-gap, angles.data());
    std::copy_n(queries.data(), queries.size(), turned.data());
    rope_->turn_heads(turned.data(), turned.size(), angles.data());
  }

  int q_heads_, query_tile_, row_tile_, part_rows_;
  const Rope<Scalar>* rope_;
  std::vector<Scratch> scratch_;  // [threads]
  Room<Scalar> part_sums_, part_state_;
  std::vector<OnlineSoftmax<Scalar>> part_softmaxes_;  // [kv_heads * parts]
};

}  // namespace kvcache
