#!/usr/bin/env python3
"""Writes tests/fuzz/found/: small sound files, and files that lie about themselves.

The fuzzers begin with them, and tests/io/found_cases_test.cpp reads them all. What a fuzzer finds is put beside them by
hand; this script leaves files that it does not know alone.
Usage: python3 tests/fuzz/make_cases.py
"""
import json
import struct
from pathlib import Path

FOUND = Path(__file__).resolve().parent / "found"


def case(target, name, content):
    folder = FOUND / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


# utf8_stream: the first byte chooses the cuts
case("utf8_stream", "every_length", b"\x01a\xc3\xa4\xe2\x82\xac\xf0\x9f\x9a\x80z")
case("utf8_stream", "lone_surrogates", b"\x02\xed\xa0\x80\xed\xbf\xbf\xed\x9f\xbf")
case("utf8_stream", "too_long_spellings", b"\x03\xc0\x80\xe0\x9f\xbf\xf0\x8f\xbf\xbf\xf4\x90\x80\x80\xf8\x88\x80\x80\x80")
case("utf8_stream", "left_half_written", b"\x04ok \xf0\x9f\x9a")
case("utf8_stream", "broken_off_and_on", b"\x05\xe2\x82a\xf0\x9f\x9ab\xc3\xc3\xa4\x80\x80\xff\xfe")

