// The pieces one by one, with Google Benchmark: a projection in every format, attention over every cache, the
// tokenizer.
//   pieces --benchmark_filter=project
#include <benchmark/benchmark.h>

#include "../tests/random_packed.hpp"
#include "common/caches.hpp"
#include "kvcache/io.hpp"
#include "kvcache/kvcache.hpp"

using namespace kvcache;

namespace {

/// SmolLM2's output layer, in a format, for so many tokens.
void projection(benchmark::State& state, NumberFormat format) {
  const int tokens = int(state.range(0)), inputs = 576, outputs = 49152;
  Random random(1);
  const WeightMatrix<float> weights = random_packed_matrix(format, outputs, inputs, random);
  const Matrix<float> x = Matrix<float>::Random(tokens, inputs);
  Matrix<float> y(tokens, outputs);
  for (auto _ : state) {
    kvcache::project(in(x), weights, Vector<float>(), out(y));
    benchmark::DoNotOptimize(y.data());
  }
  state.SetBytesProcessed(std::int64_t(state.iterations()) * std::int64_t(weights.bytes()));
  state.counters["GFLOP/s"] =
      benchmark::Counter(2e-9 * tokens * double(weights.size()), benchmark::Counter::kIsIterationInvariantRate);
}

/// One query a head over so many tokens: SmolLM2's heads.
void attend(benchmark::State& state, const std::string& cache_name) {
  const int depth = int(state.range(0)), q_heads = 9;
  const CacheShape shape{1, 3, 64};
  auto cache = make_cache(cache_name, shape, depth);
  const Matrix<float> rows = Matrix<float>::Random(depth, 3 * 64), queries = Matrix<float>::Random(1, q_heads * 64);
  for (int p = 0, n; p < depth; p += n) {
    n = std::min(depth - p, cache.chunk_limit(0));
    cache.append(0, p, in(rows.middleRows(p, n)), in(rows.middleRows(p, n)));
  }
  Matrix<float> output(1, q_heads * 64);
  Attention<float> attention(q_heads);
  Work work;
  for (auto _ : state) {
    attention.attend(cache, 0, in(queries), depth - 1, out(output), work);
    benchmark::DoNotOptimize(output.data());
  }
  state.SetBytesProcessed(std::int64_t(state.iterations()) * std::int64_t(cache.memory().used_bytes));
}

void tokenise(benchmark::State& state) {
  const Tokenizer tokenizer = load_tokenizer(find_model("tiny"));
  std::string text;
  while (text.size() < 100'000)
    text += "Shall I compare thee to a summer's day? Thou art more lovely and more temperate. ";
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer.encode(text));
  state.SetBytesProcessed(std::int64_t(state.iterations()) * std::int64_t(text.size()));
}

void append(benchmark::State& state, const std::string& cache_name) {
  const CacheShape shape{1, 3, 64};
  const Matrix<float> row = Matrix<float>::Random(1, 3 * 64);
  auto cache = make_cache(cache_name, shape, 1024);
  for (auto _ : state) {
    if (cache.length(0) == 1024) cache.clear();
    cache.append(0, cache.length(0), in(row), in(row));
  }
}

}  // namespace

int main(int argc, char** argv) {
  for (int f = 0; f < number_formats; ++f)
    benchmark::RegisterBenchmark((std::string("project/") + name(NumberFormat(f))).c_str(), projection, NumberFormat(f))
        ->Arg(1)
        ->Arg(8)
        ->Arg(64)
        ->UseRealTime();
  std::vector<std::string> caches{"window:sinks=4,recent=252,format=int8", "growing:format=kivi,bits=4",
                                  "growing:format=kivi,bits=2"};
  for (const CacheName& cache : cache_names) caches.push_back(cache.name);
  for (const RowFormat* format : row_formats::all) caches.push_back(std::string("growing:format=") + format->name);
  for (const std::string& cache : caches) {
    benchmark::RegisterBenchmark(("attend/" + cache).c_str(), attend, cache)
        ->Arg(8)
        ->Arg(512)
        ->Arg(4096)
        ->UseRealTime();
    benchmark::RegisterBenchmark(("append/" + cache).c_str(), append, cache);
  }
  benchmark::RegisterBenchmark("tokenise", tokenise);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
