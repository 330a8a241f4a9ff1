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
rm -f kvcache-step-*.png
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
for _ in $(seq 50); do [ -s kvcache-step-3.png ] && break; sleep 0.2; done
[ -s kvcache-step-3.png ] || { echo "no picture of step 3; there are: $(ls)"; exit 1; }
key BackSpace
key ctrl+s
for _ in $(seq 50); do [ -s kvcache-step-2.png ] && break; sleep 0.2; done
[ -s kvcache-step-2.png ] || { echo "no picture of step 2; there are: $(ls)"; exit 1; }
key ctrl+q
for _ in $(seq 50); do kill -0 $program 2>/dev/null || break; sleep 0.2; done
if kill -0 $program 2>/dev/null; then echo "it did not leave"; exit 1; fi
trap - EXIT
wait $program
INSIDE
timeout 150 xvfb-run -a -s "-screen 0 1920x1080x24 -noreset" bash inside.sh "$program"
[ -s config/kvcache/visualizer.ini ] || { echo "no settings were kept"; exit 1; }
cmp -s kvcache-step-2.png kvcache-step-3.png && { echo "two steps look the same"; exit 1; }
echo "a window opened, stepped, saved two pictures and left"
