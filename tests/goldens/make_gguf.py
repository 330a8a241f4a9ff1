#!/usr/bin/env python3
"""Writes small GGUF files and what they answer: gguf/<name>{.gguf, .golden.json}, and gguf/tokenizer_<name>.gguf.

Needs the PyPI packages torch, transformers, accelerate and gguf (versions: README.md), and make_tokenizers.py's files.
Usage: python make_gguf.py [output folder; this script's folder when absent [names; all when absent]]

The files are laid out as llama.cpp's convert_hf_to_gguf.py lays them out. The answers come from transformers with the
weights that the file holds, numbers of fewer bits turned back into float32: a reader must then agree to rounding.
"""

import copy
import json
import sys
from fnmatch import fnmatch
from pathlib import Path

from make_models import KINDS, forward, golden, gpt2, llama, llama3_rope, random_weights, read, wide, write_golden

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Format
from gguf import LlamaFileType, TokenType
from transformers import GPT2Config, LlamaConfig, Qwen2Config, Qwen3Config

F32, F16, BF16, Q8_0, Q4_0, Q4_1 = Format.F32, Format.F16, Format.BF16, Format.Q8_0, Format.Q4_0, Format.Q4_1
FILE_TYPES = {F32: LlamaFileType.ALL_F32, F16: LlamaFileType.MOSTLY_F16, BF16: LlamaFileType.MOSTLY_BF16,
              Q8_0: LlamaFileType.MOSTLY_Q8_0, Q4_0: LlamaFileType.MOSTLY_Q4_0, Q4_1: LlamaFileType.MOSTLY_Q4_1}
SMALL = dict(n_embd=64, n_inner=96, n_positions=64)


def qwen(kind, **options):
    return llama(1000000.0, kind, hidden_size=64, intermediate_size=96, num_key_value_heads=2,
                 use_sliding_window=False, rms_norm_eps=1e-6, **options)


# name: (configuration, formats as {pattern of tensor names: format} of which the first that fits counts, options).
# A vocabulary of 82 makes tensors that end between two aligned places. No base of rope is 10000: that is what a reader
# would take where the key is missing.
VARIANTS = {
    "llama_f32": (wide(1000.0), {"*": F32}, {}),
    "llama_f16": (wide(20000.0), {"*": F16}, {}),
    "llama_bf16": (wide(30000.0), {"*": BF16}, {}),
    "llama_q8_0": (wide(40000.0, vocab_size=82), {"*": Q8_0}, {}),
    "llama_q4_0": (wide(50000.0, vocab_size=82, tie_word_embeddings=False),
                   {"output.weight": Q8_0, "*": Q4_0}, {"alignment": 64}),
    "llama_q4_1": (wide(100000.0), {"token_embd.weight": Q8_0, "*": Q4_1}, {}),
    # Every matrix that a reader might join to its neighbours has another format than they. The head is wider than
    # hidden / heads, which attention.key_length says.
    "llama_mixed": (wide(500.0, head_dim=24, tie_word_embeddings=False),
                    {"token_embd.weight": BF16, "output.weight": Q4_1, "blk.0.attn_q.weight": Q8_0,
                     "blk.0.attn_k.weight": F16, "blk.0.attn_v.weight": F32, "blk.0.ffn_gate.weight": Q4_0,
                     "blk.0.ffn_up.weight": BF16, "blk.0.ffn_down.weight": F16, "blk.1.attn_q.weight": Q4_1,
                     "blk.1.attn_k.weight": Q4_0, "*": Q8_0}, {}),
    "llama3_freqs": (wide(rope_parameters=llama3_rope(500.0, 16)), {"*": F32}, {}),
    "gpt2_f32": (gpt2(**SMALL), {"*": F32}, {}),
    "gpt2_q8_0": (gpt2(**SMALL, vocab_size=82), {"*": Q8_0}, {"output_twice": True}),
    "qwen2_q8_0": (qwen(Qwen2Config), {"*": Q8_0}, {}),
    "qwen3_f16": (qwen(Qwen3Config, head_dim=24), {"*": F16}, {}),
}
SECOND_VERSION = {"llama_v2": "llama_q8_0"}  # the same file as version 2 of the format, which has the same layout
UNKNOWN_TO_TRANSFORMERS = ["llama3_freqs"]  # its own reader of GGUF takes no heed of rope_freqs

# name: (file in tokenizers/, tokenizer.ggml.pre, the tokens are padded to a multiple of this). Their goldens are
# tokenizers/<file>.golden.json: no added token there has a property that GGUF cannot hold.
TOKENIZERS = {
    "tokenizer_gpt2": ("gpt2_rule", "gpt-2", 16),
    "tokenizer_llama3": ("llama3_rule", "llama-bpe", 1),
    "tokenizer_smollm": ("digits", "smollm", 64),
    "tokenizer_qwen2": ("qwen2_rule", "qwen2", 16),
}


