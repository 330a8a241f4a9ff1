#!/usr/bin/env bash
# Two files of one program, compiled with other -m flags, must each compute by its own: at -O0 nothing is inlined, so the
# linker takes one function of each name. Each file uses what the other does not, in both orders of linking.
#   tests/math/other_flags.sh INCLUDE EIGEN_FOLDER WORK_FOLDER
set -euo pipefail
include=$1 eigen=$2 work=$3
here=$(cd "$(dirname "$0")" && pwd)
for flag in avx2 fma f16c; do
  if ! grep -qw "$flag" /proc/cpuinfo 2>/dev/null; then
    echo "SKIPPED: this processor has no $flag, so the files would be compiled alike"
    exit 77
  fi
done
rm -rf "$work" && mkdir -p "$work"
cd "$work"
compile() { ${CXX:-g++} -std=c++20 -O0 -I"$include" -I"$eigen" -c "$here/other_flags.cpp" "$@"; }
wide="-mavx2 -mfma -mf16c"
compile -DPRODUCTS -o products.o
compile -DPRODUCTS $wide -o wide_products.o
compile -DSUMS -o sums.o
compile -DSUMS $wide -o wide_sums.o
compile -DFORMATS -o formats.o
compile -DFORMATS $wide -o wide_formats.o
compile -DMAIN -o main.o
link_and_run() {
  ${CXX:-g++} main.o "$@" -o program && ./program || { echo "linked as $*"; exit 1; }
}
link_and_run wide_products.o sums.o formats.o
link_and_run sums.o wide_products.o formats.o
link_and_run products.o wide_sums.o wide_formats.o
link_and_run wide_sums.o products.o wide_formats.o
# Whatever numbers come out: a processor without AVX2 must not be given what is compiled for one.
names() { nm "$1" | awk '{print $NF}' | grep -E 'kvcache6packed|kvcache.*packed_format|usable_in_place' | sort -u; }
names formats.o > names && test -s names
if comm -12 names <(names wide_formats.o) | grep .; then
  echo "these names mean something else in the other file"
  exit 1
fi
echo "each file computes by its own"
