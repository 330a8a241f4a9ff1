// Rung 6: rows of int8, a scale each. Memory is the limit, so a quarter of the bytes is near a quarter of the time; the
// numbers are unpacked in registers, and what is lost is half a step of 127 to the row's largest.
#pragma once

#include "attention_4_split.cuh"
#include "kvcache/cuda/kernels/append.cuh"

namespace ladder {

struct AttentionInt8 {
  static constexpr const char* name = "6 rows of int8";
  static constexpr double tolerance = 2e-6;  // of the numbers as they were rounded
  explicit AttentionInt8(const AttentionProblem& p)
      : keys(written(p, p.keys)), values(written(p, p.values)), runs(runs_on_device({{0, 0, 0, 0}})) {}
  static Cost cost(const AttentionSize& s) {
    return SplitAttention::cost(s, kvcache::cuda::Int8Row::row_bytes(head_dim));
  }
  void run(AttentionProblem& p, Stream& stream) {
    split.run(p, keys.data(), values.data(), std::size_t(p.size.rows) * split.row_bytes(), runs, stream);
  }

 private:
  DeviceMemory<unsigned char> written(const AttentionProblem& p, const DeviceMemory<float>& rows) {
    const std::size_t head_bytes = std::size_t(p.size.rows) * split.row_bytes();
    DeviceMemory<unsigned char> side(std::size_t(p.size.kv_heads) * head_bytes);
    Stream stream;
    for (int head = 0; head < p.size.kv_heads; ++head)  // write_rows takes rows token by token; here they lie by heads
      stream.launch(kvcache::cuda::write_rows<kvcache::cuda::Int8Row>, dim3(unsigned(p.size.rows)), dim3(32), 0,
                    kvcache::cuda::Side{rows.data() + std::size_t(head) * std::size_t(p.size.rows) * head_dim, head_dim,
                                        side.data() + std::size_t(head) * head_bytes},
                    kvcache::cuda::Side{}, head_dim, 0, head_bytes);
    stream.finish();
    return side;
  }

  SplitAttention split{kvcache::cuda::DeviceFormat::int8};
  DeviceMemory<unsigned char> keys, values;  // [kv_heads, rows, row_bytes]
  DeviceMemory<kvcache::cuda::Run> runs;
};

}  // namespace ladder
