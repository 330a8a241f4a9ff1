// Reading a model while a person waits at a terminal.
#pragma once

#include "common/model_choice.hpp"
#include "terminal.hpp"

namespace kvcache::cli {

/// As kvcache::load, with a line on the terminal meanwhile.
template <class Scalar>
Model<Scalar> load_with_notice(const ModelChoice& choice, std::uint64_t seed) {
  const Notice notice((choice.is_shape() ? "drawing random weights for " : "reading ") + choice.name);
  return load<Scalar>(choice, seed);
}

inline void choose_threads(int threads) {
  if (threads != 0) set_thread_count(threads);
}

}  // namespace kvcache::cli
