#!/usr/bin/env python3
"""Compares `kvcache tokenize` with Hugging Face's tokenizers on many random strings, for every splitting rule.

Needs the PyPI package tokenizers, and for SmolLM2 also what make_smollm2.py needs (versions: README.md). CTest does not
run it: few machines have the package. Ends with status 1 if a string got other ids.
Usage: python compare_tokenizers.py PROGRAM [--strings 10000] [--seed 1] [--only NAME]
       PROGRAM is the command kvcache, such as ../../build/dev/bin/kvcache

Every character is in Unicode 14, so that an older Unicode table elsewhere cannot be the cause of a difference.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"

from tokenizers import Tokenizer, models
from tokenizers.pre_tokenizers import ByteLevel

GOLDENS = Path(__file__).resolve().parent
ROOT = GOLDENS.parents[1]
SMOLLM2 = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kvcache" / "smollm2.gguf"


def characters(*ranges):
    """The assigned characters of ranges "first-last", no surrogates."""
    codes = [code for first, last in ranges for code in range(first, last + 1)]
    return [chr(code) for code in codes if unicodedata.category(chr(code)) not in ("Cn", "Cs")]


EVERYTHING = characters((0, 0x10FFFF))
NUMBERS = [c for c in EVERYTHING if unicodedata.category(c)[0] == "N"]
MARKS = [c for c in EVERYTHING if unicodedata.category(c)[0] == "M"]
# Unicode's white space, and what looks like it but is none.
SPACES = [*" \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u180e\u200b\u2028\u2029\u202f\u205f\u2060\u3000\ufeff",
          *characters((0x2000, 0x200A))]
ENDINGS = ["s", "t", "re", "ve", "m", "ll", "d"]
CONTRACTIONS = [mark + ending + after for mark in ("'", "\u2019", "''", " '") for after in ("", "a", " ")
                for word in ENDINGS for ending in (word, word.upper(), word.capitalize(), "\u017f")]
WORDS = ("the The THE and of to in is it was for on with he she they that not are have from or one had by word but what "
         "all were we when your can said there use an each which do how if will up other about out many then them "
         "naïve café Straße déjà Größe мир люди Ελλάδα 人人 生而自由 すべて 모든 سلام שלום नमस्ते สวัสดี "
         "int return void #include std::vector x1 y2z snake_case CamelCase").split()

# The pieces that strings are made of, by kind.
KINDS = {
    "ASCII": characters((0x20, 0x7E)),
    "letters": characters((0x41, 0x5A), (0x61, 0x7A)) + [" "] * 10,
    "control": characters((0, 0x1F), (0x7F, 0x9F)),
    "spaces": SPACES,
    "blanks": [" ", " ", " ", "\n", "\n", "\t", "\r\n"],
    "digits": [*"0123456789"],
    "numbers": NUMBERS,
    "signs": [*".,;:!?-_()[]{}<>|/\\\"'`~@#$%^&*+="],
    "contractions": CONTRACTIONS,
    "Latin-1": characters((0xA0, 0xFF)),
    "European": characters((0x100, 0x52F), (0x1E00, 0x1FFF)),
    "CJK": characters((0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xFF00, 0xFFEF), (0x20000, 0x2A6DF)),
    "emoji": characters((0x1F300, 0x1FAFF), (0x2600, 0x27BF), (0x1F1E6, 0x1F1FF)) + ["\u200d", "\ufe0f", "\u20e3"] * 50,
    "marks": MARKS,
    "Arabic and Hebrew": characters((0x590, 0x6FF), (0x750, 0x77F), (0xFB1D, 0xFDFF), (0xFE70, 0xFEFE)),
    "Indic and Thai": characters((0x900, 0xDFF), (0xE00, 0xE7F)),
    "everything": EVERYTHING,
    "words": [before + word for word in WORDS for before in ("", " ")],
}


def fragments(tokenizer):
    """Texts of added tokens, whole and broken off, and texts of the vocabulary."""
    added = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    broken = [part for text in added for cut in range(1, len(text)) for part in (text[:cut], text[cut:])]
    learned = [tokenizer.decode([id], skip_special_tokens=False) for id in range(tokenizer.get_vocab_size())]
    assigned = lambda text: all(unicodedata.category(c) not in ("Cn", "Cs") for c in text)
    whole = [text for text in learned if "\ufffd" not in text and assigned(text)]
    return {"added": added, "broken": broken, "learned": whole}


def random_text(draw, kinds):
    """A few runs of pieces, each run of one kind; now and then one piece many times."""
    chosen = draw.sample(sorted(kinds), draw.randint(1, 4))
    text = ""
    for _ in range(draw.choice([1, 2, 3, 5, 8, 13])):
        pieces = kinds[draw.choice(chosen)]
        length = draw.choice([1, 1, 2, 3, 5, 8])
        if draw.random() < 0.15:
            text += draw.choice(pieces) * length
        else:
            text += "".join(draw.choice(pieces) for _ in range(length))
    return text


def folder_for(tokenizer_files, folder):
    """A model's folder around a tokenizer: the command asks for a config.json too."""
    config = json.loads((GOLDENS / "models" / "llama_mha" / "config.json").read_text())
    config["vocab_size"] = 1 << 20
    (folder / "config.json").write_text(json.dumps(config))
    for name, source in tokenizer_files.items():
        (folder / name).write_bytes(source.read_bytes())
    return folder


