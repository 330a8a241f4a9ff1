#!/usr/bin/env python3
"""What bench/model_speed measures, of llama.cpp: llama_cpp_speed.py MODEL.gguf THREADS. Prints one JSON object.

The low-level functions are called, so that Python takes no part of the time. The cache is llama.cpp's own default, F16.
Flash attention is off: with it, which is its default, llama.cpp decodes at half the speed on a CPU at depth 512, and at a
third at 4,096.
"""

import json
import statistics
import sys
import time

import llama_cpp

path, threads = sys.argv[1], int(sys.argv[2])
STEPS = 32


@llama_cpp.llama_log_callback
def silent(level, text, data):
    pass


llama_cpp.llama_log_set(silent, None)
llama_cpp.llama_backend_init()
start = time.perf_counter()
model_options = llama_cpp.llama_model_default_params()
model_options.n_gpu_layers = 0
model = llama_cpp.llama_model_load_from_file(path.encode(), model_options)
options = llama_cpp.llama_context_default_params()
options.flash_attn_type = 0
options.n_ctx, options.n_batch, options.n_ubatch = 4224, 512, 512
options.n_threads = options.n_threads_batch = threads
context = llama_cpp.llama_init_from_model(model, options)
memory = llama_cpp.llama_get_memory(context)
vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))


def read(tokens):
    for first in range(0, len(tokens), 512):
        part = tokens[first:first + 512]
        ids = (llama_cpp.llama_token * len(part))(*part)
        if llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(ids, len(part))):
            sys.exit("llama_decode failed")
    llama_cpp.llama_get_logits_ith(context, -1)  # waits until they are there


def some_tokens(count):
    return [(i * 7919 + 11) % vocabulary for i in range(count)]


def prefill_speed():
    llama_cpp.llama_memory_clear(memory, True)
    begin = time.perf_counter()
    read(some_tokens(512))
    return 512 / (time.perf_counter() - begin)


def decode_speed(depth):
    llama_cpp.llama_memory_clear(memory, True)
    read(some_tokens(depth))
    speeds = []
    for _ in range(3):
        llama_cpp.llama_memory_seq_rm(memory, 0, depth, -1)
        begin = time.perf_counter()
        for i in range(STEPS):
            read([1000 + i])
        speeds.append(STEPS / (time.perf_counter() - begin))
    return statistics.median(speeds)


read(some_tokens(7))
first_token = time.perf_counter() - start
print(json.dumps({"first_token": first_token,
                  "prefill_512": statistics.median(prefill_speed() for _ in range(3)),
                  **{f"decode_{depth}": decode_speed(depth) for depth in (8, 512, 4096)}}))
