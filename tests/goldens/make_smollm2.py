#!/usr/bin/env python3
"""Writes what SmolLM2-135M-Instruct answers: smollm2.json.

Needs the PyPI packages torch, transformers, tokenizers and gguf (versions: README.md), and the model: scripts/fetch_model.sh smollm2.
Usage: python make_smollm2.py [output folder; this script's folder when absent]

transformers turns the file's weights into float32 and knows no other way of reading it, so this tests the use of packed
weights, interleaved rope and the tokenizer against code that shares nothing with this library.
"""

import json
import os
import sys
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from gguf import GGUFReader
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM

GREEDY_TOKENS = 64
PROMPTS = ["Explain KV caching in transformers.", "The capital of France is",
           "Once upon a time, in a small village by the sea,",
           "<|im_start|>user\nWhat is 2 + 2?<|im_end|>\n<|im_start|>assistant\n"]
FOLDER = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kvcache"
FILE = "smollm2.gguf"

torch.set_grad_enabled(False)


def make_tokenizer(path):
    """As the model's makers describe it. (transformers' own reading of the file leaves out the rule for digits.)"""
    fields = GGUFReader(path).fields
    texts = lambda key: [bytes(fields[key].parts[i]).decode() for i in fields[key].data]
    types = [int(fields["tokenizer.ggml.token_type"].parts[i][0]) for i in fields["tokenizer.ggml.token_type"].data]
    tokens = texts("tokenizer.ggml.tokens")
    merges = [tuple(merge.split(" ")) for merge in texts("tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token, kind in zip(tokens, types) if kind == 3])
    return tokenizer


def answers(model, tokenizer, prompt):
    ids = tokenizer.encode(prompt, add_special_tokens=False).ids
    logits = model(torch.tensor([ids])).logits[0, -1]
    best = torch.topk(logits, 5)
    text = model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), do_sample=False,
                          max_new_tokens=GREEDY_TOKENS, pad_token_id=0)[0, len(ids):].tolist()
    return {"prompt": prompt, "ids": ids, "greedy": text, "text": tokenizer.decode(text, skip_special_tokens=False),
            "top5": [[int(i), float(x)] for i, x in zip(best.indices, best.values)],
            "logit_sum": float(logits.double().sum()), "logit_l2": float(logits.double().norm())}


if __name__ == "__main__":
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    tokenizer = make_tokenizer(FOLDER / FILE)
    model = AutoModelForCausalLM.from_pretrained(FOLDER, gguf_file=FILE, dtype=torch.float32).eval()
    (out / "smollm2.json").write_text(json.dumps([answers(model, tokenizer, p) for p in PROMPTS], indent=1) + "\n")
