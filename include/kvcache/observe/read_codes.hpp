// The codes in a cache, as its blocks show them: of caches whose blocks have any to show.
#pragma once

#include <concepts>
#include <span>
#include <type_traits>
#include <vector>

#include "kvcache/cache/observer.hpp"
#include "kvcache/cache/row_codes.hpp"
#include "kvcache/observe/step_codes.hpp"

namespace kvcache {

/// Keeps its room from step to step.
class CodeReader {
 public:
  /// Adds the tokens at first_position and on, `count` of them, as one layer holds them. Those that the cache does not
  /// keep, or keeps as plain numbers, are left out.
  template <class Cache>
  void read(const Cache& cache, int layer, int first_position, int count, StepCodes& to) {
    const OnlyLooking here;
    const int heads = cache.shape().kv_heads;
    rows_.resize(std::size_t(count * heads));
    for (StepCodes::Row& row : rows_) row.key.clear(), row.value.clear();
    for (int head = 0; head < heads; ++head)
      cache.for_each_block(layer, head, [&](const auto& block) {
        if constexpr (CodedBlock<std::remove_cvref_t<decltype(block)>>)
          for (int r = 0; r < block.rows(); ++r) {
            const int at = block.position(r) - first_position;
            if (at < 0 || at >= count) continue;
            StepCodes::Row& row = rows_[std::size_t(at * heads + head)];
            block.key_codes(r, row.key), block.value_codes(r, row.value);
          }
      });
    for (int i = 0; i < count; ++i)
      to.add(layer, first_position + i, std::span(rows_).subspan(std::size_t(i * heads), std::size_t(heads)));
  }

 private:
  std::vector<StepCodes::Row> rows_;  // [tokens, kv_heads]
};

}  // namespace kvcache
