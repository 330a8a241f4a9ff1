// Every kernel of the library runs twice on the same inputs: its source, by the shim, and the PTX that nvcc made of it,
// by an interpreter. Results must be the same bits; those of expf and tanhf, which the two compute by different
// formulas, may differ by 4 units in the last place. Then instructions of the PTX are changed, which must be noticed.
//   ptx_test KERNELS.ptx
#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <numeric>
#include <random>
#include <set>

#include "kvcache/cuda/attention.cuh"
#include "kvcache/cuda/kernels/activate.cuh"
#include "kvcache/cuda/kernels/append.cuh"
#include "kvcache/cuda/kernels/argmax.cuh"
#include "kvcache/cuda/kernels/embed.cuh"
#include "kvcache/cuda/kernels/norm.cuh"
#include "kvcache/cuda/kernels/project.cuh"
#include "ptx_interpreter.hpp"

using namespace kvcache::cuda;

namespace {

/// All that a kernel may touch: pieces of memory, each allocated by itself.
class Memory {
 public:
  template <class Number>
  Number* hold(const std::vector<Number>& numbers) {
    pieces_.emplace_back(numbers.size() * sizeof(Number));
    std::memcpy(pieces_.back().data(), numbers.data(), pieces_.back().size());
    return reinterpret_cast<Number*>(pieces_.back().data());
  }
  float* random(std::size_t size, float spread = 1) {
    std::normal_distribution<float> normal(0, spread);
    std::vector<float> numbers(size);
    for (float& number : numbers) number = normal(chance_);
    return hold(numbers);
  }
  /// For results: filled with what no kernel computes here.
  float* room(std::size_t size) { return hold(std::vector<float>(size, -77.0f)); }

  std::vector<std::vector<unsigned char>> numbers() const { return pieces_; }
  void restore(const std::vector<std::vector<unsigned char>>& before) {
    for (std::size_t i = 0; i < pieces_.size(); ++i) std::ranges::copy(before[i], pieces_[i].begin());
  }
  std::vector<ptx::Bytes> pieces() const {
    std::vector<ptx::Bytes> all;
    for (const auto& piece : pieces_) all.push_back({piece.data(), piece.size()});
    return all;
  }

