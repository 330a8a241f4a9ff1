#!/usr/bin/env bash
# Uses the library as a stranger would: installed, as a sub-project, or with a compiler and nothing else.
#   tests/consumers/run.sh find_package|add_subdirectory|plain_compiler|cuda SOURCE BUILD EIGEN_FOLDER
set -euo pipefail
way=$1 source=$2 build=$3 eigen=$4
here=$source/tests/consumers work=$build/consumers/$way
rm -rf "$work" && mkdir -p "$work"
case $way in
  find_package)
    cmake --install "$build" --prefix "$work/prefix" >/dev/null
    cmake -S "$here/find_package" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/prefix" >/dev/null
    cmake --build "$work/build"
    "$work/build/consumer" "$work/prefix/share/kvcache/models/tiny"
    # The installed command finds its models without a path, from anywhere.
    if [ -x "$work/prefix/bin/kvcache" ]; then
      (cd / && env -u KVCACHE_MODELS "$work/prefix/bin/kvcache" generate --tokens 3)
    fi
    ;;
  add_subdirectory)
    cmake -S "$here/add_subdirectory" -B "$work/build" -DKVCACHE_SOURCE="$source" >/dev/null
    cmake --build "$work/build"
    "$work/build/consumer" "$source/models/tiny"
    ! ls "$work/build/kvcache/bin" 2>/dev/null || { echo "a guest builds no programs of its own"; exit 1; }
    ;;
  cuda)
    cmake --install "$build" --prefix "$work/prefix" >/dev/null
    cmake -S "$here/cuda" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/prefix" >/dev/null
    cmake --build "$work/build"
    "$work/build/consumer"
    ;;
  plain_compiler)
    for threads in "" -fopenmp; do
      ${CXX:-g++} -std=c++20 -I"$source/include" -I"$eigen" $threads "$here/plain.cpp" -o "$work/plain"
      "$work/plain"
    done
    ;;
esac
