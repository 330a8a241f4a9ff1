#!/usr/bin/env bash
# Measures what docs/08_findings.md tells, anew: about three quarters of an hour on 2 idle cores. Needs scripts/demo.sh (the
# command) and scripts/fetch_model.sh smollm2. Writes the JSON files beside this script; draw.py makes tables and pictures.
#   docs/findings/run.sh [NAME...]      sinks, sides, bits, budgets, heads, long; all of them without a name
set -euo pipefail
cd "$(dirname "$0")/../.."
kvcache=${KVCACHE:-build/release/bin/kvcache}
tokens=${TOKENS:-2048}
measure() {  # name, model, caches...
  local name=$1 model=$2 caches=()
  shift 2
  for cache in "$@"; do caches+=(--cache "$cache"); done
  "$kvcache" quality --model "$model" --text models/held_out.txt --tokens "$tokens" "${caches[@]}" \
    --json "docs/findings/$name.json"
}
names=("$@")
if [ ${#names[@]} -eq 0 ]; then names=(sinks sides bits budgets heads long); fi
for name in "${names[@]}"; do
  caches=(growing)
  case $name in
    sinks) for s in 0 1 2 4 8; do caches+=("window:sinks=$s,recent=$((256 - s))"); done ;;
    sides) for bits in 4 2; do for keys in channel token; do for values in token channel; do
        caches+=("growing:format=kivi,bits=$bits,keys-per=$keys,values-per=$values"); done; done; done ;;
    bits) for keys in 8 4 2; do for values in 8 4 2; do
        caches+=("growing:format=kivi,key-bits=$keys,value-bits=$values"); done; done ;;
    budgets) for budget in 64 128 256 512; do
        caches+=("window:sinks=0,recent=$budget" "window:sinks=4,recent=$((budget - 4))"
          "heavy-hitter:budget=$budget" "random:budget=$budget"); done ;;
    heads) for model in tiny-mha tiny tiny-mqa; do tokens=1024 measure "heads-$model" $model growing; done; continue ;;
    long) for n in 4000 8000 12000 16000 20000; do
        tokens=$n measure "long-$n" tiny window:sinks=4,recent=252,positions=shifted; done; continue ;;
    *) echo "$name is not one of sinks, sides, bits, budgets, heads, long"; exit 1 ;;
  esac
  measure "$name" smollm2 "${caches[@]}"
done