def old_tokenizer(folder):
    """As make_tokenizers.py describes what vocab.json and merges.txt leave out."""
    tokenizer = Tokenizer(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


def comparisons(room):
    """Name, rule, the model for the command, Hugging Face's tokenizer. `room` makes empty folders."""
    rules = {"gpt2_rule": "GPT-2", "prefix_space": "GPT-2, a space in front", "digits": "digits, then GPT-2",
             "llama3_rule": "Llama 3", "qwen2_rule": "Qwen2"}
    stored = {name: GOLDENS / "tokenizers" / f"{name}.json" for name in rules}
    for name, path in stored.items():
        yield name, rules[name], folder_for({"tokenizer.json": path}, room()), Tokenizer.from_file(str(path))
    old = GOLDENS / "tokenizers" / "vocab_merges"
    files = {name: old / name for name in ("vocab.json", "merges.txt")}
    yield "vocab_merges", "GPT-2", folder_for(files, room()), old_tokenizer(old)
    in_gguf = {"gpt2": "gpt2_rule", "llama3": "llama3_rule", "smollm": "digits", "qwen2": "qwen2_rule"}
    for name, source in in_gguf.items():
        path = GOLDENS / "gguf" / f"tokenizer_{name}.gguf"
        yield path.name, rules[source], path, Tokenizer.from_file(str(stored[source]))
    for name in ("tiny", "tiny-mha", "tiny-mqa"):
        path = ROOT / "models" / name / "tokenizer.json"
        yield name, "GPT-2", path.parent, Tokenizer.from_file(str(path))
    if SMOLLM2.exists():
        from make_smollm2 import make_tokenizer
        yield "SmolLM2", "digits, then GPT-2", SMOLLM2, make_tokenizer(SMOLLM2)
    else:
        print("SmolLM2 is not here: run scripts/fetch_model.sh smollm2")


def ids_of_command(program, model, texts, folder):
    lines = folder / "texts"
    lines.write_text("".join(json.dumps(text) + "\n" for text in texts))
    done = subprocess.run([program, "tokenize", "--model", str(model), "--json-lines", str(lines)], capture_output=True)
    if done.returncode:
        sys.exit(done.stderr.decode())
    return [json.loads(line) for line in done.stdout.splitlines()]


def compare(name, rule, model, tokenizer, options, folder):
    """Prints a line, and the first difference; returns how many there are."""
    draw = random.Random(f"{options.seed} {name}")
    kinds = {kind: pieces for kind, pieces in {**KINDS, **fragments(tokenizer)}.items() if pieces}
    texts = [random_text(draw, kinds) for _ in range(options.strings)]
    expected = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    got = ids_of_command(options.program, model, texts, folder)
    assert len(got) == len(texts)
    different = [i for i in range(len(texts)) if got[i] != expected[i]]
    print(f"{name:22} rule: {rule:24} {len(texts)} strings, {sum(map(len, texts))} characters, "
          f"{sum(map(len, expected))} ids: {len(different)} different", flush=True)
    if different:
        shortest = min(different, key=lambda i: len(texts[i]))
        for what, i in (("first", different[0]), ("shortest", shortest)):
            print(f"    {what}: {ascii(texts[i])}\n      Hugging Face {expected[i]}\n      kvcache      {got[i]}")
    return len(different)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("program", help="the command kvcache")
    arguments.add_argument("--strings", type=int, default=10000, help="for each tokenizer")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--only", default="", help="only tokenizers whose name contains this")
    options = arguments.parse_args()
    if tuple(map(int, unicodedata.unidata_version.split("."))) > (14, 0, 0):
        sys.exit(f"this Python knows Unicode {unicodedata.unidata_version}, PCRE2 10.42 only 14: use Python 3.11")
    with tempfile.TemporaryDirectory() as temporary:
        room = lambda: Path(tempfile.mkdtemp(dir=temporary))
        differences = 0
        for name, rule, model, tokenizer in comparisons(room):
            if options.only in name:
                differences += compare(name, rule, model, tokenizer, options, Path(temporary))
    sys.exit(differences > 0)