def in_pairs(weight, heads):
    """llama.cpp turns neighbours together, transformers the two halves of a head: q and k change the order of rows."""
    return weight.reshape(heads, 2, -1, weight.shape[-1]).swapaxes(1, 2).reshape(weight.shape)


def in_halves(weight, heads):
    """Undoes in_pairs."""
    return weight.reshape(heads, -1, 2, weight.shape[-1]).swapaxes(1, 2).reshape(weight.shape)


def reordered(config, name, weight, reorder):
    """One tensor as the other side wants it; `reorder` is what becomes of the rows of Llama's q and k."""
    if isinstance(config, GPT2Config) and name.startswith("blk.") and weight.ndim == 2:
        return np.ascontiguousarray(weight.T)  # transformers stores [in, out]
    if isinstance(config, LlamaConfig) and name.endswith("attn_q.weight"):
        return reorder(weight, config.num_attention_heads)
    if isinstance(config, LlamaConfig) and name.endswith("attn_k.weight"):
        return reorder(weight, config.num_key_value_heads)
    return weight


def format_of(name, weight, formats):
    """Vectors and learned positions are never stored in fewer bits, as in llama.cpp."""
    if weight.ndim == 1 or name == "position_embd.weight":
        return F32
    return next(chosen for pattern, chosen in formats.items() if fnmatch(name, pattern))


def named_weights(model):
    """GGUF's name and the weight, for each weight of the model."""
    architecture = gguf.MODEL_ARCH[model.config.model_type.upper()]
    names = gguf.get_tensor_name_map(architecture, model.config.num_hidden_layers)
    for name, weight in model.named_parameters():  # a tied output layer is not listed twice
        yield names.get_name(name, try_suffixes=(".weight", ".bias")), weight


def store(model, formats):
    """Returns {name: (format, array)}, and rounds the model's weights to what the arrays hold."""
    tensors = {}
    with torch.no_grad():
        for name, weight in named_weights(model):
            exact = reordered(model.config, name, weight.numpy(), in_pairs)
            chosen = format_of(name, exact, formats)
            stored = gguf.quants.quantize(exact.copy(), chosen)
            tensors[name] = (chosen, stored)
            rounded = gguf.quants.dequantize(stored, chosen)
            weight.copy_(torch.from_numpy(reordered(model.config, name, rounded, in_halves).copy()))
    return tensors


def llama3_divisors(config):
    """What llama.cpp stores for Llama 3.1: each pair's frequency is divided by one of these."""
    rope = config.rope_parameters
    waves = 2 * np.pi * rope["rope_theta"] ** (np.arange(0, config.head_dim, 2) / config.head_dim)
    trained, low, high = rope["original_max_position_embeddings"], rope["low_freq_factor"], rope["high_freq_factor"]
    smooth = (trained / waves - low) / (high - low)
    between = 1 / ((1 - smooth) / rope["factor"] + smooth)
    divisors = np.where(waves < trained / high, 1.0, np.where(waves > trained / low, rope["factor"], between))
    return divisors.astype(np.float32)