# chat_template
CHATML = """{%- for m in messages -%}
{{ '<|im_start|>' + m['role'] + '\\n' + m.content | trim + '<|im_end|>\\n' }}
{%- endfor -%}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""
case("chat_template", "sound", CHATML)
case("chat_template", "sound_macro", "{% macro f(a, b=1) %}{{ a ~ b }}{% endmacro %}{% set n = namespace(x=[]) %}"
     "{% for m in messages[1:] if m.content is string %}{% set n.x = n.x + [f(m.role)] %}{{ loop.index0 }}{% else %}-"
     "{% endfor %}{{ n.x | join(', ') }}{{ {'a': 1}.items() | list | length }}{{ 'x' if n.x else 'y'[::-1] }}")
case("chat_template", "cut_in_a_text", CHATML[:40])
case("chat_template", "brackets", "{{ " + "([{" * 400)
case("chat_template", "doubles", "{% set n = namespace(a='x') %}{% for i in range(60) %}{% set n.a = n.a ~ n.a %}{% endfor %}")
case("chat_template", "calls_itself", "{% macro f() %}{{ f() ~ f() }}{% endmacro %}{{ f() }}")
case("chat_template", "loops", "{% for i in range(9999) %}" * 3 + "{% endfor %}" * 3)
case("chat_template", "not_utf8", b"{{ '\xff\xc3' | trim }}{{ '\xe2\x82'[0] }}\x80{{ '\xf0\x9f' | tojson }}")
case("chat_template", "numbers", "{{ 99999999999999999999999999 + 1 }}{{ -9223372036854775807 - 9 }}{{ 'a'[99999999999] }}"
     "{{ [1, 2, 3][::-9223372036854775807] }}{{ 2 ** 9999 }}{{ 1e5 }}")

# config_json
LLAMA = {
    "model_type": "llama", "num_hidden_layers": 1, "hidden_size": 32, "num_attention_heads": 2,
    "num_key_value_heads": 1, "intermediate_size": 32, "vocab_size": 3, "max_position_embeddings": 2,
    "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "eos_token_id": [0, 1],
}
GPT2 = {"model_type": "gpt2", "n_layer": 1, "n_embd": 32, "n_head": 2, "vocab_size": 3, "n_positions": 2}
LLAMA3_ROPE = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
               "original_max_position_embeddings": 8192}


def config(name, base, **changes):
    case("config_json", name, json.dumps({**base, **changes}))


config("sound_llama", LLAMA)
config("sound_gpt2", GPT2)
config("sound_llama3_rope", LLAMA, rope_scaling=LLAMA3_ROPE)
config("sound_qwen3", LLAMA, model_type="qwen3", head_dim=16, rope_parameters={"rope_theta": 1e6, "type": "default"})
case("config_json", "sound_index", '{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}')
config("hidden_far_below_zero", GPT2, n_embd=-2147483648, n_head=1)  # four times that is no int
config("heads_of_two_billion_linear", LLAMA, head_dim=2147483646, rope_scaling={"type": "linear", "factor": 2.0})
config("heads_of_two_billion_llama3", LLAMA, head_dim=2147483646, rope_scaling=LLAMA3_ROPE)
config("divided_by_zero", LLAMA, rope_scaling={**LLAMA3_ROPE, "factor": 0, "high_freq_factor": 1.0})
config("zero_heads", LLAMA, num_attention_heads=0)
config("more_than_memory", LLAMA, num_hidden_layers=1024, hidden_size=131072, head_dim=4096, vocab_size=4194304)
config("end_token_of_four_billion", LLAMA, eos_token_id=[4294967296])
config("end_token_below_zero", LLAMA, eos_token_id=-1)
config("sizes_in_words", LLAMA, hidden_size="32", vocab_size=[3])
case("config_json", "index_out_of_the_folder", '{"weight_map": {"a": "../../secret", "b": ".."}}')
case("config_json", "deep", "[" * 5000)
case("config_json", "deep_in_scaling", json.dumps(LLAMA)[:-1] + ', "rope_scaling": ' + '{"type":' * 2000)
case("config_json", "twice", '{"model_type": "gpt2", "model_type": "llama", "n_layer": 1}')
case("config_json", "no_utf8", b'{"model_type": "\xff\xc0"}')
case("config_json", "lone_surrogate", '{"model_type": "\\ud800"}')
case("config_json", "nul_in_a_word", '{"model_type": "gpt2\\u0000"}')
case("config_json", "empty_maps", "[" + ",".join(["{}"] * 20000) + "]")

# safetensors


def safetensors(name, entries, data=b"", length=None, text=None):
    header = json.dumps(entries).encode() if text is None else text
    case("safetensors", name, struct.pack("<Q", len(header) if length is None else length) + header + data)


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def weights(shapes, dtype, size):
    """One tensor after another, of small numbers."""
    entries, data = {"__metadata__": {"format": "pt"}}, b""
    for i, (name, shape) in enumerate(shapes.items()):
        count = 1
        for length in shape:
            count *= length
        entries[name] = entry(dtype, shape, len(data), len(data) + count * size)
        data += (bytes([i, 0x3C]) if dtype == "F16" else bytes([i, 0x3F])) * (count * size // 2)
    return entries, data


LINEAR = {"attn.c_attn": (32, 96), "attn.c_proj": (32, 32), "mlp.c_fc": (32, 32), "mlp.c_proj": (32, 32)}
shapes = {"wte.weight": (3, 32), "wpe.weight": (2, 32), "ln_f.weight": (32,), "ln_f.bias": (32,)}
for norm in ("ln_1", "ln_2"):
    shapes |= {f"h.0.{norm}.weight": (32,), f"h.0.{norm}.bias": (32,)}
for name, shape in LINEAR.items():
    shapes |= {f"h.0.{name}.weight": shape, f"h.0.{name}.bias": shape[1:]}
safetensors("sound_gpt2", *weights(shapes, "F16", 2))
AT = "model.layers.0."
shapes = {"model.embed_tokens.weight": (3, 32), "model.norm.weight": (32,), AT + "input_layernorm.weight": (32,),
          AT + "post_attention_layernorm.weight": (32,)}
for name, rows in {"self_attn.q_proj": 32, "self_attn.k_proj": 16, "self_attn.v_proj": 16, "self_attn.o_proj": 32,
                   "mlp.gate_proj": 32, "mlp.up_proj": 32, "mlp.down_proj": 32}.items():
    shapes[f"{AT}{name}.weight"] = (rows, 32)
safetensors("sound_llama", *weights(shapes, "BF16", 2))
safetensors("sound_small", {"a": entry("F32", [1, 2], 0, 8), "b": entry("F16", [], 8, 10)}, b"12345678ab")
safetensors("length_overflows", {}, length=2**64 - 8)
safetensors("length_beyond_the_end", {}, length=1000)
safetensors("shape_overflows", {"a": entry("F32", [2**32, 2**32], 0, 0)})
safetensors("shape_overflows_in_bytes", {"a": entry("F32", [2**62], 0, 0)})
safetensors("shape_of_nothing_and_much", {"a": entry("F32", [0, 2**63, 2**63], 0, 0)})
safetensors("overlapping", {"a": entry("F32", [2], 0, 8), "b": entry("F32", [2], 4, 12)}, b"x" * 12)
safetensors("backwards", {"a": entry("F32", [2], 8, 0)}, b"x" * 8)
safetensors("offset_of_eighteen_quintillions", {"a": entry("F32", [2], 2**64 - 8, 2**64)}, b"x" * 8)
safetensors("begins_at_odd_bytes", {"a": entry("F32", [1], 1, 5), "b": entry("F16", [1], 5, 7)}, b"x" * 7)
safetensors("twenty_thousand_dimensions", {"a": entry("F32", [1] * 20000, 0, 4)}, b"x" * 4)
safetensors("deep", {}, text=b"[" * 20000)
safetensors("deep_shape", {}, text=b'{"a": {"dtype": "F32", "shape": ' + b"[" * 5000)
safetensors("metadata_is_a_list", {"__metadata__": [1]})
safetensors("no_utf8", {}, text=b'{"\xff": 1}')
case("safetensors", "seven_bytes", b"\x01\0\0\0\0\0\0")

# tokenizer_json


def letter(byte):
    """The letter of a byte in GPT-2's alphabet."""
    prints = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return chr(byte) if byte in prints else chr(0x100 + [b for b in range(256) if b not in prints].index(byte))


