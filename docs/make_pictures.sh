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
map() { $draw --prompt "To be, or not" --tokens 24 --repeats 0 --size 1120x420 "$@" >/dev/null; }
map --panel cache-map --cache window:sinks=4,recent=12 --step 22 --export docs/pictures/window-of-tokens.png
map --panel cache-map --cache paged:page=4,pages=10 --fork --step 8 --export docs/pictures/shared-pages.png
map --panel inside --cache growing:format=q4_0 --errors --step 22 --export docs/pictures/errors.png
$draw --prompt "To be, or not" --tokens 24 --repeats 0 --size 1120x560 --panel inside --select 13 --step 22 \
  --cache growing:format=kivi,bits=2,group=8,residual=4 --export docs/pictures/codes.png >/dev/null
$draw --tokens 24 --repeats 0 --panel attention --step 12 --size 960x540 --export docs/pictures/attention_of_12.png >/dev/null
$draw --prompt "To be, or not" --tokens 60 --repeats 0 --size 1120x420 --panel cache-map --cache heavy-hitter:budget=16 \
  --step 40 --export docs/pictures/heavy-hitters.png >/dev/null
g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/23_your_cache_in_the_visualizer.cpp -lpcre2-8 -o docs/pictures/own
docs/pictures/own docs/pictures/own.safetensors
$draw --timeline docs/pictures/own.safetensors --panel cache-map --step 40 --size 1120x420 \
  --export docs/pictures/own-policy.png >/dev/null
rm docs/pictures/own docs/pictures/own.safetensors
python3 docs/draw_two_layers.py
build/release/bin/kvcache plot docs/pictures/gain.csv docs/pictures/gain.svg --x "tokens written" \
  --y "times fewer" --title "Tokens through the layers without the cache, for one with it · COMPUTED"
again --export docs/pictures/filling.gif --step 5-24 --size 1120x630
ls -l docs/pictures
