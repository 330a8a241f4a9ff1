#!/usr/bin/env python3
"""Writes small random models and what they answer: models/<name>/{config.json, model.safetensors, golden.json}.

Needs the PyPI packages torch, transformers and safetensors (versions: README.md).
Usage: python make_models.py [output folder; this script's folder when absent [names; all when absent]]

The answers come from transformers, so they test this library against code that shares nothing with it. Every answer
is a full forward pass over the whole sequence, without any cache: a cache can then only agree or be wrong.
"""

import copy
import json
import math
import os
import shutil
import sys
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the CPU's sums are the same on every run
os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import (AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM,
                          Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM)

PROMPT_TOKENS = 24
GREEDY_TOKENS = 16
MARGIN = 0.05  # least distance between the best and second-best logit at a greedy step; rounding moves logits by ~1e-5
END = 0  # eos_token_id of every model; in no prompt and no answer, so that stopping at it changes nothing
MIN_DISTINCT = 7  # a greedy answer that repeats one token would hide mistakes in positions

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


def gpt2(**options):
    values = dict(vocab_size=80, n_positions=48, n_embd=32, n_layer=2, n_head=4, activation_function="gelu_new",
                  resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=END, eos_token_id=END)
    return GPT2Config(**(values | options))


def llama(theta, kind=LlamaConfig, **options):
    values = dict(vocab_size=80, hidden_size=32, intermediate_size=56, num_hidden_layers=2, num_attention_heads=4,
                  num_key_value_heads=4, max_position_embeddings=64, rms_norm_eps=1e-5, tie_word_embeddings=True,
                  bos_token_id=END, eos_token_id=END, rope_parameters={"rope_type": "default", "rope_theta": theta})
    return kind(**(values | options))


