#include "kvcache/attention/attention.hpp"

#include <doctest/doctest.h>

#include "common/instances.hpp"
#include "kvcache/attention/reference.hpp"
#include "kvcache/cache/contiguous_cache.hpp"
#include "kvcache/cache/paged_cache.hpp"
#include "kvcache/core/random.hpp"
#include "student_cache.hpp"
#include "threads.hpp"

using namespace kvcache;

namespace {

using Cache = GrowingCache<FloatRows<double>>;
constexpr int tokens = 37, dim = 6, kv_heads = 2;

struct Text {
  explicit Text(int group, std::uint64_t seed = 1, int heads = kv_heads) : group(group), heads(heads) {
    Random random(seed);
    keys.resize(tokens, heads * dim), values = keys, queries.resize(tokens, heads * group * dim);
    for (auto* side : {&keys, &values, &queries})
      for (double& x : side->reshaped()) x = random.uniform(-2, 2);
  }
  int q_heads() const { return heads * group; }
  CacheShape shape() const { return {1, heads, dim}; }
  int group, heads;
  Matrix<double> keys, values, queries;
};

Matrix<double> expected(const Text& text, std::vector<std::vector<double>>* weights_of_head_0 = nullptr) {
  Matrix<double> output(tokens, text.q_heads() * dim);
  for (int t = 0; t < tokens; ++t)
    for (int h = 0; h < text.q_heads(); ++h) {
      const Vector<double> query = text.queries.row(t).segment(h * dim, dim);
      const Matrix<double> keys = text.keys.block(0, h / text.group * dim, t + 1, dim),
                           values = text.values.block(0, h / text.group * dim, t + 1, dim);
      std::vector<double> weights;
      output.row(t).segment(h * dim, dim) = reference_attention(query, keys, values, &weights).transpose();
      if (weights_of_head_0 && h == 0) weights_of_head_0->push_back(weights);
    }
  return output;
}
/// In chunks of the given sizes, over and over.
template <class Cache, class Hook = NoHook>
Matrix<double> attended(Cache& cache, Attention<double>& attention, const Text& text, const std::vector<int>& chunks,
                        Work& work, Hook&& hook = {}) {
  Matrix<double> output(tokens, text.queries.cols());
  std::size_t turn = 0;
  for (int done = 0, n; done < tokens; done += n) {
    n = std::min(chunks[turn++ % chunks.size()], tokens - done);
    const auto rows = [&](const Matrix<double>& m) { return in(m.middleRows(done, n)); };
    attention.append_and_attend(cache, 0, rows(text.keys), rows(text.values), rows(text.queries), done,
                                out(output.middleRows(done, n)), work, hook);
  }
  return output;
}
double worst(const Matrix<double>& a, const Matrix<double>& b) {
  const double most = (a - b).cwiseAbs().maxCoeff();
  return std::isfinite(most) ? most : HUGE_VAL;
}

}  // namespace

TEST_CASE("attention is the textbook's for MHA, GQA and MQA, in any chunks, tiles and threads") {
  for (const auto& [heads, group] : {std::pair{4, 1}, {2, 3}, {1, 5}}) {
    const Text text(group, 1, heads);
    const Matrix<double> truth = expected(text);
    for (const std::vector<int>& chunks : {std::vector<int>{1}, {tokens}, {2, 3, 5, 7, 11}, {1, tokens - 2, 1}, {16}})
      for (const auto& [query_tile, row_tile] : {std::pair{32, 256}, {5, 7}, {1, 1}, {3, 64}, {64, 1}})
        for (const int threads : {1, 2}) {
          if (threads == 2 && chunks[0] != 16) continue;
          const Threads scope(threads);
          Cache cache(text.shape());
          Attention<double> attention(text.q_heads(), nullptr, query_tile, row_tile);
          Work work;
          CHECK(worst(attended(cache, attention, text, chunks, work), truth) < 1e-13);
        }
  }
}

TEST_CASE("a text in parts, for more threads than there are heads, gives the same, and counts the same") {
  for (const auto& [heads, group] : {std::pair{3, 2}, {2, 3}, {1, 5}}) {
    const Text text(group, 1, heads);
    const Matrix<double> truth = expected(text);
    for (const int threads : {2, 3, 5})
      for (const std::vector<int>& chunks : {std::vector<int>{1}, {4}, {tokens - 1, 1}}) {
        const Threads scope(threads);
        Cache cache(text.shape()), plain_cache(text.shape());
        Attention<double> attention(text.q_heads(), nullptr, 32, 5, /*part_rows*/ 3), plain(text.q_heads());
        Work work, plain_work;
        CHECK(worst(attended(cache, attention, text, chunks, work), truth) < 1e-13);
        CHECK(worst(attended(plain_cache, plain, text, chunks, plain_work), truth) < 1e-13);
        CHECK(work.multiplications == plain_work.multiplications);
      }
  }
}

