#!/usr/bin/env bash
# From a fresh clone to the main job: installs what the build needs (Debian's packages), builds the command for this
# machine's processor, and lets the embedded model write a text with and without a KV cache. Then it builds the visualizer
# and opens it on the fifth token; where there is no display, it writes a picture and an animation instead.
# Arguments go to `kvcache race`: scripts/demo.sh --tokens 400
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/install_packages.sh

# build TARGET...: quiet, but for what went wrong.
build() {
  cmake --preset release -DKVCACHE_BUILD_TESTS=OFF -DKVCACHE_BUILD_EXAMPLES=OFF -DKVCACHE_ENABLE_CUDA=$cuda \
    >build/demo.log 2>&1 &&
    cmake --build --preset release --target "$@" >>build/demo.log 2>&1 || { tail -40 build/demo.log >&2; exit 1; }
}
mkdir -p build
cuda=OFF # nvcc takes minutes: only where there is a GPU to use
if command -v nvcc >/dev/null && nvidia-smi -L >/dev/null 2>&1; then cuda=ON; fi

install_packages "${build_packages[@]}"
echo "== building build/release/bin/kvcache (a minute or two the first time)"
build kvcache_command
echo "== kvcache race $*"
build/release/bin/kvcache race "$@"

install_packages "${gui_packages[@]}"
scripts/fetch_gui.sh || { echo "== without the visualizer's libraries: that was all"; exit 0; }
echo "== building build/release/bin/kvcache-visualizer (a minute or two the first time)"
build kvcache_visualizer
visualizer=build/release/bin/kvcache-visualizer
if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
  echo "== $visualizer (Ctrl + Q leaves)"
  $visualizer
else
  echo "== no display: pictures of the visualizer instead of its window"
  $visualizer --export demo.png
  $visualizer --export demo.gif --step 5-24
  echo "Look at $PWD/demo.png and $PWD/demo.gif"
fi
