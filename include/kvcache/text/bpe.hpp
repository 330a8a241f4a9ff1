// Byte-pair encoding: of all neighbours that may merge, merge those with the lowest rank; repeat until none may.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <queue>
#include <unordered_map>
#include <utility>
#include <vector>

namespace kvcache {

/// What two neighbouring tokens become, and how early: the lowest rank goes first.
struct Merge {
  int rank = 0;
  int result = 0;
};

/// All merges of a tokenizer. The rank of a merge is the number of merges added before it.
class MergeTable {
 public:
  /// False, and nothing is changed, where the pair has a merge already.
  bool add(int left, int right, int result) {
    return merges_.try_emplace(key(left, right), Merge{int(merges_.size()), result}).second;
  }
  /// nullptr where the two never merge.
  const Merge* find(int left, int right) const {
    const auto found = merges_.find(key(left, right));
    return found == merges_.end() ? nullptr : &found->second;
  }
  std::size_t size() const { return merges_.size(); }

 private:
  static std::uint64_t key(int left, int right) {
    return std::uint64_t(std::uint32_t(left)) << 32 | std::uint32_t(right);
  }
  std::unordered_map<std::uint64_t, Merge> merges_;
};

/// The rule as one would do it by hand; of equal ranks the leftmost goes first. O(n^2): for lessons and tests.
/// Source: Sennrich, Haddow and Birch, "Neural Machine Translation of Rare Words with Subword Units" (2016).
inline void merge_pairs_slowly(std::vector<int>& tokens, const MergeTable& merges) {
  while (true) {
    const Merge* best = nullptr;
    std::size_t at = 0;
    for (std::size_t i = 0; i + 1 < tokens.size(); ++i)
      if (const Merge* merge = merges.find(tokens[i], tokens[i + 1]); merge && (!best || merge->rank < best->rank)) {
        best = merge;
        at = i;
      }
    if (!best) return;
    tokens[at] = best->result;
    tokens.erase(tokens.begin() + std::ptrdiff_t(at) + 1);
  }
}

/// The same tokens in O(n log n): a queue of merges that were possible when they were put in, lowest rank first, then
/// leftmost. Tokens stay in their slots and form a linked list, so that nothing moves when a neighbour disappears.
inline void merge_pairs(std::vector<int>& tokens, const MergeTable& merges) {
  constexpr int gone = -1;  // in tokens: merged into the token to the left. In next, previous: there is none
  const int size = int(tokens.size());
  std::vector<int> next(tokens.size()), previous(tokens.size());  // [slots]
  using Candidate = std::pair<int, int>;                          // rank, slot of the left token
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto at = [](auto& list, int slot) -> auto& { return list[std::size_t(slot)]; };
  const auto merge_at = [&](int slot) {
    const int right = at(next, slot);
    return right == gone ? nullptr : merges.find(at(tokens, slot), at(tokens, right));
  };
  const auto propose = [&](int slot) {
    if (const Merge* merge = merge_at(slot)) queue.emplace(merge->rank, slot);
  };

  for (int slot = 0; slot < size; ++slot) {
    at(next, slot) = slot + 1 < size ? slot + 1 : gone;
    at(previous, slot) = slot - 1;
  }
  for (int slot = 0; slot + 1 < size; ++slot) propose(slot);
  while (!queue.empty()) {
    const auto [rank, slot] = queue.top();
    queue.pop();
    if (at(tokens, slot) == gone) continue;
    const Merge* merge = merge_at(slot);
    if (!merge || merge->rank != rank) continue;  // out of date: a neighbour has merged since
    const int right = at(next, slot), after = at(next, right);
    at(tokens, slot) = merge->result;
    at(tokens, right) = gone;
    at(next, slot) = after;
    if (after != gone) at(previous, after) = slot;
    if (at(previous, slot) != gone) propose(at(previous, slot));
    propose(slot);
  }
  std::erase(tokens, gone);
}

}  // namespace kvcache