LETTERS = {letter(byte): i for i, byte in enumerate(range(0x20, 0x7F))}
WORDS = {**LETTERS, "ab": 95, "abc": 96}
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}


def tokenizer(name, vocab=WORDS, merges=("a b", ["ab", "c"]), added=(), steps=BYTE_LEVEL, post=None, text=None):
    content = {"model": {"type": "BPE", "vocab": vocab, "merges": list(merges)}, "added_tokens": list(added),
               "pre_tokenizer": steps, "post_processor": post, "decoder": {"type": "ByteLevel"}}
    text = json.dumps(content, separators=(",", ":")) if text is None else text(content)
    case("tokenizer_json", name, text)


def split(pattern, kind="Regex"):
    return {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {kind: pattern}, "behavior": "Isolated", "invert": False},
        {**BYTE_LEVEL, "use_regex": False}]}


def template(single, ids):
    return {"type": "TemplateProcessing", "single": single, "pair": [],
            "special_tokens": {"<s>": {"id": "<s>", "ids": ids, "tokens": ["<s>"]}}}


TEXT_A = {"Sequence": {"id": "A", "type_id": 0}}
START = {"SpecialToken": {"id": "<s>", "type_id": 0}}
END_OF_TEXT = {"id": 97, "content": "<|endoftext|>", "lstrip": True, "rstrip": True, "normalized": False}
tokenizer("sound", added=[END_OF_TEXT], post=template([START, TEXT_A], [97]))
tokenizer("sound_split", steps=split(r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|\s+(?!\S)|\s+"))
tokenizer("sound_literal", steps=split("a.b*c", "String"))
case("tokenizer_json", "sound_vocab", json.dumps(LETTERS))
case("tokenizer_json", "sound_merges", "#version: 0.2\na b\nab c\r\n\n")
tokenizer("id_below_zero", {**LETTERS, "ab": -1, "abc": 96})
tokenizer("id_of_four_billion", {**LETTERS, "ab": 4294967296, "abc": 96})
tokenizer("id_of_four_million", {**LETTERS, "ab": 4194303, "abc": 96})
tokenizer("one_id_twice", {**LETTERS, "ab": 0, "abc": 96})
tokenizer("merge_of_missing_tokens", merges=["x yz"])
tokenizer("merge_makes_a_missing_token", merges=["a c"])
tokenizer("merge_of_three", merges=["a b c"])
tokenizer("merge_of_nothing", merges=[" ", ["", ""]])
tokenizer("merge_is_deep", merges=[[[[[["a"]]]]]])
tokenizer("added_token_is_empty", added=[{**END_OF_TEXT, "content": ""}])
tokenizer("added_white_space_strips", added=[{**END_OF_TEXT, "content": " "}])
tokenizer("added_is_lone_surrogate", added=[END_OF_TEXT], text=lambda c: json.dumps(c).replace("<|end", "\\udc00<|end"))
tokenizer("pattern_without_end", steps=split("(?:[^a"))
tokenizer("pattern_backtracks", steps=split("(?:(?:a+)+)+(?:(?:.+)+)+\\z!"))
tokenizer("pattern_takes_stack", steps=split("(a|\\s|.)+"))
tokenizer("pattern_matches_nothing", steps=split("(?:)|x*"))
tokenizer("pattern_grows", steps=split("(?:(?:(?:\\S{1000}){1000}){1000}){1000}"))
tokenizer("pattern_is_long", steps=split("\\S" * 10000))
tokenizer("pattern_counts_too_far", steps=split("a{99999999999999999999}"))
tokenizer("pattern_closes_too_often", steps=split(")))(((]]]}}}"))
tokenizer("pattern_ends_early", steps=split("[\\u12"))
tokenizer("steps_many", steps={"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}] * 40
                               + [BYTE_LEVEL]})
tokenizer("steps_deep", text=lambda c: json.dumps({**c, "pre_tokenizer": 0})[:-2] + '"pre_tokenizer":'
          + '{"type":"Sequence","pretokenizers":[' * 200)
tokenizer("template_of_thousands", post=template([START] * 100 + [TEXT_A], [0] * 100))
tokenizer("template_with_id_of_four_billion", post=template([START, TEXT_A], [4294967295]))
tokenizer("template_with_no_token", post=template([TEXT_A, START], [-1]))
case("tokenizer_json", "merges_not_utf8", b"\xff\xfe\n\xc0 \x80 \xed\xa0\x80\n")
case("tokenizer_json", "merges_not_utf8_of_one", b"\xff\xfe")
case("tokenizer_json", "deep", '{"model":' * 3000)
case("tokenizer_json", "empty", b"")

# gguf
U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
NUMBER = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "B", U64: "Q", I64: "q", F64: "d"}
BLOCK = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 8: (32, 34), 30: (1, 2)}  # numbers, bytes


