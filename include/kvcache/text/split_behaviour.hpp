// What becomes of a splitting pattern's matches: kept apart, dropped, or joined to their neighbours.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

#include "kvcache/text/splitter.hpp"
#include "kvcache/text/tokenizer_data.hpp"

namespace kvcache {

namespace detail {

struct MarkedPiece {
  std::size_t begin, end;
  bool is_match;
};

/// Joins pieces as Hugging Face's tokenizers do (normalizer.rs, split): in contiguous, runs of matches and runs of
/// gaps; else a match to the piece before it, or after it, unless that is a match too.
inline std::vector<MarkedPiece> joined(const std::vector<MarkedPiece>& pieces, SplitBehaviour behaviour) {
  std::vector<MarkedPiece> out;
  bool last_was_match = false;
  const auto join = [&](const MarkedPiece& piece) {
    const bool belongs =
        behaviour == SplitBehaviour::contiguous ? piece.is_match == last_was_match : piece.is_match && !last_was_match;
    last_was_match = piece.is_match;
    if (!belongs || out.empty()) return out.push_back(piece);
    out.back().begin = std::min(out.back().begin, piece.begin);
    out.back().end = std::max(out.back().end, piece.end);
  };
  if (behaviour == SplitBehaviour::merged_with_next) {
    for (auto piece = pieces.rbegin(); piece != pieces.rend(); ++piece) join(*piece);
    std::ranges::reverse(out);
  } else {
    for (const MarkedPiece& piece : pieces) join(piece);
  }
  return out;
}

}  // namespace detail

/// Calls visit(std::string_view) for the pieces of one step, in order; none is empty. Errors: those of Splitter.
template <class Visitor>
void split_by(const Splitter& splitter, SplitBehaviour behaviour, bool invert, std::string_view text, Visitor&& visit) {
  if (behaviour == SplitBehaviour::isolated) return splitter.split(text, visit);
  const bool removed = behaviour == SplitBehaviour::removed;
  std::vector<detail::MarkedPiece> pieces;
  splitter.find_all(text, [&](std::string_view piece, bool is_match) {
    const std::size_t begin = std::size_t(piece.data() - text.data());
    if (!removed || is_match == invert) pieces.push_back({begin, begin + piece.size(), is_match != invert});
  });
  if (!removed) pieces = detail::joined(pieces, behaviour);
  for (const detail::MarkedPiece& piece : pieces)
    if (piece.begin < piece.end) visit(text.substr(piece.begin, piece.end - piece.begin));
}

}  // namespace kvcache
