#!/usr/bin/env bash
# nvcc makes PTX of every kernel, and the program runs it beside the kernels' source.
#   tests/cuda/ptx_test.sh PROGRAM NVCC INCLUDE EIGEN FOLDER
set -euo pipefail
program=$1 nvcc=$2 include=$3 eigen=$4 folder=$5
command -v "$nvcc" >/dev/null || { echo "SKIPPED: nvcc is missing, which makes the PTX"; exit 77; }
mkdir -p "$folder"
# -fmad=false: a * b + c in two steps, as the source says, or the last bits would differ.
"$nvcc" -std=c++20 -ptx -fmad=false -arch=sm_80 -I"$include" -isystem "$eigen" \
  "$(dirname "$0")/ptx_kernels.cu" -o "$folder/kernels.ptx"
cat "$include"/kvcache/cuda/kernels/*.cuh | tr '\n' ' ' |
  grep -oP '__global__ void (__launch_bounds__\(([^()]|\([^()]*\))*\) +)?\K\w+' |
  while read -r kernel; do
    grep -q "\.entry.*[0-9]${kernel}I" "$folder/kernels.ptx" ||
      { echo "$kernel is not in tests/cuda/ptx_kernels.cu; instantiate it there, and add a case to ptx_test.cpp"; exit 1; }
  done
"$program" "$folder/kernels.ptx"