TEST_CASE("small blocks are shown to the softmax together, more of them than it holds at once too") {
  const Text text(3);
  for (const int page : {1, 2, 5, 16})
    for (const int row_tile : {1, 7, 256}) {
      CAPTURE(page);
      CAPTURE(row_tile);
      const auto pool = std::make_shared<PagePool<FloatRows<double>>>(text.shape(), tokens, page);
      PagedCache<FloatRows<double>> cache(pool);
      Attention<double> attention(text.q_heads(), nullptr, 5, row_tile);
      Work work;
      CHECK(worst(attended(cache, attention, text, {1, 7, 2}, work), expected(text)) < 1e-13);
    }
}

TEST_CASE("where pages lie, and that there are pages, changes no bit of a decode step") {
  constexpr CacheShape shape{1, 1, 24};
  Random random(7);
  Matrix<float> rows(600, shape.head_dim), queries(1, 3 * shape.head_dim), piece(1, queries.cols()), pages = piece;
  for (auto* side : {&rows, &queries})
    for (float& x : side->reshaped()) x = float(random.uniform(-2, 2));
  GrowingCache<> whole(shape);
  PagedCache<> paged(std::make_shared<PagePool<FloatRows<>>>(shape, 40, 16));
  whole.append(0, 0, in(rows), in(rows)), paged.append(0, 0, in(rows), in(rows));
  Attention<float> attention(3);
  Work work;
  attention.attend(whole, 0, in(queries), 599, out(piece), work);
  attention.attend(paged, 0, in(queries), 599, out(pages), work);
  CHECK(piece == pages);
}

TEST_CASE("scores too large for exp do no harm") {
  const Threads one(1);
  Text text(3);
  text.queries *= 400;
  Cache cache(text.shape());
  Attention<double> attention(text.q_heads(), nullptr, 5, 7);
  Work work;
  CHECK(worst(attended(cache, attention, text, {9}, work), expected(text)) < 1e-12);
}

TEST_CASE("a query sees its own row and those before, not one more") {
  const Threads one(1);
  Text text(2);
  Cache cache(text.shape());
  Attention<double> attention(text.q_heads(), nullptr, 4, 5);
  Work work;
  const Matrix<double> before = attended(cache, attention, text, {tokens}, work);
  for (const int changed : {0, 13, tokens - 1}) {  // another row there, in key and value
    Text other = text;
    other.keys.row(changed).setConstant(1), other.values.row(changed).setConstant(9);
    Cache second(text.shape());
    const Matrix<double> after = attended(second, attention, other, {tokens}, work);
    for (int t = 0; t < tokens; ++t) CHECK((after.row(t) == before.row(t)) == (t < changed));
  }
}

TEST_CASE("the hook sees weights that are the reference's, sum to one and show nothing of the future") {
  const Text text(3);
  for (const auto& tiles : {std::pair{32, 256}, {5, 7}}) {
    const int query_tile = tiles.first, row_tile = tiles.second;  // clang 14 captures no structured bindings
    std::vector<std::vector<double>> truth;
    const Matrix<double> output = expected(text, &truth);
    Cache cache(text.shape());
    Attention<double> attention(text.q_heads(), nullptr, query_tile, row_tile);
    Work work;
    std::vector<std::pair<int, int>> calls;  // first query and head, in order
    const auto hook = [&](int layer, int head, int first_position, MatrixIn<double> weights) {
      CHECK(layer == 0);
      calls.push_back({first_position, head});
      REQUIRE(weights.rows() == std::min(query_tile, tokens - first_position) * text.group);
      REQUIRE(weights.cols() == tokens);
      for (int i = 0; i < weights.rows(); ++i) {
        const int t = first_position + i / text.group;
        CHECK(std::abs(weights.row(i).sum() - 1) < 1e-14);
        CHECK((weights.row(i).tail(tokens - 1 - t).array() == 0).all());  // exactly
        CHECK((weights.row(i).head(t + 1).array() > 0).all());
        if (head == 0 && i % text.group == 0)
          for (int r = 0; r <= t; ++r) CHECK(std::abs(weights(i, r) - truth[std::size_t(t)][std::size_t(r)]) < 1e-14);
      }
    };
    CHECK(worst(attended(cache, attention, text, {tokens}, work, hook), output) < 1e-13);
    CHECK(int(calls.size()) == kv_heads * ((tokens + query_tile - 1) / query_tile));
    CHECK(std::is_sorted(calls.begin(), calls.end()));
  }
}

