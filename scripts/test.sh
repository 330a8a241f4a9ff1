#!/usr/bin/env bash
# Installs what the tests need (Debian's packages), builds everything and runs all tests: a build with g++ and assertions,
# then one with clang and the address and undefined-behaviour sanitizers. --all adds the long ones: planted faults, fuzzing.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/install_packages.sh
install_packages "${build_packages[@]}" "${gui_packages[@]}" clang libomp-dev doctest-dev libbenchmark-dev python3 \
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
if [ "${1:-}" = "--all" ]; then
  echo "== planted faults: each must be noticed by a test"
  python3 tests/mutants.py
  echo "== fuzzing: broken files for every reader"
  tests/fuzz/run.sh 60
fi
