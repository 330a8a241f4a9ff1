#!/usr/bin/env python3
"""Seconds that transformers takes for 100 tokens after 7, gpt2-medium's shape, random weights, with and without a cache:
transformers_speed.py THREADS. Prints one JSON object."""

import json
import os
import sys
import time

os.environ["CUDA_VISIBLE_DEVICES"] = ""

import torch
from transformers import GPT2Config, GPT2LMHeadModel

torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(0)
model = GPT2LMHeadModel(GPT2Config(n_embd=1024, n_layer=24, n_head=16)).eval()
prompt = torch.tensor([[(i * 7919 + 11) % 50257 for i in range(7)]])


@torch.inference_mode()
def seconds(use_cache):
    begin = time.perf_counter()
    model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=100, min_new_tokens=100,
                   do_sample=False, use_cache=use_cache, pad_token_id=0)
    return time.perf_counter() - begin


with torch.inference_mode():
    model(prompt)  # warm-up
print(json.dumps({"cached": seconds(True), "uncached": seconds(False)}))
