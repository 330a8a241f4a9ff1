#!/usr/bin/env bash
# Installs what the tests need (Debian's packages), builds everything with g++ and assertions, and runs all tests.
#   --sanitized   then each header alone; all with clang and the address and undefined-behaviour sanitizers; and nvcc
#                 compiles the GPU's path
#   --all         then also what takes long: planted faults, fuzzing
set -euo pipefail
cd "$(dirname "$0")/.."
sanitized=no all=no
for argument in "$@"; do
  case $argument in
    --sanitized) sanitized=yes ;;
    --all) sanitized=yes all=yes ;;
    *) echo "scripts/test.sh: $argument is unknown; it takes --sanitized and --all" >&2; exit 2 ;;
  esac
done
. scripts/install_packages.sh
install_packages "${build_packages[@]}" "${gui_packages[@]}" clang doctest-dev libbenchmark-dev python3 xvfb xauth xdotool
install_packages "libclang-rt-$(clang++ -dumpversion | cut -d. -f1)-dev"  # sanitizers and libFuzzer of that clang
scripts/fetch_gui.sh
scripts/fetch_model.sh smollm2 || echo "== without SmolLM2: its tests will be skipped"

# build_and_test PRESET
build_and_test() {
  echo "== $1: configure and build"
  cmake --preset "$1" >/dev/null
  cmake --build --preset "$1"
  echo "== $1: test"
  OMP_NUM_THREADS=2 ctest --preset "$1" -j2 -LE slow
}
build_and_test dev
if [ $sanitized = yes ]; then
  ctest --preset dev -L slow
  build_and_test sanitize
fi

# The GPU's path ran above on the CPU: kernels in every order of threads, looked at for races, and as PTX, and with
# --sanitized under sanitizers. nvcc compiles it too, where it is; a device runs it, where there is one.
cases() { "build/$1/bin/$2" --count | sed -n 's/.*filters: //p'; }
ptx=build/dev/tests/cuda/ptx/kernels.ptx
interpreted="SKIPPED, for nvcc is not there: PTX of the kernels"
if [ -e $ptx ]; then interpreted="PTX of $(grep -c '\.entry' $ptx) kernels interpreted"; fi
under="not under sanitizers (--sanitized)"
if [ $sanitized = yes ]; then
  under="$(cases sanitize kvcache_cuda_tests) under address and undefined-behaviour sanitizers"
fi
echo "== cuda on the CPU: $(cases dev kvcache_cuda_tests) tests of kernels, small models and streams in every order," \
  "$(cases dev kvcache_cuda_models) of whole models; $under;" \
  "$(cases dev kvcache_cuda_races) and the ladder's kernels for races; $interpreted"
has_gpu=OFF
if command -v nvcc >/dev/null && nvidia-smi -L >/dev/null 2>&1; then has_gpu=ON; fi
if ! command -v nvcc >/dev/null; then
  echo "== cuda by nvcc: SKIPPED, for nvcc is not there; nothing was compiled for a device"
elif [ $sanitized = no ] && [ $has_gpu = OFF ]; then
  echo "== cuda by nvcc: SKIPPED without --sanitized, for there is no device; tests compiled its kernels to PTX"
else
  echo "== cuda by nvcc: every kernel for sm_80 and sm_90, and the tests that a device runs; warnings are errors"
  cmake --preset cuda -DCMAKE_CUDA_ARCHITECTURES="80-real;90-real" >/dev/null
  cmake --build --preset cuda --target kvcache_common kvcache_cuda_device_tests
fi
if [ $has_gpu = ON ]; then
  cmake --build --preset cuda
  ctest --preset cuda -R cuda
  echo "== cuda on a device: the same tests ran on $(nvidia-smi -L | head -1)"
else
  echo "== cuda on a device: SKIPPED, for there is none"
fi

if [ $all = yes ]; then
  echo "== planted faults: each must be noticed by a test"
  python3 tests/mutants.py
  echo "== fuzzing: broken files for every reader"
  tests/fuzz/run.sh 60
fi
