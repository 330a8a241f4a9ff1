// Two ladders of kernels, from the obvious one to the library's: every rung is checked against double precision, what
// it costs is computed, and where there is a GPU it is timed.
//   ladder [bandwidth in GB/s] [float operations in TFLOP/s] [latency of memory in ns]
// Built by nvcc it runs on a GPU; built by another compiler, with cuda/shim before it, on the CPU, where time says
// nothing.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "attention_1_thread.cuh"
#include "attention_2_warp.cuh"
#include "attention_3_shared.cuh"
#include "attention_4_split.cuh"
#include "attention_5_paged.cuh"
#include "attention_6_int8.cuh"
#include "product_1_thread.cuh"
#include "product_2_warp.cuh"
#include "product_3_fours.cuh"
#include "product_4_f16.cuh"

using namespace ladder;

namespace {

bool has_device() {
#if defined(__CUDACC__)
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
#else
  return false;
#endif
}
/// There are kernels to run: on a device, or by the shim.
bool can_run() {
#if defined(__CUDACC__)
  return has_device();
#else
  return true;
#endif
}

/// The best of five runs, in ms, after one that warms up. [MEASURED]
template <class Rung, class Problem>
float milliseconds([[maybe_unused]] Rung& rung, [[maybe_unused]] Problem& problem) {
  float best = INFINITY;
#if defined(__CUDACC__)
  Stream stream;
  cudaEvent_t begin, end;
  cudaEventCreate(&begin), cudaEventCreate(&end);
  for (int run = 0; run < 6; ++run) {
    cudaEventRecord(begin, stream.handle());
    rung.run(problem, stream);
    cudaEventRecord(end, stream.handle());
    kvcache::cuda::check_cuda(cudaEventSynchronize(end), "timing");
    float now = 0;
    cudaEventElapsedTime(&now, begin, end);
    if (run > 0) best = std::min(best, now);
  }
  cudaEventDestroy(begin), cudaEventDestroy(end);
#endif
  return best;
}

double worst_difference(const std::vector<float>& numbers, const std::vector<double>& expected) {
  double worst = 0;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const double apart = std::fabs(double(numbers[i]) - expected[i]);
    worst = apart <= worst ? worst : apart;  // also if it is no number
    if (std::isnan(apart)) return INFINITY;
  }
  return worst;
}

void head_of_table() {
  std::puts(
      "rung                                               difference    bytes  operations   threads   roofline"
      "    waiting       time");
  std::puts(
      "                                                       CHECKED COMPUTED    COMPUTED  COMPUTED   COMPUTED"
      "   COMPUTED   MEASURED");
}
/// What a rung makes of the small problem. On the CPU it is run again with blocks and threads in reverse and in random
/// order: if that changes a byte, what is returned are no numbers.
template <class Rung, class Problem>
std::vector<float> run_small(Problem& small, std::vector<float> (*result)(const Problem&)) {
  const auto run = [&] {
    Rung rung(small);
    Stream stream;
    rung.run(small, stream);
    stream.finish();
    return result(small);
  };
  std::vector<float> numbers = run();
#if !defined(__CUDACC__)
  for (const simt::order order : {simt::order::reverse, simt::order::random}) {
    simt::config().thread_order = simt::config().block_order = order;
    const std::vector<float> others = run();
    if (std::memcmp(others.data(), numbers.data(), numbers.size() * sizeof(float)) != 0)
      numbers.assign(numbers.size(), NAN);
  }
  simt::config().thread_order = simt::config().block_order = simt::order::forward;
#endif
  return numbers;
}

template <class Rung, class Problem, class Size>
bool show(Problem& small, std::vector<float> (*result)(const Problem&), const std::vector<double>& expected,
          const Size& size, Problem* large, const Device& device) {
  double apart = 0;
  if (can_run()) apart = worst_difference(run_small<Rung>(small, result), expected);
  const Cost cost = Rung::cost(size);
  std::printf("%-50s %10.1e %5.0f MB %9.2f G %9.0f %7.3f ms %7.3f ms ", Rung::name, apart, cost.bytes / 1e6,
              cost.operations / 1e9, cost.threads, device.roofline(cost) * 1e3, device.waiting(cost) * 1e3);
  if (large) {
    Rung rung(*large);
    std::printf("%7.3f ms", milliseconds(rung, *large));
  } else {
    std::printf("         -");
  }
  const bool is_right = apart <= Rung::tolerance;
  std::puts(is_right ? "" : "  WRONG");
  return is_right;
}

