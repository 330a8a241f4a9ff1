#!/usr/bin/env python3
"""Writes quantised.json: numbers, and the bytes that GGUF's own Python package writes for them in each format.

Needs the PyPI packages gguf and numpy (versions: README.md). Usage: python make_quantised.py
"""

import json
from pathlib import Path

import gguf
import numpy as np

random = np.random.default_rng(7)
numbers = (random.standard_normal((40, 32)) * 2.0 ** random.integers(-8, 8, (40, 1))).astype(np.float32)
numbers[0] = 0
numbers[1] = 0.25
numbers[2, :] = np.arange(32) - 16
formats = {name: getattr(gguf.GGMLQuantizationType, name) for name in ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1"]}
data = {"numbers": [float(x) for x in numbers.ravel()],
        "bytes": {name: gguf.quants.quantize(numbers, kind).view(np.uint8).ravel().tolist()
                  for name, kind in formats.items()}}
Path(__file__).with_name("quantised.json").write_text(json.dumps(data) + "\n")
