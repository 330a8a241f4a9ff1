#!/usr/bin/env python3
"""Compares this library with llama.cpp and PyTorch: the same weights in the same format, the same threads, in turns.

    python3 bench/peers/run.py [--rounds 5] [--threads 2] [--formats Q4_1,F32] [--torch]

Wants a release build with -DKVCACHE_BUILD_BENCHMARKS=ON and scripts/fetch_model.sh smollm2. Installs the peers from PyPI
into build/peers (llama.cpp is compiled there: some minutes); --python says another environment that has them. Each
round starts every program once; a figure is the median over the rounds of the ratio within a round. Not part of the tests.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build/peers"
MODEL = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kvcache/smollm2.gguf"
FORMATS = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1"]
FIGURES = ["prefill_512", "decode_8", "decode_512", "decode_4096", "first_token"]
SECONDS = {"first_token", "cached", "uncached"}  # less is better


def environment(arguments):
    """The Python that has the peers; made if it is not there."""
    if arguments.python:
        return arguments.python
    python = FOLDER / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", FOLDER], check=True)
    wanted = ["llama-cpp-python", "gguf", "numpy"] + (["torch", "transformers"] if arguments.torch else [])
    subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True)
    return python


def model_in(python, name):
    """SmolLM2's weights in another format: what lies in the fetched file, made floats, then stored anew."""
    path = FOLDER / f"smollm2-{name}.gguf"
    if name == "Q4_1":
        return MODEL  # as fetched: its embedding is Q8_0
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        subprocess.run([python, Path(__file__).with_name("store_as.py"), MODEL, name, path], check=True)
    return path


def run(command, threads):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True,
                          env={**os.environ, "OMP_NUM_THREADS": str(threads)})
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare(title, ours, theirs, figures, arguments):
    """Runs both in turns and prints the median of the ratios, above 1 where this library is better."""
    rounds = []
    for number in range(arguments.rounds):
        first, second = (ours, theirs) if number % 2 == 0 else (theirs, ours)  # each goes first as often
        pair = [run(first, arguments.threads), run(second, arguments.threads)]
        rounds.append(pair if number % 2 == 0 else pair[::-1])
    print(f"\n{title}: {arguments.rounds} rounds, {arguments.threads} threads   MEASURED")
    for figure in figures:
        if figure not in rounds[0][1]:
            continue
        ratios = [b[figure] / a[figure] if figure in SECONDS else a[figure] / b[figure] for a, b in rounds]
        middle = [statistics.median(side[figure] for side in sides) for sides in zip(*rounds)]
        print(f"  {figure:12} {middle[0]:9.4g} against {middle[1]:9.4g}   ratio {statistics.median(ratios):.2f} "
              f"({min(ratios):.2f} to {max(ratios):.2f})", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--torch", action="store_true", help="gpt2-medium's shape against transformers, too")
    parser.add_argument("--python", help="a Python that has llama_cpp, gguf (and torch, transformers)")
    arguments = parser.parse_args()
    ours, python = ROOT / "build/release/bin/model_speed", environment(arguments)
    for name in arguments.formats.split(",") if arguments.formats else []:
        path = model_in(python, name)
        compare(f"SmolLM2-135M, {name}, against llama.cpp", [ours, path],
                [python, Path(__file__).with_name("llama_cpp_speed.py"), path, arguments.threads], FIGURES, arguments)
    if arguments.torch:
        compare("gpt2-medium's shape, F32, against transformers: seconds for 7 + 100 tokens",
                [ours, "shape:gpt2-medium", "--text"],
                [python, Path(__file__).with_name("transformers_speed.py"), arguments.threads], ["cached", "uncached"],
                arguments)


if __name__ == "__main__":
    main()
