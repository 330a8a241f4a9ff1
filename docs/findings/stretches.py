#!/usr/bin/env python3
"""The loss of `tiny` over each stretch of 4,000 tokens of the held-out text, read by itself from an empty cache:
python3 docs/findings/stretches.py. What it prints stands in docs/08_findings.md, beside the loss in one long text."""

import json
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KVCACHE = ROOT / "build/release/bin/kvcache"


def token_count(text):
    done = subprocess.run([KVCACHE, "tokenize", "--model", "tiny", "--json-lines", "/dev/stdin"], text=True,
                          input=json.dumps(text) + "\n", capture_output=True, check=True)
    return len(json.loads(done.stdout.splitlines()[0]))


def where(text, tokens):
    """The length of the shortest beginning with so many tokens."""
    low, high = 0, len(text)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if token_count(text[:middle]) < tokens else (low, middle)
    return low


if __name__ == "__main__":
    text = (ROOT / "models/held_out.txt").read_text()
    with tempfile.TemporaryDirectory() as folder:
        part, result = Path(folder) / "part.txt", Path(folder) / "part.json"
        for first in range(0, 20_000, 4_000):
            part.write_text(text[where(text, first) if first else 0:])
            subprocess.run([KVCACHE, "quality", "--model", "tiny", "--text", part, "--tokens", "4000", "--cache",
                            "window:sinks=4,recent=252,positions=shifted", "--json", result],
                           check=True, capture_output=True)
            print(f"{first:>6} {json.loads(result.read_text())['runs'][0]['mean_nll']:.3f}")