def words(text):
    text = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(text)) + text


def value(kind, content):
    if kind == STRING:
        return words(content)
    if kind == ARRAY:
        of, many = content
        return struct.pack("<IQ", of, len(many)) + b"".join(value(of, one) for one in many)
    return struct.pack("<" + NUMBER[kind], content)


class Gguf:
    def __init__(self):
        self.values, self.tensors, self.data = {}, [], b""

    def set(self, key, kind, content):
        self.values[key] = struct.pack("<I", kind) + value(kind, content)
        return self

    def raw(self, key, content):
        self.values[key] = content
        return self

    def tensor(self, name, dimensions, kind=0, offset=None):
        count = 1
        for length in dimensions:
            count *= length
        if offset is None:
            self.data += b"\0" * (-len(self.data) % 32)
            offset = len(self.data)
            numbers, size = BLOCK[kind]
            self.data += (b"\x01\x3c" * (size // 2 or 1))[:size] * (count // numbers)
        self.tensors.append(words(name) + struct.pack("<I", len(dimensions)) +
                            b"".join(struct.pack("<Q", length) for length in dimensions) +
                            struct.pack("<IQ", kind, offset))
        return self

    def write(self, name, version=3, tensors=None, values=None):
        count = lambda given, held: len(held) if given is None else given
        head = struct.pack("<IIQQ", 0x46554747, version, count(tensors, self.tensors), count(values, self.values))
        head += b"".join(words(key) + content for key, content in self.values.items()) + b"".join(self.tensors)
        case("gguf", name, head + b"\0" * (-len(head) % 32) + self.data)


def gguf_llama(kind=2):
    file = Gguf().set("general.architecture", STRING, "llama")
    sizes = {"block_count": 1, "embedding_length": 32, "attention.head_count": 2, "attention.head_count_kv": 1,
             "feed_forward_length": 32, "context_length": 2}
    for key, number in sizes.items():
        file.set("llama." + key, U32, number)
    file.set("llama.attention.layer_norm_rms_epsilon", F32, 1e-5)
    for name, rows in {"token_embd": 3, "blk.0.attn_q": 32, "blk.0.attn_k": 16, "blk.0.attn_v": 16,
                       "blk.0.attn_output": 32, "blk.0.ffn_gate": 32, "blk.0.ffn_up": 32, "blk.0.ffn_down": 32}.items():
        file.tensor(name + ".weight", (32, rows), kind)
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        file.tensor(name + ".weight", (32,))
    return file


def gguf_gpt2():
    file = Gguf().set("general.architecture", STRING, "gpt2")
    for key, number in {"block_count": 1, "embedding_length": 32, "attention.head_count": 2, "feed_forward_length": 32,
                        "context_length": 2}.items():
        file.set("gpt2." + key, U32, number)
    file.set("gpt2.attention.layer_norm_epsilon", F32, 1e-5)
    file.tensor("token_embd.weight", (32, 3), 8).tensor("position_embd.weight", (32, 2))
    for name, rows in {"attn_qkv": 96, "attn_output": 32, "ffn_up": 32, "ffn_down": 32}.items():
        file.tensor(f"blk.0.{name}.weight", (32, rows), 8).tensor(f"blk.0.{name}.bias", (rows,))
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        file.tensor(name + ".weight", (32,)).tensor(name + ".bias", (32,))
    return file


def gguf_tokenizer(file, pre="gpt-2", tokens=tuple(WORDS), merges=("a b", "ab c"), types=None):
    file.set("tokenizer.ggml.model", STRING, "gpt2").set("tokenizer.ggml.pre", STRING, pre)
    file.set("tokenizer.ggml.tokens", ARRAY, (STRING, tokens)).set("tokenizer.ggml.merges", ARRAY, (STRING, merges))
    return file.set("tokenizer.ggml.token_type", ARRAY, (I32, types or [1] * len(tokens)))


for kind, name in {0: "f32", 1: "f16", 2: "q4_0", 3: "q4_1", 8: "q8_0", 30: "bf16"}.items():
    gguf_llama(kind).write("sound_llama_" + name)
gguf_gpt2().write("sound_gpt2")
gguf_llama(8).set("llama.rope.scaling.type", STRING, "linear").set("llama.rope.scaling.factor", F32, 2.0).write(
    "sound_linear", version=2)
for pre in ("gpt-2", "smollm", "llama-bpe", "qwen2"):
    file = gguf_tokenizer(Gguf(), pre, tokens=[*WORDS, "<|endoftext|>"], types=[1] * 97 + [3])
    file.set("tokenizer.ggml.bos_token_id", U32, 97).set("tokenizer.ggml.eos_token_id", U32, 97).write(
        "sound_tokenizer_" + pre)
Gguf().write("many_tensors", tensors=2**64 - 1)
Gguf().write("many_values", values=2**62)
Gguf().raw("x", struct.pack("<IIQ", ARRAY, U8, 2**64 - 1)).write("array_of_eighteen_quintillions")
Gguf().raw("x", struct.pack("<IIQ", ARRAY, STRING, 2**61)).write("array_of_many_words")
Gguf().raw("x", struct.pack("<IIQ", ARRAY, ARRAY, 1) * 100).write("arrays_of_arrays")
Gguf().raw("x", struct.pack("<IQ", STRING, 2**64 - 1)).write("word_overflows")
Gguf().raw("x", struct.pack("<I", 13)).write("type_unknown")
Gguf().set("x", ARRAY, (U8, [0] * 20000)).write("array_of_bytes")
Gguf().set("x", ARRAY, (STRING, [""] * 2000)).write("array_of_empty_words")
Gguf().tensor("a", (2**24, 2**24), offset=0).write("shape_overflows")
Gguf().tensor("a", (2**16, 2**16, 2**16, 2**16), offset=0).write("shape_overflows_with_four")
Gguf().tensor("a", (0,), offset=0).write("shape_of_nothing")
Gguf().tensor("a", (8,)).tensor("b", (8,), offset=0).write("overlapping")
Gguf().tensor("a", (8,), offset=2**64 - 32).write("offset_overflows")
Gguf().tensor("a", (33,), 8, offset=0).write("half_a_block")
Gguf().set("general.alignment", U32, 0).tensor("a", (8,)).write("alignment_of_nothing")
Gguf().set("general.alignment", U64, 2**63).tensor("a", (8,)).write("alignment_overflows")
Gguf().set("general.alignment", I32, -32).tensor("a", (8,)).write("alignment_below_zero")
gguf_llama().set("llama.attention.key_length", U32, 2**31 - 2).set("llama.rope.scale_linear", F32, 2.0).write(
    "heads_of_two_billion")
gguf_llama().set("llama.block_count", I64, 2**32 + 1).write("layers_of_four_billion_signed")
gguf_llama().set("llama.block_count", U32, 1024).write("layers_missing")
gguf_llama().set("llama.embedding_length", I32, -32).write("hidden_below_zero")
gguf_llama().set("llama.embedding_length", U32, 2**17).write("hidden_too_wide")
gguf_llama().set("llama.rope.freq_base", F32, float("nan")).write("rope_base_is_no_number")
gguf_llama().set("llama.rope.scale_linear", F32, float("inf")).write("rope_divided_by_infinity")
gguf_llama().set("llama.attention.layer_norm_rms_epsilon", F32, float("nan")).write("epsilon_is_no_number")
gguf_llama().set("general.architecture", STRING, b"\xff\x1b[31m").write("architecture_not_utf8")
gguf_llama().set("tokenizer.ggml.eos_token_id", U32, 2**32 - 1).write("end_token_of_four_billion")
gguf_tokenizer(Gguf(), merges=["a zz"]).write("merge_of_missing_tokens")
gguf_tokenizer(Gguf(), merges=["", " ", "  ", b"\xff \xfe"]).write("merges_of_nothing")
gguf_tokenizer(Gguf(), tokens=[*WORDS, b"\xed\xa0\x80"], types=[1] * 97 + [3]).write("added_token_is_surrogate")
gguf_tokenizer(Gguf(), types=[1]).write("one_token_type")
gguf_tokenizer(Gguf(), "llama-bpe").set("tokenizer.ggml.bos_token_id", I32, -1).write("start_token_below_zero")
gguf_tokenizer(Gguf(), "llama-bpe").set("tokenizer.ggml.bos_token_id", I64, 2**32).write("start_token_of_four_billion")