bool attention(const Device& device) {
  const AttentionSize size{32, 8, 32768};  // the heads of Llama 3 8B; more rows than a device's cache holds
  std::printf("\nAttention of one query: %d query heads, %d kv heads, head_dim %d, %d rows of f32\n", size.q_heads,
              size.kv_heads, head_dim, size.rows);
  head_of_table();
  AttentionProblem small({8, 2, 301});
  const auto result = +[](const AttentionProblem& p) { return on_host(p.output); };
  const auto expected = attention_reference(small.size, small.host_queries, small.host_keys, small.host_values);
  std::vector<float> keys = small.host_keys, values = small.host_values;
  round_as_int8(keys), round_as_int8(values);
  const auto expected_int8 = attention_reference(small.size, small.host_queries, keys, values);
  std::optional<AttentionProblem> large;
  if (has_device()) large.emplace(size);
  AttentionProblem* timed = large ? &*large : nullptr;
  bool right = show<AttentionByThread>(small, result, expected, size, timed, device);
  right &= show<AttentionByWarp>(small, result, expected, size, timed, device);
  right &= show<AttentionByGroup>(small, result, expected, size, timed, device);
  right &= show<AttentionSplit>(small, result, expected, size, timed, device);
  right &= show<AttentionPaged>(small, result, expected, size, timed, device);
  right &= show<AttentionInt8>(small, result, expected_int8, size, timed, device);
  return right;
}

bool product(const Device& device) {
  const ProductSize size{14336, 4096};  // of the feed-forward network of Llama 3 8B
  std::printf("\nMatrix times vector: %d outputs, %d inputs\n", size.outputs, size.inputs);
  head_of_table();
  ProductProblem small({45, 340});
  const auto result = +[](const ProductProblem& p) { return on_host(p.y); };
  const auto expected = product_reference(small.size, small.host_weights, small.host_x);
  std::vector<float> rounded;
  for (const float weight : small.host_weights) rounded.push_back(float(__half(weight)));
  const auto expected_f16 = product_reference(small.size, rounded, small.host_x);
  std::optional<ProductProblem> large;
  if (has_device()) large.emplace(size);
  ProductProblem* timed = large ? &*large : nullptr;
  bool right = show<ProductByThread>(small, result, expected, size, timed, device);
  right &= show<ProductByWarp>(small, result, expected, size, timed, device);
  right &= show<ProductByFours>(small, result, expected, size, timed, device);
  right &= show<ProductF16>(small, result, expected_f16, size, timed, device);
  return right;
}

}  // namespace

int main(int count, char** arguments) {
  Device device;
  if (count > 1) device.bandwidth = std::atof(arguments[1]) * 1e9;
  if (count > 2) device.operations = std::atof(arguments[2]) * 1e12;
  if (count > 3) device.latency = std::atof(arguments[3]) * 1e-9;
  if (!can_run()) return std::puts("No GPU is there, and this program was built for one."), 77;
  std::printf("COMPUTED for a device of %.0f GB/s, %.1f TFLOP/s (float) and a latency of %.0f ns%s.\n",
              device.bandwidth / 1e9, device.operations / 1e12, device.latency * 1e9,
              count > 1 ? "" : " (the data sheet of an A100 40 GB; a usual latency)");
  std::puts(
      "roofline: memory and arithmetic are always busy. waiting: no more bytes are on the way than threads asked for.");
  if (!has_device())
    std::puts("The kernels ran on the CPU, thread by thread: checked, but not run on a GPU; no times.");
  bool right = attention(device);
  right &= product(device);
  std::puts(right ? "\nEvery rung agrees with double precision." : "\nA rung is WRONG.");
  return right ? 0 : 1;
}
