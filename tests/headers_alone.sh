#!/usr/bin/env bash
# Compiles every header alone, warnings as errors: here those that no test includes before anything else, for the others
# are compiled so with the tests. (With clang++ all tests are compiled: the build with sanitizers.)
#   tests/headers_alone.sh INCLUDE_FOLDER EIGEN_FOLDER
set -euo pipefail
include=$1 eigen=$2
tests=$(cd "$(dirname "$0")" && pwd)
cd "$include"
one() {
  # The second include shows that a header can be included twice.
  printf '#include "%s"\n#include "%s"\n' "$1" "$1" |
    g++ -std=c++20 -fsyntax-only -Wall -Wextra -Werror -I. -isystem "$EIGEN" -x c++ - ||
    { echo "$1 does not compile alone"; exit 1; }
}
export -f one
export EIGEN=$eigen
first_in_a_test=$(grep -rm1 -h '^#include' "$tests" --include='*_test.cpp' | sed -n 's/^#include "\(kvcache.*\)"/\1/p' | sort -u)
alone=$(comm -23 <(find kvcache -name '*.hpp' | sort) <(echo "$first_in_a_test"))
echo "$alone" | xargs -P 2 -L 1 bash -c 'one "$@"' _
echo "$(wc -l <<< "$alone") headers compile alone; $(find kvcache -name '*.hpp' | wc -l) are there"
