#!/usr/bin/env bash
# Compiles every header alone, with g++ (with OpenMP) and clang++ (without), warnings as errors.
#   tests/headers_alone.sh INCLUDE_FOLDER EIGEN_FOLDER
set -euo pipefail
include=$1 eigen=$2
cd "$include"
one() {
  compiler=$1 header=$2
  flags="-std=c++20 -fsyntax-only -Wall -Wextra -Werror -I. -isystem $EIGEN -x c++"
  if [ "$compiler" = g++ ]; then flags="-fopenmp $flags"; fi
  # The second include shows that a header can be included twice.
  printf '#include "%s"\n#include "%s"\n' "$header" "$header" | $compiler $flags - ||
    { echo "$header does not compile alone with $compiler"; exit 1; }
}
export -f one
export EIGEN=$eigen
compilers="g++"
if command -v clang++ >/dev/null; then compilers="g++ clang++"; else echo "clang++ is missing: g++ alone"; fi
for compiler in $compilers; do
  find kvcache -name '*.hpp' | sort | sed "s/^/$compiler /"
done | xargs -P 2 -L 1 bash -c 'one "$@"' _
echo "$(find kvcache -name '*.hpp' | wc -l) headers compile alone with: $compilers"
