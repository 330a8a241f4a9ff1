#!/usr/bin/env bash
# From a fresh clone to the main job: installs what the build needs (Debian's packages), builds the programs for this
# machine's processor, and lets the embedded model write a text with and without a KV cache. Then it opens the visualizer
# on the fifth token; where there is no display, it writes a picture and an animation instead.
# Arguments go to `kvcache race`: scripts/demo.sh --tokens 400
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/install_packages.sh
install_packages "${build_packages[@]}" "${gui_packages[@]}"
scripts/fetch_gui.sh || echo "== without the visualizer's libraries: the race alone"

echo "== building build/release/bin/kvcache and kvcache-visualizer (about three minutes the first time)"
cmake --preset release -DKVCACHE_BUILD_TESTS=OFF -DKVCACHE_BUILD_EXAMPLES=OFF >build.log 2>&1 &&
  cmake --build --preset release >>build.log 2>&1 || { tail -40 build.log >&2; exit 1; }
rm -f build.log

echo "== kvcache race $*"
build/release/bin/kvcache race "$@"

visualizer=build/release/bin/kvcache-visualizer
[ -x $visualizer ] || exit 0
if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
  echo "== $visualizer (Ctrl + Q leaves)"
  $visualizer
else
  echo "== no display: pictures of the visualizer instead of its window"
  $visualizer --export demo.png
  $visualizer --export demo.gif --step 5-24
  echo "Look at $PWD/demo.png and $PWD/demo.gif"
fi
