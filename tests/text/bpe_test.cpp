#include "kvcache/text/bpe.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <random>

using namespace kvcache;

namespace {
std::vector<int> merged(std::vector<int> tokens, const MergeTable& merges) {
  std::vector<int> slowly = tokens;
  merge_pairs(tokens, merges);
  merge_pairs_slowly(slowly, merges);
  CHECK(tokens == slowly);
  return tokens;
}
}  // namespace

TEST_CASE("the lowest rank merges first, wherever it stands") {
  MergeTable merges;  // 0: h, 1: e, 2: l, 3: o
  merges.add(2, 2, 4);
  merges.add(1, 2, 5);
  merges.add(0, 1, 6);
  merges.add(6, 4, 7);
  CHECK(merged({0, 1, 2, 2, 3}, merges) == std::vector<int>{7, 3});  // ll before el, though el stands first
}

TEST_CASE("of equal ranks the leftmost merges first") {
  MergeTable merges;
  merges.add(0, 0, 1);
  CHECK(merged({0, 0, 0}, merges) == std::vector<int>{1, 0});
  CHECK(merged({0, 0, 0, 0, 0}, merges) == std::vector<int>{1, 1, 0});
  merges.add(1, 1, 2);
  CHECK(merged({0, 0, 0, 0, 0}, merges) == std::vector<int>{2, 0});
}

TEST_CASE("nothing merges where nothing may") {
  const MergeTable none;
  CHECK(merged({}, none).empty());
  CHECK(merged({5}, none) == std::vector<int>{5});
  CHECK(merged({5, 6, 7}, none) == std::vector<int>{5, 6, 7});
}

TEST_CASE("a pair has one merge") {
  MergeTable merges;
  CHECK(merges.add(1, 2, 3));
  CHECK(!merges.add(1, 2, 4));
  CHECK(merges.add(2, 1, 4));
  CHECK(merges.size() == 2);
  CHECK(merges.find(1, 2)->result == 3);
  CHECK(merges.find(2, 1)->rank == 1);
  CHECK(merges.find(1, 1) == nullptr);
}

TEST_CASE("the fast way agrees with the rule done by hand, whatever the merges") {
  std::mt19937 random(7);
  const auto below = [&](int n) { return int(random() % unsigned(n)); };
  for (int round = 0; round < 2000; ++round) {
    MergeTable merges;
    int tokens = 3;  // 0, 1, 2 are letters; each merge makes a new one, or one that is there
    for (int i = below(30); i > 0; --i) {
      const int left = below(tokens), right = below(tokens);
      merges.add(left, right, below(4) ? tokens++ : below(tokens));
    }
    std::vector<int> text(std::size_t(below(60)));
    for (int& token : text) token = below(3);
    merged(text, merges);
  }
}

TEST_CASE("a hundred thousand letters without a space take well under a second") {
  MergeTable merges;
  for (int i = 0; i < 17; ++i) merges.add(i, i, i + 1);  // token i is a row of 2^i letters
  std::vector<int> tokens(100'000, 0);
  const auto start = std::chrono::steady_clock::now();
  merge_pairs(tokens, merges);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  CHECK(tokens == std::vector<int>{16, 15, 10, 9, 7, 5});  // 100000 in binary
  CHECK(seconds.count() < 1);
}
