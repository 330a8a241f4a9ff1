#!/usr/bin/env bash
# Compiles every header alone, warnings as errors. (With clang++ all tests are compiled: the build with sanitizers.)
#   tests/headers_alone.sh INCLUDE_FOLDER EIGEN_FOLDER
set -euo pipefail
include=$1 eigen=$2
cd "$include"
one() {
  # The second include shows that a header can be included twice.
  printf '#include "%s"\n#include "%s"\n' "$1" "$1" |
    g++ -fopenmp -std=c++20 -fsyntax-only -Wall -Wextra -Werror -I. -isystem "$EIGEN" -x c++ - ||
    { echo "$1 does not compile alone"; exit 1; }
}
export -f one
export EIGEN=$eigen
find kvcache -name '*.hpp' | sort | xargs -P 2 -L 1 bash -c 'one "$@"' _
echo "$(find kvcache -name '*.hpp' | wc -l) headers compile alone"
