#include "cuda/cpu_side.hpp"

#include "kvcache/cache/rows/row_format.hpp"
#include "kvcache/io.hpp"

kvcache::Model<float> trained_model(const char* name) {
  return kvcache::load_model<float>(std::filesystem::path(KVCACHE_MODELS) / name);
}

int alignment_on_cpu() { return EIGEN_DEFAULT_ALIGN_BYTES; }

std::size_t row_bytes_on_cpu(const char* format, int head_dim) {
  return kvcache::find_row_format(format).row_bytes(head_dim);
}

void pack_row_on_cpu(const char* format, const float* numbers, int head_dim, unsigned char* row) {
  kvcache::find_row_format(format).pack(numbers, head_dim, reinterpret_cast<std::byte*>(row));
}
