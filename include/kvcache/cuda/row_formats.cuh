// How one row, the key or value of one token for one head, is written in device memory: the bytes are those of the
// CPU's formats of the same names.
#pragma once

#include <cmath>

#include "kvcache/cuda/device_block.hpp"
#include "kvcache/cuda/kernels/warp.cuh"

namespace kvcache::cuda {

/// Four neighbouring numbers: the most that one load brings in f32.
struct Four {
  float x, y, z, w;
};
__device__ inline float dot(const Four& a, const Four& b) { return a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w; }
__device__ inline Four four_floats(const float* from) {
  const float4 f = *reinterpret_cast<const float4*>(from);
  return {f.x, f.y, f.z, f.w};
}
__device__ inline Four four_halves(const __half* from) {
  const __half2 low = reinterpret_cast<const __half2*>(from)[0], high = reinterpret_cast<const __half2*>(from)[1];
  return {__half2float(low.x), __half2float(low.y), __half2float(high.x), __half2float(high.y)};
}

/// Each format has its bytes, a Reader, and `write`, which all lanes of a warp call together. A Reader gives four numbers
/// from the d-th on (d a multiple of 4), in units of its `unit`: who adds many of them up multiplies the sum once.
struct F32Row {
  static constexpr DeviceFormat format = DeviceFormat::f32;
  __host__ __device__ static constexpr std::size_t row_bytes(int head_dim) { return std::size_t(head_dim) * 4; }
  struct Reader {
    static constexpr float unit = 1;
    const float* numbers;
    __device__ Reader(const unsigned char* row, int) : numbers(reinterpret_cast<const float*>(row)) {}
    __device__ Four four(int d) const { return four_floats(numbers + d); }
  };
  __device__ static void write(const float* numbers, int head_dim, unsigned char* row) {
    for (int d = lane(); d < head_dim; d += 32) reinterpret_cast<float*>(row)[d] = numbers[d];
  }
};
struct F16Row {
  static constexpr DeviceFormat format = DeviceFormat::f16;
  __host__ __device__ static constexpr std::size_t row_bytes(int head_dim) { return std::size_t(head_dim) * 2; }
  struct Reader {
    static constexpr float unit = 1;
    const __half* numbers;
    __device__ Reader(const unsigned char* row, int) : numbers(reinterpret_cast<const __half*>(row)) {}
    __device__ Four four(int d) const { return four_halves(numbers + d); }
  };
  __device__ static void write(const float* numbers, int head_dim, unsigned char* row) {
    for (int d = lane(); d < head_dim; d += 32) reinterpret_cast<__half*>(row)[d] = __float2half_rn(numbers[d]);
  }
};
/// The numbers as whole ones from -127 to 127, then the scale of the row.
struct Int8Row {
  static constexpr DeviceFormat format = DeviceFormat::int8;
  __host__ __device__ static constexpr std::size_t row_bytes(int head_dim) { return std::size_t(head_dim) + 4; }
  struct Reader {
    const unsigned* codes;  // four of them in each
    float unit;
    __device__ Reader(const unsigned char* row, int head_dim)
        : codes(reinterpret_cast<const unsigned*>(row)), unit(*reinterpret_cast<const float*>(row + head_dim)) {}
    __device__ Four four(int d) const {
      const unsigned c = codes[d / 4];
      const auto code = [&](int i) { return static_cast<float>(static_cast<signed char>(c >> (8 * i))); };
      return {code(0), code(1), code(2), code(3)};
    }
  };
  __device__ static void write(const float* numbers, int head_dim, unsigned char* row) {
    float largest = 0, spoilt = 0;  // NaN if a number is NaN or infinite: then all is read as NaN
    for (int d = lane(); d < head_dim; d += 32)
      largest = fmaxf(largest, fabsf(numbers[d])), spoilt += numbers[d] * 0.0f;
    largest = warp_max(largest), spoilt = warp_sum(spoilt);
    const float scale = spoilt == 0 ? largest / 127 : NAN, inverse = scale > 0 ? 1 / scale : 0;
    for (int d = lane(); d < head_dim; d += 32)
      row[d] = static_cast<unsigned char>(static_cast<signed char>(__float2int_rn(numbers[d] * inverse)));
    if (lane() == 0) *reinterpret_cast<float*>(row + head_dim) = scale;
  }
};

/// Calls what(F32Row{}), what(F16Row{}) or what(Int8Row{}): a kernel is compiled for each format.
template <class What>
void for_format(DeviceFormat format, What&& what) {
  if (format == DeviceFormat::f32) return what(F32Row{});
  if (format == DeviceFormat::f16) return what(F16Row{});
  what(Int8Row{});
}

inline std::size_t row_bytes(DeviceFormat format, int head_dim) {
  std::size_t bytes = 0;
  for_format(format, [&](auto row) { bytes = row.row_bytes(head_dim); });
  return bytes;
}

}  // namespace kvcache::cuda
