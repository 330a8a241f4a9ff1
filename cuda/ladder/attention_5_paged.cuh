// Rung 5: rows lie in pages of 16, anywhere, and a table says where. Nothing is faster for it; the rung shows what
// pages cost: a look at the table for each row, which lies in the cache nearly always. What they buy is memory: texts
// grow and share pages without being moved.
#pragma once

#include "attention_4_split.cuh"

namespace ladder {

struct AttentionPaged {
  static constexpr const char* name = "5 rows in pages, found by a table";
  static constexpr double tolerance = 2e-6;
  static constexpr int page = 16;

  explicit AttentionPaged(const AttentionProblem& p)
      : pages((p.size.rows + page - 1) / page), keys(scattered(p, p.host_keys)), values(scattered(p, p.host_values)) {
    std::vector<kvcache::cuda::Run> all;
    for (int i = 0; i < pages; ++i) all.push_back({i * page, place(i) * page, i * page, 0});
    runs = runs_on_device(all);
  }
  static Cost cost(const AttentionSize& s) {
    Cost cost = SplitAttention::cost(s, 4 * head_dim);
    cost.bytes += double(s.rows) / page * sizeof(kvcache::cuda::Run) * s.kv_heads;
    return cost;
  }
  void run(AttentionProblem& p, Stream& stream) {
    split.run(p, reinterpret_cast<const unsigned char*>(keys.data()),
              reinterpret_cast<const unsigned char*>(values.data()), std::size_t(pages * page) * split.row_bytes(),
              runs, stream);
  }

 private:
  /// Where page i lies: the last first, so that no page follows the one before it.
  int place(int i) const { return pages - 1 - i; }
  DeviceMemory<float> scattered(const AttentionProblem& p, const std::vector<float>& rows) const {
    const std::size_t slots = std::size_t(pages) * page, count = std::size_t(p.size.rows);
    std::vector<float> moved(std::size_t(p.size.kv_heads) * slots * head_dim);
    for (std::size_t head = 0; head < std::size_t(p.size.kv_heads); ++head)
      for (std::size_t row = 0; row < count; ++row)
        std::copy_n(&rows[(head * count + row) * head_dim], head_dim,
                    &moved[(head * slots + std::size_t(place(int(row) / page)) * page + row % page) * head_dim]);
    return on_device(moved);
  }

  int pages;
  SplitAttention split;
  DeviceMemory<float> keys, values;  // [kv_heads, pages * page, head_dim]
  DeviceMemory<kvcache::cuda::Run> runs;
};

}  // namespace ladder