 private:
  std::vector<std::vector<unsigned char>> pieces_;
  std::mt19937 chance_{7};
};

/// One launch of one kernel.
struct Case {
  Memory memory;
  std::function<void(Stream&)> launch;
  int ulps = 0;                    // by how many units in the last place numbers may differ ...
  const float* measure = nullptr;  // ... of these, one for each number of the last piece; null: of the number itself
};

// ------------------------------------------------------------------ cases
template <class Weight>
Weight* weights(Memory& memory, std::size_t size) {
  std::mt19937 chance(11);
  std::normal_distribution<float> normal;
  std::vector<Weight> numbers(size);
  for (Weight& number : numbers) number = Weight(normal(chance));
  return memory.hold(numbers);
}

Case rms_norm() {
  Case c;
  const float *x = c.memory.random(3 * 3900, 2), *gain = c.memory.random(1300);
  float* y = c.memory.room(3 * 3900);  // 3 tokens of 3 heads; 2 are normalised
  c.launch = [=](Stream& s) { s.launch(rms_norm_rows<256>, dim3(3, 2), dim3(256), 0, x, gain, y, 1300, 3900, 1e-5f); };
  return c;
}
Case layer_norm() {
  Case c;
  const float *x = c.memory.random(2 * 1300, 2), *gain = c.memory.random(1300), *bias = c.memory.random(1300);
  float* y = c.memory.room(2 * 1300);
  c.launch = [=](Stream& s) { s.launch(layer_norm_rows<256>, dim3(2), dim3(256), 0, x, gain, bias, y, 1300, 1e-5f); };
  return c;
}
template <class Weight>
Case embedding() {
  Case c;
  const int* tokens = c.memory.hold(std::vector<int>{4, 0, 6});
  const Weight* rows = weights<Weight>(c.memory, 7 * 1300);
  const float* positions = c.memory.random(9 * 1300);
  float* x = c.memory.room(3 * 1300);
  c.launch = [=](Stream& s) {
    s.launch(embed_tokens<Weight>, dim3(3), dim3(256), 0, tokens, rows, positions, 5, 1300, x);
  };
  return c;
}
template <class Weight>
Case product(int tokens) {
  Case c;
  const int outputs = 70, inputs = tokens == 1 ? 708 : 44;
  const Weight* weight = weights<Weight>(c.memory, std::size_t(outputs * inputs));
  const float *bias = c.memory.random(std::size_t(outputs)), *x = c.memory.random(std::size_t(tokens * inputs));
  float* y = c.memory.random(std::size_t(tokens * outputs));
  c.launch = [=](Stream& s) {
    const Product<Weight> product{weight, bias, x, y, outputs, inputs, tokens, /*adds*/ true};
    if (tokens > 70)  // as for a product that is large enough
      launch_tiles<Weight, 64, 64, 16>(product, s);
    else
      project(product, s);
  };
  return c;
}
template <bool interleaved>
Case rope() {
  Case c;
  const float *from = c.memory.random(2 * 390), *angles = c.memory.random(2 * 40);
  float* to = c.memory.room(2 * 390);  // 2 tokens of 9 heads of 40, and 30 numbers that are not turned
  c.launch = [=](Stream& s) {
    s.launch(turn_heads<interleaved>, dim3(2), dim3(32), 0, from, to, angles, 9, 40, 390, 40);
  };
  return c;
}
template <class Row>
Case append() {
  Case c;
  const int heads = 2, slots = 6, dim = 172;
  const std::size_t row = Row::row_bytes(dim), head_bytes = slots * row;
  const auto side = [&](int stride) {
    return Side{c.memory.random(std::size_t(3 * stride), 2), stride,
                c.memory.hold(std::vector<unsigned char>(heads * head_bytes, 0xaa))};
  };
  const Side keys = side(350), values = side(344);
  c.launch = [=](Stream& s) {
    s.launch(write_rows<Row>, dim3(3, heads, 2), dim3(32), 0, keys, values, dim, 2, head_bytes);
  };
  return c;
}
Case silu() {
  Case c;
  const float* up = c.memory.random(2 * 2 * 270, 3);
  float* y = c.memory.room(2 * 270);
  c.launch = [=](Stream& s) { s.launch(silu_gated_rows<256>, dim3(2, 2), dim3(256), 0, up, y, 270); };
  c.ulps = 4;
  return c;
}
Case gelu() {
  Case c;
  const float* x = c.memory.random(2 * 270, 3);
  float* y = c.memory.room(2 * 270);
  c.launch = [=](Stream& s) { s.launch(gelu_tanh_rows<256>, dim3(2, 2), dim3(256), 0, x, y, 270); };
  c.ulps = 4, c.measure = x;  // 1 + tanh is near 0 for numbers below it, and has the error that tanh has near -1
  return c;
}
Case largest() {
  Case c;
  std::vector<float> numbers(1900);
  for (int i = 0; i < 1900; ++i) numbers[std::size_t(i)] = float(i * 7919 % 1883);
  numbers[1501] = numbers[1700] = 2000;  // the first of equals is meant
  const float* all = c.memory.hold(numbers);
  int* place = c.memory.hold(std::vector<int>{-1});
  c.launch = [=](Stream& s) { s.launch(find_largest<256>, dim3(1), dim3(256), 0, all, 1900, place); };
  return c;
}

/// Rows of a cache in pages of 5 slots, in any order, the first of them shifted: 47 rows of 2 heads.
template <class Row>
Table random_table(Memory& memory, int dim) {
  const int rows = 47, page = 5, pages = 12, heads = 2;
  std::vector<Run> runs;
  for (int first = 0; first < rows; first += page) {
    const bool is_sink = first == 0;
    runs.push_back({first, first / page * 7 % pages * page, first + (is_sink ? 0 : 11), is_sink ? 11 : 0});
  }
  const std::size_t head_bytes = std::size_t(pages * page) * Row::row_bytes(dim);
  const auto side = [&] {
    const float* numbers = memory.random(std::size_t(heads * pages * page * dim));
    unsigned char* bytes = memory.hold(std::vector<unsigned char>(heads * head_bytes, 0));
    Stream().launch(write_rows<Row>, dim3(pages * page, heads), dim3(32), 0, Side{numbers, heads * dim, bytes}, Side{},
                    dim, 0, head_bytes);
    return bytes;
  };
  const unsigned char *keys = side(), *values = side();
  return {memory.hold(runs), int(runs.size()), rows, {keys, values, head_bytes, Row::row_bytes(dim), Row::format}};
}
/// A head_dim that fills most of so many times 32 numbers.
constexpr int dim_for(int size) { return size == 1 ? 24 : size == 4 ? 100 : size * 32; }

template <class Row, int fours, int group>
Case decode() {
  Case c;
  const int dim = dim_for(fours), shared_by = group == 1 ? 1 : 6, heads = 2 * shared_by, splits = 3;
  const Table table = random_table<Row>(c.memory, dim);
  const float *queries = c.memory.random(std::size_t(heads * dim)), *turned = c.memory.random(std::size_t(heads * dim));
  float *state = c.memory.room(std::size_t(heads * splits * 2)),
        *sums = c.memory.room(std::size_t(heads * splits * dim));
  const AttentionShape shape{heads, 2, dim, 1 / std::sqrt(float(dim))};
  c.launch = [=](Stream& s) {
    s.launch(attend_split<Row, fours, group>, dim3(splits, 2, pieces(shared_by, group)), dim3(split_warps * 32),
             split_bytes(group, dim), queries, turned, table, shape, state, sums);
  };
  return c;
}
Case merge() {
  Case c;
  const float *state = c.memory.random(3 * 7 * 2), *sums = c.memory.random(3 * 7 * 200);
  const_cast<float*>(state)[2] = -INFINITY;  // a part without rows
  float* output = c.memory.room(3 * 200);
  c.launch = [=](Stream& s) { s.launch(merge_splits<128>, dim3(3), dim3(128), 0, state, sums, 7, 200, output); };
  return c;
}
template <class Row, int wide>
Case prefill() {
  Case c;
  const int dim = dim_for(wide), heads = 4, tokens = 11, stride = heads * dim + 8;
  const Table table = random_table<Row>(c.memory, dim);
  const float *queries = c.memory.random(std::size_t(tokens * stride)),
              *turned = c.memory.random(std::size_t(tokens * stride));
  float* output = c.memory.room(std::size_t(tokens * heads * dim));
  const AttentionShape shape{heads, 2, dim, 1 / std::sqrt(float(dim))};
  c.launch = [=](Stream& s) {
    s.launch(attend_tiles<Row, wide>, dim3(pieces(tokens, tile_queries), heads), dim3(tile_queries * 32),
             prefill_bytes(dim), queries, turned, stride, table, shape, tokens, /*first position*/ 45, output);
  };
  return c;
}

template <class Row>
void add_row(std::vector<Case>& cases) {
  cases.push_back(append<Row>());
  const auto sizes = [&]<int... size>(std::integer_sequence<int, size...>) {
    (cases.push_back(decode<Row, size, 1>()), ...);
    (cases.push_back(decode<Row, size, 4>()), ...);
    (cases.push_back(prefill<Row, size>()), ...);
  };
  sizes(std::integer_sequence<int, 1, 2, 4, 8>());
}
std::vector<Case> all_cases() {
  std::vector<Case> cases;
  cases.push_back(rms_norm());
  cases.push_back(layer_norm());
  cases.push_back(embedding<float>());
  cases.push_back(embedding<__half>());
  for (const int tokens : {1, 6, 67, 71}) cases.push_back(product<float>(tokens)), cases.push_back(product<__half>(tokens));
  cases.push_back(rope<false>());
  cases.push_back(rope<true>());
  cases.push_back(silu());
  cases.push_back(gelu());
  cases.push_back(largest());
  cases.push_back(merge());
  add_row<F32Row>(cases);
  add_row<F16Row>(cases);
  add_row<Int8Row>(cases);
  return cases;
}

// ------------------------------------------------------------------ the two ways
using Numbers = std::vector<std::vector<unsigned char>>;  // of all pieces of a case's memory

struct Interpreted {
  const ptx::Module* module = nullptr;
  const Memory* memory = nullptr;
  bool backwards = false;
  std::uint64_t at_most = UINT64_MAX;
  std::string kernel;                 // that was run
  std::vector<std::uint64_t> counts;  // of its instructions
} interpreted;

/// Called by the shim in place of a launch. The name of a kernel in PTX is the symbol of its host compilation.
void interpret(const void* kernel, dim3 grid, dim3 block, std::size_t shared_bytes, int count,
               const void* const* arguments, const std::size_t* sizes) {
  Dl_info info{};
  if (!dladdr(kernel, &info) || !info.dli_sname) throw ptx::Error("a kernel has no symbol; link with -rdynamic");
  ptx::Launch launch{{grid.x, grid.y, grid.z},     {block.x, block.y, block.z}, shared_bytes,         {},
                     interpreted.memory->pieces(), interpreted.at_most,         interpreted.backwards};
  for (int i = 0; i < count; ++i) launch.arguments.push_back({arguments[i], sizes[i]});
  interpreted.kernel = info.dli_sname;
  interpreted.counts = interpreted.module->run(interpreted.kernel, launch);
}

/// What memory holds after the case's launch: by the shim if there is no module, else by the interpreter. The case's
/// memory is then as before.
Numbers after_launch(Case& c, const ptx::Module* module, bool backwards = false) {
  struct Restored {
    Memory& memory;
    const Numbers before = memory.numbers();
    ~Restored() { memory.restore(before), simt::external_launch = nullptr; }  // also where a planted fault throws
  } restored{c.memory};
  interpreted.module = module, interpreted.memory = &c.memory, interpreted.backwards = backwards;
  simt::external_launch = module ? interpret : nullptr;
  Stream stream;
  c.launch(stream);
  return c.memory.numbers();
}

/// The largest difference in units of the last place; 0: the same bits; infinite: where none is allowed.
double difference(const Case& c, const Numbers& left, const Numbers& right) {
  double most = 0;
  for (std::size_t piece = 0; piece < left.size(); ++piece) {
    if (left[piece] == right[piece]) continue;
    if (c.ulps == 0 || piece + 1 < left.size()) return INFINITY;
    for (std::size_t i = 0; i * 4 < left[piece].size(); ++i) {
      float x, y;
      std::memcpy(&x, left[piece].data() + i * 4, 4), std::memcpy(&y, right[piece].data() + i * 4, 4);
      if (std::memcmp(&x, &y, 4) == 0) continue;
      const float size = std::fabs(c.measure ? c.measure[i] : x);
      const double apart = std::fabs(double(x) - double(y)) / double(std::nextafter(size, INFINITY) - size);
      most = std::isnan(apart) ? INFINITY : std::max(most, apart);
    }
  }
  return most;
}

// ------------------------------------------------------------------ planted faults
struct Fault {
  const char *of, *becomes;
};
/// What a compiler might get wrong: another operation, another bound, a barrier too few.
const Fault faults[] = {
    {"add.rn.f32", "sub.rn.f32"},    {"sub.rn.f32", "add.rn.f32"}, {"mul.rn.f32", "add.rn.f32"},
    {"div.rn.f32", "mul.rn.f32"},    {"max.f32", "min.f32"},       {"setp.gt.f32", "setp.lt.f32"},
    {"add.s64", "sub.s64"},          {"add.s32", "sub.s32"},       {"setp.ge.s32", "setp.lt.s32"},
    {"cvt.rni.s32", "cvt.rzi.s32"},  {"cvt.s16.s8", "cvt.u16.u8"}, {"shfl.sync.bfly", "shfl.sync.up"},
    {"bar.sync", "bar.warp.sync -1"}};

struct Noticed {
  int planted = 0, noticed = 0;
};
/// Plants each fault in one instruction of those that the case carries out. Some may change nothing, such as a + that
/// adds 0, or a weight of a head that is not there.
Noticed plant(Case& c, const ptx::Module& module, const Numbers& right) {
  const std::string kernel = interpreted.kernel;
  const auto counts = interpreted.counts;
  const std::vector<std::string> code = module.code(kernel);
  Noticed result;
  for (const Fault& fault : faults) {
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < code.size(); ++i)
      if (counts[i] > 0 && code[i].find(fault.of) != std::string::npos) places.push_back(i);
    if (places.empty()) continue;
    const std::size_t place = places[places.size() / 2];
    std::string changed = code[place];
    if (std::strchr(fault.becomes, ' '))
      changed = fault.becomes;  // with its operands
    else
      changed.replace(changed.find(fault.of), std::strlen(fault.of), fault.becomes);
    ++result.planted;
    bool noticed = true;
    try {
      const ptx::Module faulty = module.changed(kernel, place, changed);
      noticed = difference(c, right, after_launch(c, &faulty)) > c.ulps ||
                difference(c, right, after_launch(c, &faulty, /*backwards*/ true)) > c.ulps;
    } catch (const ptx::Error&) {
    }
    result.noticed += noticed;
    if (!noticed) std::printf("  not noticed: %s for %s\n", fault.becomes, code[place].c_str());
  }
  return result;
}