def add_config(writer, config, formats):
    writer.add_type("model")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.n_inner if isinstance(config, GPT2Config) else config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    if isinstance(config, GPT2Config):
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
    else:
        even = config.hidden_size // config.num_attention_heads
        head_dim = getattr(config, "head_dim", even)
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        if head_dim != even:
            writer.add_key_length(head_dim)
            writer.add_value_length(head_dim)
        if isinstance(config, LlamaConfig):  # the others say neither
            writer.add_vocab_size(config.vocab_size)
            writer.add_rope_dimension_count(head_dim)
    writer.add_file_type(FILE_TYPES[formats["*"]])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def add_tokenizer(writer, tokenizer, rule, padded):
    """Writes a tokenizer.json's content; `padded` tokens at its end are of no use, as where a model has more rows."""
    tokens = dict(tokenizer["model"]["vocab"])
    types = dict.fromkeys(tokens.values(), TokenType.NORMAL)
    for added in tokenizer["added_tokens"]:
        assert not (added["single_word"] or added["lstrip"] or added["rstrip"]), "GGUF cannot hold this"
        tokens[added["content"]] = added["id"]
        types[added["id"]] = TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED
    for id in range(len(tokens), len(tokens) + padded):
        tokens[f"[PAD{id}]"] = id
        types[id] = TokenType.UNUSED
    by_id = sorted(tokens, key=tokens.get)
    assert [tokens[token] for token in by_id] == list(range(len(tokens)))
    end = tokens["<|endoftext|>"]
    merges = tokenizer["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(rule)
    writer.add_token_list(by_id)
    writer.add_token_types([types[id] for id in range(len(tokens))])
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    writer.add_bos_token_id(end)
    writer.add_eos_token_id(end)
    writer.add_add_bos_token(False)  # llama-bpe would otherwise begin with it, the goldens do not


def write(path, config, formats, tensors, alignment=None, add_more=lambda writer: None):
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, config.model_type)
    if alignment:
        writer.add_custom_alignment(alignment)
    writer.add_name(path.stem)
    add_config(writer, config, formats)
    add_more(writer)
    for name, (chosen, stored) in tensors.items():
        writer.add_tensor(name, stored, raw_dtype=chosen)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def check_file(path, model, formats, alignment=None):
    """Reads the file back: it holds every weight of the model, bit for bit, in the formats that were asked for."""
    reader = gguf.GGUFReader(path)
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    for name, weight in named_weights(model):
        tensor = tensors[name]
        numbers = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        assert tensor.tensor_type == format_of(name, numbers, formats), name
        assert tensor.data_offset % (alignment or 32) == 0, name
        expected = reordered(model.config, name, weight.detach().numpy(), in_pairs)
        assert np.array_equal(numbers, expected), name
    if alignment:  # the place that a reader would take who does not know the key is another one
        last = reader.tensors[-1].field
        end = last.offset + sum(part.nbytes for part in last.parts)
        assert -(-end // 32) * 32 != reader.data_offset, "the alignment makes no difference"


def check_with_transformers(path, config, answers):
    """Whether transformers' own reader of GGUF files comes to the same logits."""
    # These it takes from a tokenizer, or not from the file at all.
    told = {key: getattr(config, key) for key in ("vocab_size", "head_dim", "n_inner", "n_positions")
            if hasattr(config, key)}
    other = read(path.parent, gguf_file=path.name, **told)
    difference = float((forward(other, answers["prompt"]) - torch.tensor(answers["logits"])).abs().max())
    assert difference < 2e-5, difference
    print(f"{path.name}: transformers reads the same, {difference:.1e}")


def make(name, config, formats, options, out):
    path = out / "gguf" / f"{name}.gguf"
    alignment = options.get("alignment")
    for seed in range(1000):
        model = KINDS[type(config)](copy.deepcopy(config))
        model.set_attn_implementation("eager")
        random_weights(model, seed)
        tensors = store(model, formats)
        answers = golden(name, model.eval(), seed)
        if answers:
            break
    else:
        raise SystemExit(f"{name}: no seed gives wide enough margins")
    if options.get("output_twice"):  # older converters stored a tied output layer a second time
        tensors["output.weight"] = tensors["token_embd.weight"]
    rope = getattr(config, "rope_parameters", None)
    if rope and rope["rope_type"] == "llama3":
        divisors = llama3_divisors(config)
        plain = rope["rope_theta"] ** (-np.arange(0, config.head_dim, 2) / config.head_dim)
        assert np.allclose(plain / divisors, model.model.rotary_emb.inv_freq.numpy(), rtol=1e-6)
        tensors = {"rope_freqs.weight": (F32, divisors), **tensors}
    write(path, config, formats, tensors, alignment)
    check_file(path, model, formats, alignment)
    write_golden(path.with_suffix(".golden.json"), answers)
    if name not in UNKNOWN_TO_TRANSFORMERS:
        check_with_transformers(path, config, answers)


def make_second_version(name, source, out):
    content = bytearray((out / "gguf" / f"{source}.gguf").read_bytes())
    assert content[:8] == b"GGUF\x03\0\0\0"
    content[4] = 2
    (out / "gguf" / f"{name}.gguf").write_bytes(content)
    answers = (out / "gguf" / f"{source}.golden.json").read_bytes()
    (out / "gguf" / f"{name}.golden.json").write_bytes(answers)


def make_tokenizer(name, source, rule, multiple, out):
    tokenizer = json.loads((Path(__file__).parent / "tokenizers" / f"{source}.json").read_text(encoding="utf-8"))
    used = max(token["id"] for token in tokenizer["added_tokens"]) + 1
    config = llama(10000.0, vocab_size=-(-used // multiple) * multiple, num_hidden_layers=1, num_attention_heads=2,
                   num_key_value_heads=1, intermediate_size=32)
    model = KINDS[LlamaConfig](config)
    random_weights(model, 0)
    formats = {"*": Q8_0}
    tensors = store(model, formats)
    path = out / "gguf" / f"{name}.gguf"
    write(path, config, formats, tensors,
          add_more=lambda writer: add_tokenizer(writer, tokenizer, rule, config.vocab_size - used))
    check_file(path, model, formats)

    fields = gguf.GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    assert len(tokens) == config.vocab_size
    assert all(tokens[id] == token for token, id in tokenizer["model"]["vocab"].items())
    assert len(fields["tokenizer.ggml.merges"].contents()) == len(tokenizer["model"]["merges"])
    print(f"{name}: {used} tokens and {config.vocab_size - used} without use")


if __name__ == "__main__":
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for name in sys.argv[2:] or [*VARIANTS, *SECOND_VERSION, *TOKENIZERS]:
        if name in VARIANTS:
            make(name, *VARIANTS[name], out)
        elif name in SECOND_VERSION:
            make_second_version(name, SECOND_VERSION[name], out)
        else:
            make_tokenizer(name, *TOKENIZERS[name], out)
