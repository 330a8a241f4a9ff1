#!/usr/bin/env bash
# Draws the pictures of docs/ anew, after scripts/demo.sh has built the program.
set -euo pipefail
cd "$(dirname "$0")/.."
draw=build/release/bin/kvcache-visualizer
mkdir -p docs/pictures
$draw --tokens 60 --repeats 5 --export docs/pictures/run.safetensors
trap 'rm -f docs/pictures/run.safetensors' EXIT
again() { $draw --timeline docs/pictures/run.safetensors "$@" >/dev/null; }
again --export docs/pictures/window.png --step 5
for panel in narration tokens work cache-map inside attention timing memory proof; do
  again --export docs/pictures/$panel.png --panel $panel --step 20 --size 960x540
done
again --export docs/pictures/filling.gif --step 5-24 --size 1120x630
ls -l docs/pictures