// ------------------------------------------------------------------ what the interpreter refuses
/// One small kernel for each thing that must be refused, and a word of the sentence that says so.
bool refuses_what_it_should() {
  struct Refused {
    const char *body, *word;
  };
  const Refused all[] = {
      {"frobnicate.b32 %r1, %r2;", "unknown instruction"},
      {"add.rz.f32 %f1, %f2, %f3;", "unknown .rz"},
      {"add.bf16 %f1, %f2, %f3;", "unknown .bf16"},
      {"mov.u32 %r1, %clock;", "unknown operand"},
      {"bra nowhere;", "no such label"},
      {"ld.param.u64 %rd1, [p]; ld.global.f32 %f1, [%rd1+4];", "beside the memory"},
      {"ld.param.u64 %rd1, [p]; st.global.f32 [%rd1+-4], %f1;", "beside the memory"},
      {"ld.param.u64 %rd1, [p]; ld.global.f32 %f1, [%rd1+2];", "not at a multiple"},
      {"mov.u32 %r1, 4; ld.shared.f32 %f1, [%r1];", "beside shared memory"},
      {"ld.param.u64 %rd1, [p+8];", "beside the parameters"},
      {"div.s32 %r1, %r2, 0;", "division by zero"},
      {"again: bra again;", "does not end"},
      {"mov.u32 %r1, %tid.x; setp.eq.s32 %p1, %r1, 0; @%p1 bra out; bar.warp.sync -1; out:", "has ended"},
      {"mov.u32 %r1, %tid.x; setp.eq.s32 %p1, %r1, 0; @%p1 bar.sync 0; bar.warp.sync -1;", "wait for"}};
  bool all_refused = true;
  float number = 0;
  const float* memory = &number;
  for (const Refused& refused : all) {
    std::string said = "nothing";
    try {
      const ptx::Module module(std::string(".visible .entry k(.param .u64 p) { .reg .b32 %r<4>; .reg .b64 %rd<4>; "
                                           ".reg .f32 %f<4>; .reg .pred %p<2>; .shared .align 4 .b8 s[4]; ") +
                               refused.body + " ret; }");
      module.run("k", {{1, 1, 1}, {32, 1, 1}, 0, {{&memory, sizeof(memory)}}, {{&number, sizeof(number)}}, 1000});
    } catch (const ptx::Error& error) {
      said = error.what();
    }
    if (said.find(refused.word) != std::string::npos) continue;
    std::printf("not refused as \"%s\": %s: %s\n", refused.word, refused.body, said.c_str());
    all_refused = false;
  }
  return all_refused;
}

}  // namespace

