#!/usr/bin/env bash
# Builds the fuzz targets with clang and runs each for some seconds. What it finds stays in build/fuzz/failures.
#   tests/fuzz/run.sh SECONDS [TARGET...]
# A file that is found belongs in tests/fuzz/found/TARGET, where tests/io/found_cases_test.cpp reads it ever after.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:?usage: tests/fuzz/run.sh SECONDS [TARGET...]}
shift
build=${KVCACHE_FUZZ_BUILD:-build/fuzz}
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then targets=(safetensors gguf config_json tokenizer_json chat_template utf8_stream); fi

# Real files beside those of found/: a fuzzer changes them bit by bit.
seeds_of() {
  local goldens=tests/goldens
  case $1 in
    safetensors) ls $goldens/models/*/*.safetensors ;;
    gguf) ls $goldens/gguf/*.gguf ;;
    config_json) ls $goldens/models/*/config.json $goldens/models/*/*.index.json ;;
    tokenizer_json) find $goldens/tokenizers \( -name '*.json' -o -name '*.txt' \) ! -name '*golden.json' ;;
    chat_template) ls $goldens/chat.json ;;
    utf8_stream) ls $goldens/tokenizers/*.golden.json ;;
  esac
}
# Names in $build/seeds/TARGET, so that files of the same name do not meet.
gather_seeds() {
  local file
  rm -rf "$build/seeds/$1"
  mkdir -p "$build/seeds/$1" "$build/corpus/$1" "$build/failures"
  for file in $(seeds_of "$1") tests/fuzz/found/"$1"/*; do cp "$file" "$build/seeds/$1/${file//\//_}"; done
}
options_of() {
  case $1 in
    gguf) echo -dict=tests/fuzz/gguf.dict -max_len=300000 ;;
    utf8_stream) echo -max_len=4096 ;;
    safetensors) echo -dict=tests/fuzz/json.dict -max_len=200000 ;;
    *) echo -dict=tests/fuzz/json.dict -max_len=100000 ;;
  esac
}

cmake --preset fuzz -B "$build" >/dev/null
cmake --build "$build" --target "${targets[@]/#/fuzz_}"
for target in "${targets[@]}"; do
  echo "== fuzz $target: $seconds seconds"
  gather_seeds "$target"
  # shellcheck disable=SC2046
  "$build/bin/fuzz_$target" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=2048 -malloc_limit_mb=512 \
    $(options_of "$target") -artifact_prefix="$build/failures/$target-" -print_final_stats=1 ${KVCACHE_FUZZ_OPTIONS:-} \
    "$build/corpus/$target" "$build/seeds/$target" >"$build/$target.log" 2>&1 ||
    { tail -40 "$build/$target.log"; echo "fuzz $target failed; its input is in $build/failures"; exit 1; }
  sed -n 's/stat::number_of_executed_units: */executions: /p; s/stat::peak_rss_mb: */MiB: /p' "$build/$target.log"
  grep -o 'cov: [0-9]* ft: [0-9]* corp: [0-9]*' "$build/$target.log" | tail -1
done