def llama3_rope(theta, head_dim):
    """Llama 3.1's frequencies, for so short a training that every kind of pair occurs in a small head."""
    trained = 32  # positions
    rope = {"rope_type": "llama3", "rope_theta": theta, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": trained}
    waves = [2 * math.pi * theta ** (2 * pair / head_dim) for pair in range(head_dim // 2)]
    slow, fast = trained / rope["low_freq_factor"], trained / rope["high_freq_factor"]
    kinds = {"slow" if wave > slow else "fast" if wave < fast else "between" for wave in waves}
    assert kinds == {"slow", "fast", "between"}, kinds
    return rope


def openai_names(folder):
    """Renames the tensors as in OpenAI's own GPT-2 file: no `transformer.`, and each layer's causal mask is stored."""
    path = folder / "model.safetensors"
    tensors = {name.removeprefix("transformer."): tensor for name, tensor in load_file(path).items()}
    config = json.loads((folder / "config.json").read_text())
    positions = config["n_positions"]
    for layer in range(config["n_layer"]):
        # Shape [1, 1, positions, positions]. A loader must not take it for the bias of `attn.c_attn`.
        tensors[f"h.{layer}.attn.bias"] = torch.tril(torch.ones(1, 1, positions, positions))
    save_file(tensors, path, metadata={"format": "pt"})


def old_config(folder):
    """Rewrites config.json as transformers 4 wrote it: `rope_theta` and `torch_dtype` on top, no `head_dim`."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    del config["head_dim"]  # where it is absent, hidden_size / num_attention_heads is meant
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.40.0"
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def in_shards(folder):
    """Saves again in several files with an index, as transformers does when a model is large."""
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(folder, max_shard_size="40KB")
    (folder / "model.safetensors").unlink()
    assert len(list(folder.glob("model-*-of-*.safetensors"))) > 2


def wide(theta=10000.0, **options):
    """Rows of weights are whole multiples of 32 numbers: vector code then never meets a remainder."""
    return llama(theta, hidden_size=64, intermediate_size=96, num_key_value_heads=2, **options)


# name: (configuration, stored type, change made to the folder after saving)
VARIANTS = {
    "gpt2": (gpt2(), torch.float32, None),  # n_inner stays null: 4 * n_embd is meant
    "gpt2_no_prefix": (gpt2(vocab_size=72, n_inner=80, n_head=2), torch.float32, openai_names),
    "llama_mha": (llama(10000.0), torch.float32, None),
    "llama_gqa": (llama(50000.0, hidden_size=48, num_attention_heads=6, num_key_value_heads=2, vocab_size=72),
                  torch.float32, old_config),
    "llama_mqa": (llama(500000.0, num_key_value_heads=1, num_hidden_layers=3, rms_norm_eps=1e-6),
                  torch.float32, None),
    "llama_bias": (llama(10000.0, num_key_value_heads=2, attention_bias=True, mlp_bias=True), torch.float32, None),
    "llama_head_dim": (llama(10000.0, num_key_value_heads=2, head_dim=12), torch.float32, None),
    "llama_untied": (llama(1000.0, num_key_value_heads=2, vocab_size=96, tie_word_embeddings=False),
                     torch.float32, None),
    "llama_bf16": (llama(10000.0, num_key_value_heads=2), torch.bfloat16, None),
    "llama_f16": (llama(10000.0, num_key_value_heads=2), torch.float16, None),
    "llama_shards": (llama(10000.0, num_key_value_heads=2, tie_word_embeddings=False), torch.float32, in_shards),
    "llama3_rope": (llama(500.0, num_attention_heads=2, num_key_value_heads=1, rope_parameters=llama3_rope(500.0, 16)),
                    torch.float32, None),
    "llama3_rope_old": (llama(500.0, num_attention_heads=2, num_key_value_heads=1,
                              rope_parameters=llama3_rope(500.0, 16)), torch.float32, old_config),
    "llama_linear_rope": (llama(10000.0, num_key_value_heads=2, rope_parameters={
        "rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}), torch.float32, None),
    "qwen2": (llama(1000000.0, Qwen2Config, num_key_value_heads=2, use_sliding_window=False, rms_norm_eps=1e-6),
              torch.float32, None),
    "qwen3": (llama(1000000.0, Qwen3Config, num_key_value_heads=2, head_dim=12, use_sliding_window=False,
                    rms_norm_eps=1e-6), torch.float32, None),
    "gpt2_f16": (gpt2(n_embd=64, n_inner=128, n_head=2), torch.float16, None),
    "llama_bf16_wide": (wide(), torch.bfloat16, None),
    "llama_f16_wide": (wide(tie_word_embeddings=False), torch.float16, None),
}
KINDS = {GPT2Config: GPT2LMHeadModel, LlamaConfig: LlamaForCausalLM, Qwen2Config: Qwen2ForCausalLM,
         Qwen3Config: Qwen3ForCausalLM}


def random_weights(model, seed):
    """Fills every weight, wide enough that logits differ by O(1) and attention is neither flat nor one-hot."""
    generator = torch.Generator().manual_seed(seed)
    shrink = min(1.0, (48 / model.config.hidden_size) ** 0.5)  # longer sums of smaller terms: logits of the same size
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            noise = torch.randn(weight.shape, generator=generator)
            is_norm = any(part in name for part in ("ln_1", "ln_2", "ln_f", "norm"))
            if name.endswith("weight") and is_norm:
                weight.copy_(1.0 + 0.2 * noise)
            elif name.endswith("bias"):
                weight.copy_(0.2 * noise)
            elif any(part in name for part in ("wte", "wpe", "embed_tokens", "lm_head")):
                weight.copy_(0.4 * shrink * noise)
            else:
                weight.copy_(0.25 * shrink * noise)


def forward(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids]), use_cache=False).logits[0]


def read(folder, **options):
    """Reads the folder as stored, into float32."""
    model, report = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True, **options)
    assert not report["missing_keys"] and not report["mismatched_keys"], report
    return model.eval()


def golden(name, model, seed):
    """Returns the model's answers; None when a margin is too thin."""
    generator = torch.Generator().manual_seed(seed + 1)
    prompt = torch.randint(END + 1, model.config.vocab_size, (PROMPT_TOKENS,), generator=generator).tolist()
    logits = forward(model, prompt)

    ids = list(prompt)
    margin = float("inf")
    for _ in range(GREEDY_TOKENS):
        best = torch.topk(forward(model, ids)[-1], 2)
        margin = min(margin, float(best.values[0] - best.values[1]))
        ids.append(int(best.indices[0]))
    greedy = ids[PROMPT_TOKENS:]
    if margin < MARGIN or len(set(greedy)) < MIN_DISTINCT or END in greedy:
        return None

    # A golden of stretched frequencies must not be what plain ones give.
    rope = getattr(model.config, "rope_parameters", None)
    if rope and rope["rope_type"] != "default":
        plain = copy.deepcopy(model.config)
        plain.rope_parameters = {"rope_type": "default", "rope_theta": rope["rope_theta"]}
        other = type(model)(plain).eval()
        other.load_state_dict(model.state_dict())
        stretched = float((forward(other, prompt)[-1] - logits[-1]).abs().max())
        assert stretched > 1e-2, stretched

    # How far float32 is from exact: a test's tolerance must lie well above it.
    exact = forward(copy.deepcopy(model).double(), prompt)
    rounding = float((logits - exact).abs().max())
    # The last answer must depend on the first tokens, or the golden says nothing about attention.
    changed = [prompt[0] % (model.config.vocab_size - 1) + 1] + prompt[1:]
    reach = float((forward(model, changed)[-1] - logits[-1]).abs().max())
    assert reach > 1e-2, reach
    print(f"{name}: seed {seed}, margin {margin:.3f}, spread {float(logits.std()):.2f}, "
          f"float32 error {rounding:.1e}, reach of token 0 {reach:.2f}")
    return {"prompt": prompt, "logits": [[float(f"{x:.7g}") for x in row.tolist()] for row in logits],
            "greedy": greedy}


def write_golden(path, answers):
    rows = ",\n".join(json.dumps(row) for row in answers["logits"])
    path.write_text(f'{{"prompt": {json.dumps(answers["prompt"])},\n"greedy": {json.dumps(answers["greedy"])},\n'
                    f'"logits": [\n{rows}\n]}}\n')


def make(name, config, dtype, change, out):
    folder = out / "models" / name
    for seed in range(1000):
        shutil.rmtree(folder, ignore_errors=True)
        model = KINDS[type(config)](copy.deepcopy(config))
        random_weights(model, seed)
        model.to(dtype).save_pretrained(folder)
        if change:
            change(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)  # says nothing that a test needs
        answers = golden(name, read(folder), seed)
        if answers:
            write_golden(folder / "golden.json", answers)
            return
    raise SystemExit(f"{name}: no seed gives wide enough margins")


if __name__ == "__main__":
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for name in sys.argv[2:] or VARIANTS:
        make(name, *VARIANTS[name], out)
