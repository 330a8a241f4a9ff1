// What reading a cache costs: attention of one token over all layers of SmolLM2, in turns with another cache, so that
// the ratios are of one run. And what reading the same bytes costs that do nothing else.
//   cache_speed [DEPTH [ROUNDS]]
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "common/caches.hpp"
#include "kvcache/core/parallel.hpp"
#include "kvcache/core/statistics.hpp"
#include "kvcache/kvcache.hpp"
#include "kvcache/observe/traced_cache.hpp"

using namespace kvcache;

namespace {

constexpr int q_heads = 9;
constexpr CacheShape shape{30, 3, 64};

NamedCache<> filled(const std::string& spec, int depth) {
  auto cache = make_cache(spec, shape, depth);
  const Matrix<float> rows = Matrix<float>::Random(depth, shape.row_size());
  for (int l = 0; l < shape.layers; ++l)
    for (int p = 0, n; p < depth; p += n) {
      n = std::min(depth - p, cache.chunk_limit(l));
      cache.append(l, p, in(rows.middleRows(p, n)), in(rows.middleRows(p, n)));
    }
  return cache;
}

double seconds_of(const auto& act) {
  const auto start = Timed::Clock::now();
  act();
  return std::chrono::duration<double>(Timed::Clock::now() - start).count();
}

/// One token's attention in every layer.
double attend(const auto& cache) {
  static const Matrix<float> queries = Matrix<float>::Random(1, q_heads * shape.head_dim);
  static Matrix<float> output(1, q_heads * shape.head_dim);
  static Attention<float> attention(q_heads);
  Work work;
  return seconds_of([&] {
    for (int l = 0; l < shape.layers; ++l)
      attention.attend(cache, l, in(queries), cache.length(l) - 1, out(output), work);
  });
}

/// A sum over as many numbers as the keys and values have, by all threads.
double read_once(const Vector<float>& numbers) {
  static volatile float sink;
  return seconds_of([&] {
    parallel_runs(numbers.size(), true, [&](long first, long count) { sink = numbers.segment(first, count).sum(); });
  });
}

void compare(const std::string& a, const std::string& b, int rounds, const std::function<double()>& run_a,
             const std::function<double()>& run_b) {
  std::vector<double> of_a, of_b, ratio;
  for (int round = -2; round < rounds; ++round) {  // the first two warm up
    const double x = run_a(), y = run_b();
    if (round >= 0) of_a.push_back(x), of_b.push_back(y), ratio.push_back(x / y);
  }
  std::printf("| %s | %s | %.2f | %.2f | %.2f (%.2f to %.2f) |\n", a.c_str(), b.c_str(), 1e3 * median(of_a),
              1e3 * median(of_b), median(ratio), quantile(ratio, 0.1), quantile(ratio, 0.9));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const int depth = argc > 1 ? std::atoi(argv[1]) : 4096, rounds = argc > 2 ? std::atoi(argv[2]) : 41;
  std::printf(
      "depth %d, %d threads, %d rounds in turns; ratios: median (10 %% to 90 %%)   MEASURED\n\n"
      "| cache | against | ms | ms | ratio |\n| --- | --- | --- | --- | --- |\n",
      depth, thread_count(), rounds);
  const auto f32 = filled("preallocated", depth);
  const auto against = [&](const std::string& spec) {
    const auto cache = filled(spec, depth);
    compare(
        spec, "preallocated", rounds, [&] { return attend(cache); }, [&] { return attend(f32); });
  };
  const Vector<float> numbers = Vector<float>::Random(Eigen::Index(f32.memory().used_bytes / sizeof(float)));
  compare(
      "preallocated", "summing as many bytes", rounds, [&] { return attend(f32); }, [&] { return read_once(numbers); });
  for (const char* format : {"f16", "bf16", "int8", "q8_0", "int4", "q4_0"})
    against(std::string("preallocated:format=") + format);
  against("growing:format=kivi,bits=4");
  against("growing:format=kivi,bits=2");
  against("paged:page=16");
  against("offloaded:block=64,recent=4");
  const TracedCache<NamedCache<>> traced(filled("preallocated", depth));
  compare(
      "preallocated, traced", "preallocated", rounds, [&] { return attend(traced); }, [&] { return attend(f32); });
  const auto window = filled("window:sinks=4,recent=252", depth), shallow = filled("preallocated", 256);
  compare(
      "window:sinks=4,recent=252", "preallocated, depth 256", rounds, [&] { return attend(window); },
      [&] { return attend(shallow); });
}
