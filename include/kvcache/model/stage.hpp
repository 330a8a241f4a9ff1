// The stages of one layer, for whoever looks inside.
#pragma once

#include <cstddef>

namespace kvcache {

/// In the order in which a layer computes them, with what is there to see for n tokens.
enum class Stage {
  normalised,         // [n, hidden]: what the projections read
  projected,          // [n, q_size + 2 * kv_size]: queries, keys and values; the first two already turned
  attended,           // [n, q_size]: the values each query head mixed
  after_attention,    // [n, hidden]: projected back, and added to what came in
  after_feed_forward  // [n, hidden]: what the next layer gets
};
inline constexpr std::size_t stage_count = 5;
constexpr const char* name(Stage stage) {
  constexpr const char* names[stage_count] = {"norm", "project", "attend", "project back and add", "feed-forward"};
  return names[std::size_t(stage)];
}

}  // namespace kvcache
