// What a step did: multiplications and seconds of each part, and how many keys and values were computed or reused.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace kvcache {

/// The parts of a decoding step. Each norm counts with the part it prepares for, residual sums with the part they end.
enum class Part { tokenising, projection, attention, feed_forward, output_layer, sampling, copying };
inline constexpr std::size_t part_count = 7;
inline constexpr std::array<Part, part_count> all_parts{Part::tokenising,   Part::projection,   Part::attention,
                                                        Part::feed_forward, Part::output_layer, Part::sampling,
                                                        Part::copying};
constexpr const char* name(Part part) {
  constexpr std::array<const char*, part_count> names{"tokenising",   "projection", "attention", "feed-forward",
                                                      "output layer", "sampling",   "copying"};
  return names[std::size_t(part)];
}

/// Counts are of what was performed, not of what a formula asks for: pairs of a query and a later key in one tile are
/// multiplied, then masked, and counted. A query, key or value is one vector [head_dim] of one token, head and layer.
struct Work {
  std::array<double, part_count> seconds{};
  std::array<std::int64_t, part_count> multiplications{};
  std::int64_t queries_computed = 0;
  std::int64_t keys_computed = 0;  // as many values were computed
  /// Reused: read by attention in this step, computed in an earlier one. As many values were reused. A key that several
  /// queries of a step read counts once; one that the cache forgot before it was read does not count.
  std::int64_t keys_reused = 0;
  /// The same for one head: how many earlier tokens it read. Where layers keep other tokens than each other, that is no
  /// single number: this one is of the layer that read most, and keys_reused is less than its product with all heads.
  std::int64_t tokens_reused = 0;

  void count(Part part, std::int64_t more_multiplications) {
    multiplications[std::size_t(part)] += more_multiplications;
  }
  /// To be called for each head of each layer, once a step.
  void count_reused(std::int64_t rows_of_the_head) {
    keys_reused += rows_of_the_head;
    tokens_reused = std::max(tokens_reused, rows_of_the_head);
  }
  double total_seconds() const {
    double sum = 0;
    for (double s : seconds) sum += s;
    return sum;
  }
  std::int64_t total_multiplications() const {
    std::int64_t sum = 0;
    for (std::int64_t m : multiplications) sum += m;
    return sum;
  }
  Work& operator+=(const Work& other) {
    for (std::size_t p = 0; p < part_count; ++p) {
      seconds[p] += other.seconds[p];
      multiplications[p] += other.multiplications[p];
    }
    queries_computed += other.queries_computed;
    keys_computed += other.keys_computed;
    keys_reused += other.keys_reused;
    tokens_reused += other.tokens_reused;
    return *this;
  }
};

/// Adds the time from here to the end of the scope to one part. Reading the clock costs about 25 ns.
class Timed {
 public:
  using Clock = std::chrono::steady_clock;
  Timed(Work& work, Part part) : seconds_(work.seconds[std::size_t(part)]) {}
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;
  ~Timed() { seconds_ += std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  double& seconds_;
  Clock::time_point start_ = Clock::now();
};

}  // namespace kvcache
