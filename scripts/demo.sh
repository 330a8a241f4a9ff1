#!/usr/bin/env bash
# From a fresh clone to the main job: installs what the build needs (Debian's packages), builds the command kvcache for
# this machine's processor, and lets the embedded model write a text with and without a KV cache.
# Arguments go to `kvcache race`: scripts/demo.sh --tokens 400
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/install_packages.sh
install_packages "${build_packages[@]}"

echo "== building build/release/bin/kvcache (about two minutes the first time)"
cmake --preset release -DKVCACHE_BUILD_TESTS=OFF -DKVCACHE_BUILD_EXAMPLES=OFF >build.log 2>&1 &&
  cmake --build --preset release >>build.log 2>&1 || { tail -40 build.log >&2; exit 1; }
rm -f build.log

echo "== kvcache race $*"
build/release/bin/kvcache race "$@"