TEST_CASE("a hook may choose its layers: the others are computed without it, to the same bits, and counted once") {
  struct Chooses {
    int chosen, calls = 0;
    bool wants(int layer) const { return layer == chosen; }
    void operator()(int layer, int, int, MatrixIn<double>) { calls += layer == chosen ? 1 : 1000; }
  };
  static_assert(ChoosesLayers<Chooses> && !ChoosesLayers<NoHook>);
  const Text text(3);
  for (const int threads : {1, 2}) {
    const Threads scope(threads);
    Attention<double> attention(text.q_heads(), nullptr, 5, 7);
    Cache plain(text.shape());
    Work expected_work;
    const Matrix<double> output = attended(plain, attention, text, {tokens}, expected_work);
    for (const int chosen : {0, 1}) {  // the layer that is computed is 0
      Cache cache(text.shape());
      Work work;
      Chooses hook{chosen};
      CHECK(attended(cache, attention, text, {tokens}, work, hook) == output);
      CHECK(hook.calls == (chosen == 0 ? kv_heads * ((tokens + 4) / 5) : 0));
      CHECK(work.multiplications == expected_work.multiplications);
      CHECK(work.seconds[std::size_t(Part::attention)] > 0);
    }
  }
}

TEST_CASE("weights come in visiting order, whatever that is") {
  const Text text(3);
  StudentCache cache(text.shape());  // newest first, in blocks of three
  Attention<double> attention(text.q_heads(), nullptr, 5, 2);
  Work work;
  const auto hook = [&](int, int head, int first_position, MatrixIn<double> weights) {
    std::vector<int> positions;
    cache.for_each_block(0, head, [&](const auto& block) {
      for (int r = 0; r < block.rows(); ++r) positions.push_back(block.position(r));
    });
    REQUIRE(weights.cols() == int(positions.size()));
    for (int i = 0; i < weights.rows(); ++i)
      for (int r = 0; r < weights.cols(); ++r)
        CHECK((weights(i, r) > 0) == (positions[std::size_t(r)] <= first_position + i / text.group));
  };
  CHECK(worst(attended(cache, attention, text, {tokens}, work, hook), expected(text)) < 1e-13);
}

namespace {
/// Keeps every token, but shows them as if `gap` tokens had been forgotten between them and the query.
struct GapCache : StudentCache {
  using StudentCache::StudentCache;
  GapCache clone() const { return GapCache(shape()); }
  template <class Visitor>
  void for_each_block(int layer, int kv_head, Visitor&& visit) const {
    StudentCache::for_each_block(layer, kv_head, [&](BackwardBlock block) {
      block.position_gap = block.position(0) < 20 ? 11 : 0;
      visit(block);
    });
  }
};
}  // namespace

TEST_CASE("towards a block with a position_gap, queries are turned back by as much; without rope they are not") {
  const Threads one(1);
  Text text(3);
  const Rope<double> rope(dim);
  for (const bool with_rope : {true, false}) {
    GapCache cache(text.shape());
    Attention<double> attention(text.q_heads(), with_rope ? &rope : nullptr, 5, 2);
    Work work;
    const Matrix<double> output = attended(cache, attention, text, {1}, work);
    for (int h = 0; h < text.q_heads(); ++h) {  // the last query; turning keys on is turning the query back
      Matrix<double> keys = text.keys.middleCols(h / 3 * dim, dim);
      cache.for_each_block(0, 0, [&](const auto& block) {
        for (int r = 0; r < block.rows(); ++r)
          if (with_rope) rope.turn_all(out(keys.middleRows(block.position(r), 1)), block.position_gap);
      });
      const auto truth = reference_attention<double>(text.queries.row(tokens - 1).segment(h * dim, dim).transpose(),
                                                     keys, text.values.middleCols(h / 3 * dim, dim));
      CHECK((output.row(tokens - 1).segment(h * dim, dim).transpose() - truth).cwiseAbs().maxCoeff() < 1e-13);
    }
  }
}

TEST_CASE("multiplications are counted as performed: rows behind the last query of a tile are skipped") {
  const Threads one(1);
  const Text text(3);
  Cache cache(text.shape());
  Attention<double> attention(text.q_heads(), nullptr, /*query_tile*/ 10, /*row_tile*/ 4);
  Work work;
  attended(cache, attention, text, {tokens}, work);
  const std::int64_t pairs = 10 * 10 + 10 * 20 + 10 * 30 + 7 * 37;  // queries times visible rows, tile by tile
  CHECK(work.multiplications[std::size_t(Part::attention)] == 2 * pairs * text.q_heads() * dim);
  CHECK(work.total_multiplications() == work.multiplications[std::size_t(Part::attention)]);
  CHECK(work.seconds[std::size_t(Part::attention)] > 0);
  CHECK(work.seconds[std::size_t(Part::copying)] > 0);
}

