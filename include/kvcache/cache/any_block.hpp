// One of several kinds of blocks, for caches whose rows are chosen when a program runs. Itself a block.
#pragma once

#include <type_traits>
#include <utility>
#include <variant>

#include "kvcache/cache/concept.hpp"
#include "kvcache/cache/row_codes.hpp"

namespace kvcache {

/// Says of each block in turn what that block says; its two products are the block's own.
template <HostBlock... Blocks>
class AnyBlock {
 public:
  using Scalar = std::common_type_t<typename Blocks::Scalar...>;

  template <class Block>
  requires(std::same_as<Block, Blocks> || ...) AnyBlock(const Block& block)  // implicit: it takes a block's place
      : position_gap(block.position_gap), one_(block) {}

  int rows() const {
    return visit([](const auto& one) { return one.rows(); });
  }
  AnyBlock slice(int first, int rows) const {
    AnyBlock part = visit([&](const auto& one) { return AnyBlock(one.slice(first, rows)); });
    part.position_gap = position_gap;
    return part;
  }
  int position(int row) const {
    return visit([&](const auto& one) { return one.position(row); });
  }
  int slot(int row) const {
    return visit([&](const auto& one) { return one.slot(row); });
  }
  void score(MatrixIn<Scalar> queries, MatrixOut<Scalar> scores) const {
    visit([&](const auto& one) { one.score(queries, scores); });
  }
  void accumulate(MatrixIn<Scalar> weights, MatrixOut<Scalar> output) const {
    visit([&](const auto& one) { one.accumulate(weights, output); });
  }
  /// Of a block that shows none: none.
  void key_codes(int row, RowCodes& to) const requires(CodedBlock<Blocks> || ...) {
    to.clear();
    visit([&]<class Block>(const Block& one) {
      if constexpr (CodedBlock<Block>) one.key_codes(row, to);
    });
  }
  void value_codes(int row, RowCodes& to) const requires(CodedBlock<Blocks> || ...) {
    to.clear();
    visit([&]<class Block>(const Block& one) {
      if constexpr (CodedBlock<Block>) one.value_codes(row, to);
    });
  }

  int position_gap = 0;

 private:
  auto visit(auto&& what) const { return std::visit(what, one_); }
  std::variant<Blocks...> one_;
};

}  // namespace kvcache
