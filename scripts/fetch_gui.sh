#!/usr/bin/env bash
# Brings what the visualizer is built with into build/imgui: Dear ImGui 1.92 (docking branch), ImPlot and GLFW 3.4 as
# static libraries, from one Python wheel whose hash is checked. Nothing is installed. For x86-64 Linux; elsewhere
# install the CMake packages imgui, implot and glfw3 (vcpkg has them).
set -euo pipefail
cd "$(dirname "$0")/.."
prefix=build/imgui
[ -f $prefix/lib/libimgui.a ] && { echo "== $prefix is there already"; exit 0; }
if [ "$(uname -sm)" != "Linux x86_64" ]; then
  echo "scripts/fetch_gui.sh: made for x86-64 Linux; on $(uname -sm) install the CMake packages imgui, implot and glfw3." >&2
  exit 1
fi
. scripts/install_packages.sh
install_packages "${gui_packages[@]}"
echo "== fetching Dear ImGui, ImPlot and GLFW into $prefix"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The wheel says that it wants Python 3.12; only its C++ libraries are used, so any Python may fetch it.
python3 -m pip download -q --no-deps --python-version 3.12 --only-binary=:all: --require-hashes \
  -r scripts/gui_requirements.txt -d "$work"
python3 -m zipfile -e "$work"/*.whl "$work/wheel"
mkdir -p build
rm -rf $prefix
mv "$work"/wheel/*/purelib/imgui/install $prefix
rm -rf $prefix/lib/mesa
