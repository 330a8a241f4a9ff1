// The policy of examples/12_write_your_own_policy.cpp, and what the laws say to six mistakes one makes in writing it.
#include "../../examples/strided_cache.hpp"
#include "cache_laws.hpp"
#include "common/instances.hpp"

using namespace kvcache;

namespace {

constexpr CacheShape sizes{.layers = 2, .kv_heads = 2, .head_dim = 6};
using Right = StridedCache<FloatRows<double>>;
const cache_laws::Policy policy{.keeps = [](int p, int length) { return p >= length - 8 || p % 3 == 0; }};

enum class Mistake {
  none,
  forgets_to_copy,
  takes_any_chunk,
  starts_block_at_zero,
  clears_one_layer,
  counts_all_tokens,
  counts_the_ring_alone
};

/// The same policy with one line of it gone wrong.
class Mistaken {
 public:
  using Block = Right::Block;
  using Scalar = double;
  explicit Mistaken(Mistake mistake) : mistake_(mistake), right_(sizes, 8, 3) {}
  Mistaken(Mistaken&&) = default;
  Mistaken& operator=(Mistaken&&) = default;
  Mistaken clone() const {
    Mistaken copy(mistake_);
    copy.right_ = right_.clone();
    return copy;
  }
  CacheShape shape() const { return right_.shape(); }
  int length(int layer) const { return right_.length(layer); }
  int slots(int layer) const { return right_.slots(layer); }
  int chunk_limit(int layer) const {
    return mistake_ == Mistake::takes_any_chunk ? unlimited : right_.chunk_limit(layer);
  }
  void append(int layer, int first, MatrixIn<double> keys, MatrixIn<double> values) {
    for (int t = 0; t < keys.rows(); ++t)  // what a ring does with a chunk that is too long
      right_.append(layer, first + t, in(keys.middleRows(t, 1)), in(values.middleRows(t, 1)));
  }
  template <class Visitor>
  void for_each_block(int layer, int kv_head, Visitor&& visit) const {
    const int oldest_recent = length(layer) - 8;
    right_.for_each_block(layer, kv_head, [&](Block block) {
      const bool is_old = block.position(0) < oldest_recent;
      if (mistake_ == Mistake::forgets_to_copy && is_old) return;
      if (mistake_ == Mistake::starts_block_at_zero && !is_old) block.positions.first = 0;
      visit(block);
    });
  }
  void clear() {
    if (mistake_ != Mistake::clears_one_layer) return right_.clear();
    Right fresh(shape(), 8, 3);  // layer 1 stays as it was
    const Matrix<double> row = Matrix<double>::Zero(1, shape().row_size());
    for (int p = 0; p < length(1); ++p) fresh.append(1, p, in(row), in(row));
    right_ = std::move(fresh);
  }
  MemoryUse memory() const {
    MemoryUse memory = right_.memory();
    if (mistake_ == Mistake::counts_all_tokens)
      memory.used_bytes = std::size_t(length(0) + length(1)) * 2 * 2 * 6 * sizeof(double);
    if (mistake_ == Mistake::counts_the_ring_alone)
      memory.used_bytes = std::size_t(std::min(8, length(0)) + std::min(8, length(1))) * 2 * 2 * 6 * sizeof(double);
    return memory;
  }

 private:
  Mistake mistake_;
  Right right_;
};

std::string said(Mistake mistake) {
  std::string all;
  for (const auto& breach : cache_laws::broken_laws([&] { return Mistaken(mistake); }, policy))
    all += "law " + std::to_string(breach.law) + ": " + breach.how + "\n";
  return all;
}

}  // namespace

TEST_CASE("a student's policy keeps the laws") {
  check_cache_laws([] { return Right(sizes, 8, 3); }, policy);
  check_cache_laws([] { return Right(sizes, 1, 1); });
  check_cache_laws([] { return Right(sizes, 5, 7); },
                   {.keeps = [](int p, int length) { return p >= length - 5 || p % 7 == 0; }});
  CHECK_THROWS_WITH_AS(Right(sizes, 0, 3), doctest::Contains("each must be at least 1"), Error);
}

TEST_CASE("the laws say in one sentence what is wrong with six mistakes") {
  CHECK(said(Mistake::none).empty());
  CHECK(said(Mistake::forgets_to_copy) ==
        "law 6: position 0 should be kept after 9 tokens, but is not; visited positions are 1 to 8\n");
  CHECK(said(Mistake::takes_any_chunk).find("law 8: in chunks of 41, attention differs by ") == 0);
  CHECK(said(Mistake::starts_block_at_zero) ==
        "law 1: the token just appended is not visited: position 8, in layer 0 by head 0; visited positions are 0, 0, "
        "0 to 6\n");  // of the older ones, and of the two ends of the ring
  CHECK(said(Mistake::clears_one_layer).find("law 5: after clear(), ") == 0);
  CHECK(said(Mistake::counts_all_tokens)
            .find("law 13: after 10 tokens memory().used_bytes is 3840, but 36 rows are visited") == 0);
  CHECK(said(Mistake::counts_the_ring_alone)
            .find("law 13: after 9 tokens memory().used_bytes is 3072, but 36 rows are visited") == 0);
  for (const auto mistake : {Mistake::forgets_to_copy, Mistake::takes_any_chunk, Mistake::starts_block_at_zero,
                             Mistake::clears_one_layer, Mistake::counts_all_tokens, Mistake::counts_the_ring_alone}) {
    const std::string all = said(mistake);
    CHECK(std::count(all.begin(), all.end(), '\n') == 1);
  }
}
