#!/usr/bin/env python3
"""Writes windows.json: what small models of models/ answer when attention is masked as a window with sinks would be.

Needs the PyPI packages torch and transformers (versions: README.md). Usage: python make_windows.py

One forward pass over the whole text with a mask: nothing is ever forgotten there. A cache that forgets must answer the
same, layer after layer.
"""

import json
import os
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from transformers import AutoModelForCausalLM

HERE = Path(__file__).resolve().parent
TOKENS, KEPT = 44, range(4, 44, 6)  # positions whose logits are written down
WINDOWS = [(0, 6), (1, 5), (3, 9), (4, 1)]  # sinks and recent tokens, the newest among these


def mask(sinks, recent):
    query, key = torch.arange(TOKENS)[:, None], torch.arange(TOKENS)[None, :]
    seen = (key <= query) & ((key < sinks) | (key > query - recent))
    return torch.where(seen, 0.0, torch.finfo(torch.float32).min)[None, None]


cases = []
for name in ["gpt2", "llama_gqa", "llama_mqa", "qwen3"]:
    model = AutoModelForCausalLM.from_pretrained(HERE / "models" / name, attn_implementation="eager",
                                                 dtype=torch.float32).eval()
    text = [(i * 31 + i * i * 7 + 5) % (model.config.vocab_size - 1) + 1 for i in range(TOKENS)]
    for sinks, recent in WINDOWS:
        with torch.inference_mode():
            logits = model(torch.tensor([text]), attention_mask=mask(sinks, recent), use_cache=False).logits[0]
            whole = model(torch.tensor([text]), use_cache=False).logits[0]
        assert (logits - whole)[-1].abs().max() > 0.05  # the mask makes a difference
        cases.append({"model": name, "sinks": sinks, "recent": recent, "text": text,
                      "logits": {str(p): [round(float(x), 6) for x in logits[p]] for p in KEPT}})
(HERE / "windows.json").write_text(json.dumps(cases) + "\n")
