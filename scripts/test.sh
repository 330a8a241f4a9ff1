#!/usr/bin/env bash
# Installs what the tests need (Debian's packages), builds everything and runs all tests: a build with g++ and assertions,
# then one with clang and the address and undefined-behaviour sanitizers. --all adds the long ones: planted faults, fuzzing.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/install_packages.sh
install_packages "${build_packages[@]}" "${gui_packages[@]}" clang doctest-dev libbenchmark-dev python3 \
  xvfb xauth xdotool
install_packages "libclang-rt-$(clang++ -dumpversion | cut -d. -f1)-dev"  # sanitizers and libFuzzer of that clang
scripts/fetch_gui.sh
scripts/fetch_model.sh smollm2 || echo "== without SmolLM2: its tests will be skipped"

for preset in dev sanitize; do
  echo "== $preset: configure and build"
  cmake --preset "$preset" >/dev/null
  cmake --build --preset "$preset"
  echo "== $preset: test"
  OMP_NUM_THREADS=2 ctest --preset "$preset" -j2
done

# The GPU's path ran above on the CPU: kernels in every order of threads, under sanitizers, looked at for races, and as PTX.
# nvcc compiles it too, where it is; a device runs it, where there is one.
cases() { "build/$1/bin/$2" --count | sed -n 's/.*filters: //p'; }
ptx=build/dev/tests/cuda/ptx/kernels.ptx
interpreted="SKIPPED, for nvcc is not there: PTX of the kernels"
if [ -e $ptx ]; then interpreted="PTX of $(grep -c '\.entry' $ptx) kernels interpreted"; fi
echo "== cuda on the CPU: $(cases dev kvcache_cuda_tests) tests of kernels, small models and streams in every order," \
  "$(cases dev kvcache_cuda_models) of whole models; $(cases sanitize kvcache_cuda_tests) under address and" \
  "undefined-behaviour sanitizers; $(cases dev kvcache_cuda_races) and the ladder's kernels for races; $interpreted"
if command -v nvcc >/dev/null; then
  has_gpu=OFF
  if nvidia-smi -L >/dev/null 2>&1; then has_gpu=ON; fi
  echo "== cuda by nvcc: every kernel for sm_80 and sm_90, warnings are errors"
  cmake --preset cuda -DCMAKE_CUDA_ARCHITECTURES="80-real;90-real" -DKVCACHE_BUILD_TESTS=$has_gpu >/dev/null
  cmake --build --preset cuda --target kvcache_common
else
  has_gpu=OFF
  echo "== cuda by nvcc: SKIPPED, for nvcc is not there; nothing was compiled for a device"
fi
if [ $has_gpu = ON ]; then
  cmake --build --preset cuda
  ctest --preset cuda -R cuda
  echo "== cuda on a device: the same tests ran on $(nvidia-smi -L | head -1)"
else
  echo "== cuda on a device: SKIPPED, for there is none"
fi

if [ "${1:-}" = "--all" ]; then
  echo "== planted faults: each must be noticed by a test"
  python3 tests/mutants.py
  echo "== fuzzing: broken files for every reader"
  tests/fuzz/run.sh 60
fi