int main(int count, char** arguments) try {
  if (count != 2) return std::puts("ptx_test KERNELS.ptx"), 2;
  std::ifstream file(arguments[1]);
  const ptx::Module module(std::string(std::istreambuf_iterator<char>(file), {}));
  std::set<std::string> seen;
  bool all_right = refuses_what_it_should();
  Noticed all;
  for (Case& c : all_cases()) {
    interpreted.at_most = UINT64_MAX;
    const Numbers by_shim = after_launch(c, nullptr);
    const double apart = std::max(difference(c, by_shim, after_launch(c, &module)),
                                  difference(c, by_shim, after_launch(c, &module, /*backwards*/ true)));
    const auto& counts = interpreted.counts;
    const auto total = std::accumulate(counts.begin(), counts.end(), std::uint64_t(0));
    const auto never = std::ranges::count(counts, std::uint64_t(0));
    const bool is_right = apart <= c.ulps && by_shim != c.memory.numbers();
    std::printf("%s\n  %s; %zu instructions, %td of them never carried out, %llu times one\n",
                interpreted.kernel.c_str(),
                apart == 0 ? "the same bits" : (std::to_string(apart) + " ulp apart").c_str(), counts.size(), never,
                static_cast<unsigned long long>(total));
    if (!is_right) std::puts("  WRONG");
    all_right &= is_right;
    seen.insert(interpreted.kernel);
    interpreted.at_most = 4 * total;
    const Noticed here = plant(c, module, by_shim);
    all_right &= 2 * here.noticed > here.planted;
    all.planted += here.planted, all.noticed += here.noticed;
  }
  std::printf("%zu of %zu kernels interpreted; %d of %d planted faults noticed\n", seen.size(), module.kernels().size(),
              all.noticed, all.planted);
  all_right &= seen.size() == module.kernels().size() && 10 * all.noticed > 9 * all.planted;
  std::puts(all_right ? "the PTX does what the source says" : "WRONG");
  return all_right ? 0 : 1;
} catch (const ptx::Error& error) {
  std::printf("%s, in %s\n", error.what(), interpreted.kernel.empty() ? "the file" : interpreted.kernel.c_str());
  return 1;
}
