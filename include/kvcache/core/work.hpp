// What a step did: multiplications and seconds of each part, and how many keys and values were computed or reused.
#pragma once

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
  std::int64_t keys_reused = 0;    // found in the cache, computed in earlier steps; as many values were reused

  void count(Part part, std::int64_t more_multiplications) {
    multiplications[std::size_t(part)] += more_multiplications;
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
