// Rung 4: the text is split, and the parts are merged by a second kernel: 8 kv heads are 8 blocks, but 66 parts of each
// are 528, four for each of 132 multiprocessors. From here on the rungs are the library's own kernels, attend_split and
// merge_splits, which also read four numbers at a time.
#pragma once

#include "attention.cuh"

namespace ladder {

/// What the library's attention reads: rows of any format, found by a table of runs.
class SplitAttention {
 public:
  explicit SplitAttention(kvcache::cuda::DeviceFormat format = kvcache::cuda::DeviceFormat::f32) : format_(format) {}
  void run(AttentionProblem& p, const unsigned char* keys, const unsigned char* values, std::size_t head_bytes,
           const DeviceMemory<kvcache::cuda::Run>& runs, Stream& stream) {
    const kvcache::cuda::Table table{
        runs.data(), int(runs.size()), p.size.rows, {keys, values, head_bytes, row_bytes(), format_}};
    attention_.attend({p.queries.data(), nullptr, 1, p.size.rows - 1, p.size.q_heads * head_dim}, table, p.size.shape(),
                      p.output.data(), stream);
  }
  std::size_t row_bytes() const { return kvcache::cuda::row_bytes(format_, head_dim); }

  /// The parts that the library makes of a text, as DeviceAttention's default does.
  static double splits(const AttentionSize& s) { 
    using namespace kvcache::cuda;
    return std::clamp(attention_blocks() / s.kv_heads, 1, int(pieces(s.rows, part_rows)));
  }
  static Cost cost(const AttentionSize& s, double row_bytes) {
    using namespace kvcache::cuda;
    const double blocks = splits(s) * s.kv_heads * pieces(s.shared_by(), 4);
    const double merging = 2.0 * 4 * s.q_heads * splits(s) * (head_dim + 2);  // written, and read again
    return {2.0 * s.kv_heads * pieces(s.shared_by(), 4) * s.rows * row_bytes + merging, s.operations(),
            blocks * split_warps * 32, 2 * row_bytes / team};
  }

 private:
  kvcache::cuda::DeviceFormat format_;
  kvcache::cuda::DeviceAttention attention_;
};

inline DeviceMemory<kvcache::cuda::Run> runs_on_device(const std::vector<kvcache::cuda::Run>& runs) {
  return DeviceMemory<kvcache::cuda::Run>(std::span<const kvcache::cuda::Run>(runs));
}

struct AttentionSplit {
  static constexpr const char* name = "4 split over the text, and merged";
  static constexpr double tolerance = 2e-6;
  explicit AttentionSplit(const AttentionProblem&) : runs(runs_on_device({{0, 0, 0, 0}})) {}  // all rows are one run
  static Cost cost(const AttentionSize& s) { return SplitAttention::cost(s, 4 * head_dim); }
  void run(AttentionProblem& p, Stream& stream) {
    split.run(p, reinterpret_cast<const unsigned char*>(p.keys.data()),
              reinterpret_cast<const unsigned char*>(p.values.data()), std::size_t(p.size.rows) * split.row_bytes(),
              runs, stream);
  }

  SplitAttention split;
  DeviceMemory<kvcache::cuda::Run> runs;
};

}  // namespace ladder
