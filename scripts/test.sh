#!/usr/bin/env bash
# Installs what the tests need (Debian's packages), builds everything and runs all tests: a build with assertions, then
# one under the address and undefined-behaviour sanitizers. --all adds the long ones: the visualizer under sanitizers,
# planted faults, fuzzing.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/install_packages.sh
install_packages "${build_packages[@]}" "${gui_packages[@]}" clang libomp-dev doctest-dev libbenchmark-dev python3 \
  xvfb xauth xdotool
scripts/fetch_gui.sh
scripts/fetch_model.sh smollm2 || echo "== without SmolLM2: its tests will be skipped"

for preset in dev sanitize; do
  echo "== $preset: configure and build"
  visualizer=ON
  if [ "$preset" = sanitize ] && [ "${1:-}" != --all ]; then visualizer=OFF; fi  # to stay within half an hour
  cmake --preset "$preset" -DKVCACHE_BUILD_VISUALIZER=$visualizer >/dev/null
  cmake --build --preset "$preset"
  echo "== $preset: test"
  OMP_NUM_THREADS=2 ctest --preset "$preset" -j2
done
if [ "${1:-}" = "--all" ]; then
  echo "== planted faults: each must be noticed by a test"
  python3 tests/mutants.py
  echo "== fuzzing: broken files for every reader"
  install_packages "libclang-rt-$(clang++ -dumpversion | cut -d. -f1)-dev"  # sanitizers and libFuzzer of that clang
  tests/fuzz/run.sh 60
fi
