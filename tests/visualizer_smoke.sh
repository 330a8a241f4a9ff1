#!/usr/bin/env bash
# The visualizer in a real window, on a display of its own: keys and clicks arrive, and it leaves when asked to.
#   tests/visualizer_smoke.sh PROGRAM FOLDER
set -euo pipefail
program=$1 folder=$2
for needed in Xvfb xdotool xauth; do
  command -v "$needed" >/dev/null || { echo "SKIPPED: $needed is missing"; exit 77; }
done
mkdir -p "$folder"
cd "$folder"
rm -rf kvcache-step-*.png config
mkdir -p config/kvcache
printf '[kvcache][view]\ndark=1\nsteps_per_second=7.000\n\n' >config/kvcache/visualizer.ini  # kept from a run before
export ASAN_OPTIONS=detect_leaks=0  # those of the graphics driver are not ours; the tests without a window look for ours
export XDG_CONFIG_HOME=$folder/config XDG_RUNTIME_DIR=$folder
cat >inside.sh <<'INSIDE'
set -euo pipefail
"$1" --repeats 1 --tokens 12 &
program=$!
trap 'kill $program 2>/dev/null || true' EXIT
window=$(timeout 60 xdotool search --sync --onlyvisible --name '^kvcache$' | head -1)
key() { xdotool key --window "$window" --delay 60 "$@"; sleep 0.3; }
xdotool mousemove --window "$window" 640 700 click 1
sleep 1
key space space          # from step 1 to step 3
key ctrl+s               # a picture of it
for _ in $(seq 200); do [ -s kvcache-step-3.png ] && break; sleep 0.2; done
[ -s kvcache-step-3.png ] || { echo "no picture of step 3; there are: $(ls)"; exit 1; }
key BackSpace
key ctrl+s
for _ in $(seq 200); do [ -s kvcache-step-2.png ] && break; sleep 0.2; done
[ -s kvcache-step-2.png ] || { echo "no picture of step 2; there are: $(ls)"; exit 1; }
key t                    # light, to be kept
sleep 1
cp Xvfb_screen0 screen.xwd  # what is on the screen: drawn by OpenGL
key ctrl+q || true  # the window may be gone before the keys are released
for _ in $(seq 200); do kill -0 $program 2>/dev/null || break; sleep 0.2; done
if kill -0 $program 2>/dev/null; then echo "it did not leave"; exit 1; fi
trap - EXIT
wait $program
INSIDE
timeout 150 xvfb-run -a -s "-screen 0 1920x1080x24 -noreset -fbdir $folder" bash inside.sh "$program"
for kept in dark=0 steps_per_second=7.000; do
  grep -q "^$kept" config/kvcache/visualizer.ini || { echo "$kept was not kept"; exit 1; }
done
python3 - <<'SCREEN'
# An XWD file: a header of big-endian words, the first is its size, the twentieth the number of colours of 12 bytes each.
import struct
data = open("screen.xwd", "rb").read()
words = struct.unpack(">25I", data[:100])
pixels = data[words[0] + 12 * words[19]:]
colours = {}
for i in range(0, len(pixels) - 3, 4 * 7):
    colours[pixels[i:i + 3]] = colours.get(pixels[i:i + 3], 0) + 1
newest = bytes([0x00, 0xD6, 0xF2])  # of the light theme, as blue, green, red
assert len(colours) > 100, f"the screen has {len(colours)} colours only"
assert colours.get(newest, 0) > 50, "the newest token's colour is not on the screen"
SCREEN
cmp -s kvcache-step-2.png kvcache-step-3.png && { echo "two steps look the same"; exit 1; }
echo "a window opened, stepped, saved two pictures, was seen on the screen, kept its settings and left"
