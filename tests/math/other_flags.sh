#!/usr/bin/env bash
# Two files of one program, compiled with other -m flags, must each compute by its own: at -O0 nothing is inlined, so the
# linker takes one function of each name. Both orders of linking.
#   tests/math/other_flags.sh INCLUDE EIGEN_FOLDER WORK_FOLDER
set -euo pipefail
include=$1 eigen=$2 work=$3
here=$(cd "$(dirname "$0")" && pwd)
if ! grep -qw avx2 /proc/cpuinfo 2>/dev/null || ! grep -qw fma /proc/cpuinfo || ! grep -qw f16c /proc/cpuinfo; then
  echo "SKIPPED: this processor has no AVX2, FMA and F16C, so both files would be compiled alike"
  exit 77
fi
rm -rf "$work" && mkdir -p "$work"
compile() { ${CXX:-g++} -std=c++20 -O0 -I"$include" -I"$eigen" -c "$here/other_flags.cpp" "$@"; }
compile -DHERE=plain -o "$work/plain.o" &
compile -DHERE=wide -mavx2 -mfma -mf16c -o "$work/wide.o"
wait $!
compile -DMAIN -o "$work/main.o"
for order in "plain.o wide.o" "wide.o plain.o"; do
  (cd "$work" && ${CXX:-g++} main.o $order -o program && ./program)
done
