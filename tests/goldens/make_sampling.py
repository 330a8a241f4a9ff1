#!/usr/bin/env python3
"""Writes sampling.json: the probabilities that transformers' own logits processors give for logits and options.

Needs the PyPI packages torch and transformers (versions: README.md).
Usage: python make_sampling.py [output folder; this script's folder when absent]

Order, as in transformers' `generate`: repetition penalty, temperature, top k, top p, softmax.
An option that does nothing (penalty 1, temperature 1, top_k 0, top_p 1) leaves its step out.
"""

import itertools
import json
import os
import sys
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""

import torch
from transformers import (RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper,
                          TopPLogitsWarper)

# Three shapes: one clear winner; nearly flat; a long tail with negative numbers only (the penalty then multiplies).
LOGITS = [
    [2.0, -1.0, 0.5, 0.0, 3.25, -2.5, 1.0, 0.75, -0.25, 1.5, -3.0, 0.125],
    # Pairs 0.001 apart instead of equal: which of two equal logits is kept is nobody's rule.
    [0.1, 0.101, -0.1, -0.101, 0.2, 0.201, 0.3, 0.301, -0.3, -0.302, 0.05, 0.052, 0.15, 0.153, -0.15, -0.152,
     0.25, 0.254, -0.25, -0.253],
    [-0.5 - 0.07 * i - 0.013 * ((i * 17) % 40) for i in range(40)],
]
# Tokens seen before, some of them several times: the penalty counts a token once.
PREVIOUS = [[4, 0, 4, 1, 4, 5, 1], [7, 7, 7, 2, 19, 6, 5], [0, 39, 3, 0, 3, 3, 12]]

TEMPERATURES = [0.7, 1.0, 1.5]
TOP_KS = [0, 1, 5]
TOP_PS = [1.0, 0.9, 0.5, 0.05]
PENALTIES = [1.0, 1.3]

# No sum of probabilities may lie nearer to 1 - top_p than this, so that rounding cannot move the cut.
CLEARANCE = 1e-4


def probabilities(logits, previous, temperature, top_k, top_p, penalty):
    scores = torch.tensor([logits], dtype=torch.float64)
    ids = torch.tensor([previous])
    if penalty != 1.0:
        scores = RepetitionPenaltyLogitsProcessor(penalty)(ids, scores)
    if temperature != 1.0:
        scores = TemperatureLogitsWarper(temperature)(ids, scores)
    if top_k != 0:
        scores = TopKLogitsWarper(top_k)(ids, scores)
    if top_p != 1.0:
        tail = torch.sort(scores).values.softmax(-1).cumsum(-1)
        assert float((tail - (1.0 - top_p)).abs().min()) > CLEARANCE, "a sum lies on the cut: change the logits"
        scores = TopPLogitsWarper(top_p)(ids, scores)
    return [float(f"{p:.10g}") for p in scores.softmax(-1)[0].tolist()]


if __name__ == "__main__":
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    cases = []
    for logits, previous in zip(LOGITS, PREVIOUS):
        logits = [round(x, 6) for x in logits]
        for temperature, top_k, top_p, penalty in itertools.product(TEMPERATURES, TOP_KS, TOP_PS, PENALTIES):
            cases.append({"logits": logits, "previous": previous, "temperature": temperature, "top_k": top_k,
                          "top_p": top_p, "repetition_penalty": penalty,
                          "probabilities": probabilities(logits, previous, temperature, top_k, top_p, penalty)})
    path = out / "sampling.json"
    path.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
    print(f"{path.name}: {len(cases)} cases")