TEST_CASE("a layer is a layer: others are neither read nor written") {
  const Threads one(1);
  const Text text(3), noise(3, 2);
  Cache cache({3, kv_heads, dim});
  for (const int other : {0, 2}) cache.append(other, 0, in(noise.keys), in(noise.values));
  Attention<double> attention(text.q_heads());
  Work work;
  Matrix<double> output(tokens, text.queries.cols());
  attention.append_and_attend(cache, 1, in(text.keys), in(text.values), in(text.queries), 0, out(output), work);
  CHECK(worst(output, expected(text)) < 1e-13);
  CHECK(cache.length(0) == tokens);
  CHECK(cache.length(1) == tokens);
}

TEST_CASE("wrong widths, heads and tiles are refused with a sentence") {
  const Text text(3);
  Cache cache(text.shape());
  cache.append(0, 0, in(text.keys), in(text.values));
  Work work;
  Matrix<double> output(tokens, text.queries.cols());
  Attention<double> other(4), odd(5), right(6);
  CHECK_THROWS_WITH_AS(other.attend(cache, 0, in(text.queries), 0, out(output), work),
                       "attend: queries have 36 columns; 4 query heads of 6 are needed, a multiple of 2 kv heads",
                       Error);
  CHECK_THROWS_WITH_AS(odd.attend(cache, 0, in(text.queries.leftCols(30)), 0, out(output), work),
                       "attend: queries have 30 columns; 5 query heads of 6 are needed, a multiple of 2 kv heads",
                       Error);
  CHECK_NOTHROW(right.attend(cache, 0, in(text.queries), 0, out(output), work));
  CHECK_THROWS_WITH_AS(Attention<double>(0), doctest::Contains("each must be at least 1"), Error);
  CHECK_THROWS_AS(Attention<double>(1, nullptr, 0), Error);
  CHECK_THROWS_AS(Attention<double>(1, nullptr, 1, 0), Error);
}

TEST_CASE("an output of another shape and an empty cache are refused with a sentence") {
  const Text text(1);
  Cache cache(text.shape());
  Attention<double> attention(text.q_heads());
  Work work;
  Matrix<double> output(tokens, text.queries.cols()), narrow(tokens, 1);
  CHECK_THROWS_WITH_AS(attention.attend(cache, 0, in(text.queries), 0, out(narrow), work),
                       doctest::Contains("output is [37, 1], but must be as the queries, [37, 12]"), Error);
  CHECK_THROWS_WITH_AS(attention.attend(cache, 0, in(text.queries), 0, out(output), work),
                       doctest::Contains("holds no rows in layer 0"), Error);
}

TEST_CASE("what a failed call multiplied is not counted with the next") {
  const Text text(1);
  Cache cache(text.shape());
  cache.append(0, 0, in(text.keys), in(text.values));
  Attention<double> attention(text.q_heads());
  Matrix<double> output(tokens, text.queries.cols());
  Work failed, counted, again;
  const auto attend = [&](Work& work, auto hook) {
    attention.attend(cache, 0, in(text.queries), 0, out(output), work, hook);
  };
  attend(counted, NoHook{});
  CHECK_THROWS(attend(failed, [](int, int, int, MatrixIn<double>) { throw 7; }));
  attend(again, NoHook{});
  CHECK(again.total_multiplications() == counted.total_multiplications());
}

TEST_CASE("the thread count may rise after an Attention was built") {
  const Text text(3);
  Cache cache(text.shape());
  Attention<double> attention(text.q_heads(), nullptr, 5, 7);
  Work work;
  {
    const Threads one(1);
    attended(cache, attention, text, {tokens}, work);
  }
  const Threads more(4);
  Cache second(text.shape());
  CHECK(worst(attended(second, attention, text, {tokens}, work), expected(text)) < 1e-13);
}

TEST_CASE("the reference gives known numbers") {
  Vector<double> query(1);
  query << 1;
  Matrix<double> keys(2, 1), values(2, 2);
  keys << std::log(1.0), std::log(3.0);
  values << 0, 4, 8, 0;
  std::vector<double> weights;
  const auto output = reference_attention(query, keys, values, &weights);
  CHECK(weights[0] == doctest::Approx(0.25).epsilon(1e-15));
  CHECK(output[0] == doctest::Approx(6).epsilon(1e-15));
  CHECK(output[1] == doctest::Approx(1).epsilon(1e-15));
}
