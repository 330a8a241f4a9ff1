#!/usr/bin/env python3
"""Writes tokenizers/folders.json: what transformers makes of a text, when tokenizers/gpt2_rule.json lies in a folder with
other files that add tokens to it.

Needs the PyPI package transformers (version: README.md), without torch.
Usage: python make_folder_tokens.py [output folder; this script's folder when absent]
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from transformers import AutoTokenizer

CONFIG, ROLES, OLD = "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"
X = {"content": "<|x|>"}
SEVEN = {"pad_token": "<p>", "eos_token": "<e>", "bos_token": "<b>", "mask_token": "<m>", "cls_token": "<c>",
         "unk_token": "<u>", "sep_token": "<s>"}
FOLDERS = [
    ({}, "<|x|> <p>"),
    ({CONFIG: {"added_tokens_decoder": {"521": X, "523": {"content": "<|y|>", "lstrip": True}},
               "pad_token": {"__type": "AddedToken", "content": "<p>"}, "additional_special_tokens": ["Alice"]}},
     "<|x|>  <|y|><p> Alice"),
    ({CONFIG: {"added_tokens_decoder": {"600": X, "70": {"content": "<|y|>"}}}}, "<|x|><|y|>"),
    ({CONFIG: {"added_tokens_decoder": {"517": {"content": "<|endoftext|>", "lstrip": True, "rstrip": True}}}},
     "a <|endoftext|> b"),
    ({CONFIG: {"added_tokens_decoder": {"521": X}}, ROLES: {"eos_token": "<e>"}, OLD: {"<z>": 522}}, "<|x|><e><z>"),
    ({CONFIG: {}, ROLES: {"pad_token": "<p>"}, OLD: {"<z>": 530, "<y>": 525}}, "<z><y><p>"),
    ({CONFIG: {"eos_token": "<e>"}, ROLES: {"eos_token": "<f>"}}, "<e><f>"),
    ({CONFIG: SEVEN | {"additional_special_tokens": ["<a>"], "extra_special_tokens": {"image": "<i>"}}},
     "<b><e><u><s><p><c><m><a><i>"),
    ({CONFIG: {"eos_token": "the"}}, "the cat there"),
    ({CONFIG: {"pad_token": {"__type": "AddedToken", "content": "<p>", "lstrip": True, "rstrip": True}}}, "a <p> b"),
    ({CONFIG: {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": True}}, "Alice<|endoftext|>Alice"),
    ({CONFIG: {"add_prefix_space": True}}, "Alice"),
    ({CONFIG: {"extra_special_tokens": ["<i>"]}}, "<i>"),
]


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    written = []
    for files, text in FOLDERS:
        with tempfile.TemporaryDirectory() as model:
            shutil.copy(folder / "tokenizers/gpt2_rule.json", Path(model) / "tokenizer.json")
            (Path(model) / "config.json").write_text('{"model_type": "llama"}')
            for name, content in files.items():
                if name == CONFIG:
                    content.setdefault("tokenizer_class", "PreTrainedTokenizerFast")
                (Path(model) / name).write_text(json.dumps(content))
            ids = AutoTokenizer.from_pretrained(model).encode(text, add_special_tokens=False)
        written.append({"files": files, "text": text, "ids": ids})
        print(text, ids)
    rows = ",\n".join(json.dumps(each) for each in written)
    (folder / "tokenizers/folders.json").write_text("[\n" + rows + "\n]\n")


if __name__ == "__main__":
    main()
