// Every kernel of the library, for each type it is used with: nvcc makes PTX of this file, and ptx_test.cpp runs it.
#include "kvcache/cuda/attention.cuh"
#include "kvcache/cuda/kernels/activate.cuh"
#include "kvcache/cuda/kernels/append.cuh"
#include "kvcache/cuda/kernels/argmax.cuh"
#include "kvcache/cuda/kernels/embed.cuh"
#include "kvcache/cuda/kernels/norm.cuh"
#include "kvcache/cuda/kernels/project.cuh"

namespace kvcache::cuda {

template __global__ void rms_norm_rows<256>(const float*, const float*, float*, int, int, float);
template __global__ void layer_norm_rows<256>(const float*, const float*, const float*, float*, int, float);
template __global__ void turn_heads<false>(const float*, float*, const float*, int, int, int, int);
template __global__ void turn_heads<true>(const float*, float*, const float*, int, int, int, int);
template __global__ void silu_gated_rows<256>(const float*, float*, int);
template __global__ void gelu_tanh_rows<256>(const float*, float*, int);
template __global__ void find_largest<256>(const float*, int, int*);
template __global__ void merge_splits<128>(const float*, const float*, int, int, float*);

#define OF_WEIGHT(Weight)                                                                                   \
  template __global__ void embed_tokens<Weight>(const int*, const Weight*, const float*, int, int, float*); \
  template __global__ void multiply_few<Weight, 1>(Product<Weight>);                                        \
  template __global__ void multiply_few<Weight, 4>(Product<Weight>);                                        \
  template __global__ void multiply_tiles<Weight, 64, 64, 16>(Product<Weight>);                             \
  template __global__ void multiply_tiles<Weight, 32, 32, 32>(Product<Weight>);
OF_WEIGHT(float)
OF_WEIGHT(__half)

#define OF_GROUP(Row, size, group)                                                                                   \
  template __global__ void attend_split<Row, size, group>(const float*, const float*, Table, AttentionShape, float*, \
                                                          float*);
#define OF_SIZE(Row, size)                                                                                           \
  OF_GROUP(Row, size, 1)                                                                                             \
  OF_GROUP(Row, size, 4)                                                                                             \
  template __global__ void attend_tiles<Row, size>(const float*, const float*, int, Table, AttentionShape, int, int, \
                                                   float*);
#define OF_ROW(Row)                                                                                   \
  template __global__ void write_rows<Row>(Side, Side, int, int, std::size_t);                        \
  OF_SIZE(Row, 1) OF_SIZE(Row, 2) OF_SIZE(Row, 4) OF_SIZE(Row, 8)
OF_ROW(F32Row)
OF_ROW(F16Row)
OF_ROW(Int8Row)

}  // namespace kvcache::cuda
