// What tests of the GPU's path compare with, and nvcc cannot compile: packed formats and files, by the C++ compiler.
#pragma once

#include "kvcache/model/weights.hpp"

/// One of models/, read.
kvcache::Model<float> trained_model(const char* name);

/// What Eigen aligns its memory to there.
int alignment_on_cpu();

/// A row as the CPU's format of that name writes it.
std::size_t row_bytes_on_cpu(const char* format, int head_dim);
void pack_row_on_cpu(const char* format, const float* numbers, int head_dim, unsigned char* row);
