#!/usr/bin/env python3
"""Writes small byte-level BPE tokenizers and what they make of nasty strings: tokenizers/<name>{.json, .golden.json},
one as folders of GPT-2 once held it: tokenizers/vocab_merges/{vocab.json, merges.txt, golden.json}, and what changes
when parts of a tokenizer.json are replaced: tokenizers/changes.json.

Needs the PyPI package tokenizers (version: README.md).
Usage: python make_tokenizers.py [output folder; this script's folder when absent]

Every character in TEXTS is in Unicode 14, so that an older Unicode table elsewhere cannot be the cause of a difference.
"""

import json
import os
import sys
import unicodedata
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

# Lewis Carroll, "Alice's Adventures in Wonderland" (1865); the Universal Declaration of Human Rights, article 1; code.
CORPUS = """\
Alice was beginning to get very tired of sitting by her sister on the bank, and of having nothing to do: once or twice
she had peeped into the book her sister was reading, but it had no pictures or conversations in it, "and what is the
use of a book," thought Alice "without pictures or conversations?"
So she was considering in her own mind (as well as she could, for the hot day made her feel very sleepy and stupid),
whether the pleasure of making a daisy-chain would be worth the trouble of getting up and picking the daisies, when
suddenly a White Rabbit with pink eyes ran close by her.
There was nothing so very remarkable in that; nor did Alice think it so very much out of the way to hear the Rabbit say
to itself, "Oh dear! Oh dear! I shall be late!" It's true, she'd think; they're late, we've time, I'm here, he'll come.
DON'T say IT'S late, SHE'LL think, WE'RE here. In 1865 there were 12 pages; 2024, 100, 3.14159, 1000000.
All human beings are born free and equal in dignity and rights.
Alle Menschen sind frei und gleich an Würde und Rechten geboren. Größe, Straße, Füße.
Tous les êtres humains naissent libres et égaux en dignité et en droits. L'été, déjà vu, naïve café.
Todos los seres humanos nacen libres e iguales en dignidad y derechos. ¿Qué? ¡Mañana!
Все люди рождаются свободными и равными в своём достоинстве и правах.
人人生而自由,在尊严和权利上一律平等。すべての人間は、生まれながらにして自由であり、モデル。
모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.
يولد جميع الناس أحرارا متساوين في الكرامة والحقوق. כל בני האדם נולדו בני חורין ושווים בערכם.
सभी मनुष्यों को गौरव और अधिकारों के विषय में जन्मजात स्वतन्त्रता प्राप्त है। มนุษย์ทั้งหลายเกิดมามีอิสระ
😀 😀 👍🏽 👩‍👩‍👧 🇬🇧 🇫🇷 ❤️
def add(first, second):
    return first + second
\tfor (int i = 0; i < 10; ++i) { total += values[i]; }
template <typename T> std::vector<T> copy(const std::vector<T>& values);
#include <vector>
{"key": [1, 2, 3], "name": "value"} // https://example.org/index.html?page=1&size=20
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa --------------------------------        ........
"""

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")  # every digit alone; without the normaliser NFC, which GGUF cannot hold

# Any two neighbours in these strings become one token, whether the rules split between them or not. Without that a
# wrong split at a rare character would not show, because its bytes would never merge anyway.
BOUNDARIES = [
    "\u180e\u180ea", " \u180e a", "\u0085\u0085 a", "a\u0085", "a\u00a0b", " \u00a0 a", "\u3000\u3000a",
    "\u2028\n\u2029", "a\u2028b", "a\u200bb", " \u200b ", "\ufeffB", "\x1c\x1d a", "a \x0b \x0c b", "x'\u017f y",
    "'s'S", "'ll'LL", "'sa", "\u0660\u0661\u0662", "\u0967\u0968\u0969 12", "x\u00b2", "\u2167 \u00bd", "\uff11\uff12",
    "\u3007\u4e00\u4e8c", "12345", "a1b", "e\u0301\u0302", " \u0301a", "b\u0488", "\u00aa \u00ba", "\u0938\u094d\u0935",
    "\u0e27\u0e31\u0e2a", "\r\n\r\n", "\n a", "\n \n", ".\n\n", "!!\r\n", "\t\ta", "a   b", "\u200d\U0001f467",
    "\ue000\uf8ff", "1\u00b2\u00bd!", "\u2460)\u2167.", "\u00bc\u0661.", "'Sa'LLx", "'\u017fa", "'Mx",
    *["Sa", "\u017fa", "Mx"] * 3,  # so often that they merge before the apostrophe can
]

# In the vocabulary, but no merges lead to it: only `ignore_merges` may give it.
UNREACHABLE = "Ġzzyzx"

ADDED = [
    AddedToken("<|endoftext|>", special=True, normalized=False),
    AddedToken("<tool>", special=False),
    AddedToken("<tool>>", special=False),  # begins with another added token: the longer one wins
    # Not ASCII, and found inside words. Not "été": all its letters are in the byte alphabet too, so that tokenizers
    # decodes it as if they stood for bytes, to U+FFFD t U+FFFD.
    AddedToken("日本", special=False),
]

# name: (pre-tokeniser, vocabulary learned, ignore_merges, `<|endoftext|>` gets id 0, merges as "a b")
VARIANTS = {
    "gpt2_rule": (pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True), 370, False, False, True),
    "prefix_space": (pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=True), 350, False, False, False),
    "digits": (pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]),
               360, False, True, False),
    "llama3_rule": (pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
                                             pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
                    390, True, False, False),
    "qwen2_rule": (pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN2), "isolated"),
                                            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
                   380, False, False, False),
}

# Characters that are hard to see or to keep in an editor are written as escapes.
TEXTS = [
    "", " ", "  ", "   ", "a", " a", "a ", "  a", "a  ", "   a   b    c     ", " " * 300,
    "\t", "\t\t", "a\tb", "\ta", " \ta", "\t a", "a \t b",
    "\n", "\n\n", "\n\n\n", "a\nb", "a\n\nb", "a \n b", " \n \n ", "\n a", "a\r\nb", "\r\n\r\n", "\r", "a\rb",
    "\n\r\n\r",
    "end.\n", "end.\n\n", "end!!\r\n\r\nnext", "a\x0bb\x0cc", "a \x0b \x0c b", "\x1c\x1d\x1e\x1f a\x1cb", "a\x7fb",
    "Hello, world!", "Hello world", "  Hello   world  ", "Alice was beginning to get very tired of sitting.",
    "0", "7", "42", "100", "2024", "12345678901234567890", "3.14159", "1,000,000", "1 2  3   45", "a1b22c333", " 1",
    "  12",
    "\u0660\u0661\u0662\u0663", "\u0967\u0968\u0969 12", "x\u00b2 + y\u00b3 = z\u00b9",
    "H\u2082O \u2460\u2461 \u2167 \u00bd\u2153",
    "\uff11\uff12\uff13", "\u3007\u4e00\u4e8c\u4e09", "\u3021\u3022 \u09f4",
    "1\u00b2\u00bd! (\u2460)\u2167. \u00bc\u0661.", "\U0001d7d8\U0001d7d9\U0001d7da",
    "it's I'm you're we've he'll she'd don't", "IT'S I'M YOU'RE WE'VE HE'LL SHE'D DON'T", "It'S i'M He'Ll", "'s", "'S",
    "'ll",
    "'LL", " 's", "''s", "'sa", "'Sa x'Mx'LLx", "'\u017fa", "'tis", "'re're", "x'\u017f y'\u017f",
    "it\u2019s don\u2019t", "'", "''''", "a'b'c",
    "caf\u00e9", "cafe\u0301", "\u0301a", " \u0301", "e\u0301\u0302\u0323 o\u0308", "\u1e69 s\u0323\u0307",
    "\u00c5 A\u030a \u212b",
    "\ufb01ne \ufb03 \u01c6 \u00df \u1e9e \u0130 \u0131", "a\u20dd b\u0488", "\u00aa \u00ba \u02b0 \u02c8",
    "\U0001f600", "\U0001f600\U0001f600", "a\U0001f600b", " \U0001f600 ",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
    "\U0001f44d\U0001f3fb\U0001f44d\U0001f3fd\U0001f44d\U0001f3ff", "\U0001f9d1\U0001f3fe\u200d\U0001f680",
    "\U0001f1ec\U0001f1e7\U0001f1eb\U0001f1f7 \U0001f1ec", "\u2764\ufe0f \u2764 1\ufe0f\u20e3",
    "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "\u4eba\u4eba\u751f\u800c\u81ea\u7531", "\u4eba 1 \u4eba2 \u3001\u3002\u300c\u5f15\u7528\u300d",
    "\u3059\u3079\u3066\u306e\u30e2\u30c7\u30eb\u30fc",
    "\ubaa8\ub4e0 \uc778\uac04\uc740", "\u1106\u1169\u1103\u1173\u11ab", "\U00020000\U0002a6d6\U00030000",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0643",
    "\u0645\u064e\u0631\u0652\u062d\u064e\u0628\u064b\u0627\u060c \u061f",
    "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd",
    "\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd",
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e\u0964",
    "\u0938\u094d\u0935\u0924\u0928\u094d\u0924\u094d\u0930\u0924\u093e",
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01",
    "\u0412\u0441\u0435 \u043b\u044e\u0434\u0438 \u0440\u0430\u0432\u043d\u044b",
    "\u039f\u03b4\u03c5\u03c3\u03c3\u03b5\u03cd\u03c2 \u1f08\u03c1\u03c7\u03ae",
    "\u1e9e\u00df\u0141\u00f3d\u017a \u0110\u1ea1i",
    "a\u200bb", "\u200b", " \u200b ", "a\u200cb\u200dc\u2060d", "a\u00adb", "\u200e\u202babc\u202c\u200f",
    "a\u00a0b", "\u00a0", " \u00a0 a", "\u00a0\u00a0a", "a\u3000b", "\u3000\u3000a", "a\u2028b\u2029c",
    "\u2028\n\u2029", "a\u0085b", "\u0085\u0085 a",
    "a\u180eb", " \u180e a", "\u180e\u180ea", "a\u1680b\u2002c\u2003d\u2009e\u202ff\u205fg", "\u2003\u2003\u2003a",
    "\x00", "a\x00b", " \x00 \x00", "\x01\x02\x03", "\u0080\u0090\u009f", "\ufeffBOM", "a\ufeffb", "\ufeff\ufeff",
    "\ue000\uf8ff", "a\ue000b", "\U000f0000\U0010fffd", "\ufffd\ufffc", "\u2400\u2588\u2593",
    "\U0001d400\U0001d4b7\U0001d51e", "\U00010330\U00010380 \U00012000\U00013000",
    "a" * 2000, "ab" * 200, "-" * 200, "\u4eba" * 60, "\U0001f600" * 40, "\n" * 100, "1" * 100, "!?" * 30,
    "int main() { return 0; }", "for (int i = 0; i < 10; ++i) {\n    total += values[i];\n}\n",
    "\tif x:\n\t\treturn  y  # why?\n\n\n",
    "std::vector<std::pair<int, float>>& values", "a==b&&c!=d||e<=f->g", "#define MAX(a,b) ((a)>(b)?(a):(b))",
    "x_1 = snake_case + CamelCase2Snake",
    "https://example.org/a/b.html?x=1&y=%20#top", "user.name+tag@example.com", "C:\\path\\new\\table.txt",
    "<a href=\"#\">b</a>", "{\"a\":[1,2,{\"b\":null}]}",
    "$5.00 \u20ac3 \u00a34 \u00a55", "50% of 1/2 #3 @me ~~ ^^ `code`",
    "\u2014\u2013-\u2212 \u2026 \u00ab\u00bb \u201cquoted\u201d", "\u2211\u222b\u221e\u2260\u2264 \u03c0r\u00b2",
    "<|endoftext|>", "a<|endoftext|>b", "a <|endoftext|> b", " <|endoftext|>", "<|endoftext|> ",
    "<|endoftext|><|endoftext|>", "<|endoftext|>\n<|endoftext|>",
    "<tool>", "a<tool>b", "call <tool> now", "<tool><tool>", "<tool>>", "<tool>>>", "<tool><|endoftext|><tool>>",
    "<tool", "<|endoftext|", "<|endof<|endoftext|>text|>",
    "<<tool>", "<TOOL>", "<|ENDOFTEXT|>", "< tool >", "<to<tool>ol>", "'<tool>'s", "  <tool>  ", "1<tool>2",
    "\u00e9t\u00e9", "l'\u00e9t\u00e9 d\u00e9j\u00e0", "e\u0301te\u0301", "\u65e5\u672c", "\u65e5\u672c\u8a9e",
    "a\u65e5\u672cb \u65e5\u672c", "\u65e5 \u672c", "r\u00e9p\u00e9t\u00e9 \u00e9t\u00e9s",
    " zzyzx", "zzyzx", "a zzyzx b", " zzyzxs", "\n zzyzx",
    "\u0120", "\u010a", "\u0120a", "\u0120\u010a\u0109", "\u0120the\u0120cat", "a \u0120 b", "\u00c3\u00a9",
    "\u0100\u0143\u0142\u0121",
]


def byte_letters(text):
    """The byte alphabet's spelling of a text: one printable letter for each byte of UTF-8."""
    [(letters, _)] = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)
    return letters


def learned_merges(pre_tokenizer, texts, size, special_tokens=()):
    """Trains on the texts; returns the merges, best first, and the vocabulary."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizer
    trained.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=size, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(special_tokens)))
    model = json.loads(trained.to_str())["model"]
    return [tuple(pair) for pair in model["merges"]], model["vocab"]


def learn(pre_tokenizer, size, special_first):
    """The vocabulary of a tokenizer for TEXTS, without those added tokens that get an id at its end, and its merges."""
    merges, vocabulary = learned_merges(pre_tokenizer, CORPUS.splitlines(keepends=True), size,
                                        ["<|endoftext|>"] if special_first else [])
    unsplit = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    neighbours = [text[i:i + 2] for text in BOUNDARIES for i in range(len(text) - 1)]
    for pair in learned_merges(unsplit, neighbours, 1000)[0]:
        if "".join(pair) not in vocabulary:
            vocabulary["".join(pair)] = len(vocabulary)
            merges.append(pair)
    vocabulary[byte_letters(" zzyzx")] = len(vocabulary)
    assert byte_letters(" zzyzx") == UNREACHABLE
    return vocabulary, merges


def write_golden(path, tokenizer):
    rows = []
    for text in TEXTS:
        ids = tokenizer.encode(text).ids
        decoded = tokenizer.decode(ids, skip_special_tokens=False)
        rows.append(json.dumps({"text": text, "ids": ids, "decoded": decoded}))
    path.write_text("[\n" + ",\n".join(rows) + "\n]\n", encoding="ascii")
    print(f"{path.parent.name}/{path.name}: {tokenizer.get_vocab_size()} tokens, {len(rows)} texts")


def make(name, pre_tokenizer, size, ignore_merges, special_first, old_merges, out):
    vocabulary, merges = learn(pre_tokenizer, size, special_first)
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)  # moves offsets only, never ids
    tokenizer.add_special_tokens([token for token in ADDED if token.special])
    tokenizer.add_tokens([token for token in ADDED if not token.special])

    path = out / "tokenizers" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path))
    if old_merges:  # as tokenizers before 0.20 wrote them
        content = json.loads(path.read_text(encoding="utf-8"))
        content["model"]["merges"] = [" ".join(pair) for pair in content["model"]["merges"]]
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    write_golden(path.with_suffix(".golden.json"), Tokenizer.from_file(str(path)))


def make_vocab_merges(out):
    """What OpenAI published and old folders hold: no rule, no list of added tokens, letters beyond ASCII escaped."""
    rule = VARIANTS["gpt2_rule"][0]
    vocabulary, merges = learn(rule, 370, False)
    merges.insert(0, ("#", '"'))  # its line looks like a comment, but only "#version" is one
    vocabulary['#"'] = len(vocabulary)
    vocabulary["<|endoftext|>"] = len(vocabulary)  # an ordinary entry, the last one; a reader must know its meaning
    folder = out / "tokenizers" / "vocab_merges"
    folder.mkdir(parents=True, exist_ok=True)
    by_id = dict(sorted(vocabulary.items(), key=lambda entry: entry[1]))
    (folder / "vocab.json").write_text(json.dumps(by_id), encoding="ascii")
    lines = ["#version: 0.2"] + [" ".join(pair) for pair in merges]
    (folder / "merges.txt").write_text("".join(line + "\n" for line in lines), encoding="utf-8")

    stored = Tokenizer(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
    stored.pre_tokenizer = rule
    stored.decoder = decoders.ByteLevel()
    stored.add_special_tokens([token for token in ADDED if token.special])
    assert stored.get_vocab_size() == len(vocabulary)
    assert any(vocabulary['#"'] in stored.encode(text).ids for text in TEXTS)
    write_golden(folder / "golden.json", stored)


def split(pattern, behavior, invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


def make_changes(out):
    """Changes of a tokenizer (as RFC 7396 merges JSON), each with the ids of TEXTS that differ between any of them."""
    whole = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    steps = {"removed, inverted": [split({"Regex": QWEN2}, "Removed", True)],
             "removed": [split({"Regex": r"\s+"}, "Removed")],
             "removed, inverted, words only": [split({"Regex": r"\p{L}+"}, "Removed", True)],
             "punctuation": [{"type": "Punctuation", "behavior": "Isolated"}],
             "punctuation, contiguous": [{"type": "Punctuation", "behavior": "Contiguous"}]}
    for behavior in ("Isolated", "Contiguous", "MergedWithPrevious", "MergedWithNext"):
        for invert in (False, True):
            steps[f"{behavior}, {invert}"] = [split({"Regex": r"[aeiou ]"}, behavior, invert)]
    changes = {name: {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [*step, whole]}}
               for name, step in steps.items()}
    small = Tokenizer(models.BPE())
    small.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    small.train_from_iterator(["the cat sat on the mat, the rat ate it"], trainers.BpeTrainer(vocab_size=40, show_progress=False))
    model = json.loads(small.to_str())["model"]
    everything = {token: None for token in json.loads((out / "tokenizers/gpt2_rule.json").read_text())["model"]["vocab"]}
    for unknown, fuse in ((None, False), ("a", False), ("a", True)):
        changes[f"small alphabet, {unknown}, {fuse}"] = {
            "added_tokens": None, "model": {"vocab": {**everything, **model["vocab"]}, "merges": model["merges"],
                                            "unk_token": unknown, "fuse_unk": fuse}}

    def merge(target, patch):
        if not isinstance(patch, dict):
            return patch
        target = dict(target) if isinstance(target, dict) else {}
        for key, value in patch.items():
            if value is None:
                target.pop(key, None)
            else:
                target[key] = merge(target.get(key), value)
        return target

    written = []
    base = json.loads((out / "tokenizers/gpt2_rule.json").read_text())
    texts = [text for text in TEXTS if len(text) < 60][::4]
    for name, change in changes.items():
        content = merge(base, change)
        tokenizer = Tokenizer.from_str(json.dumps({"added_tokens": [], **content}))
        if "model" in change:  # the vocabulary is replaced, so it need not name what goes
            change["model"]["vocab"] = model["vocab"]
        written.append({"name": name, "change": change, "ids": [tokenizer.encode(text).ids for text in texts]})
    (out / "tokenizers/changes.json").write_text(json.dumps({"texts": texts, "changes": written}) + "\n", encoding="ascii")
    print(f"tokenizers/changes.json: {len(written)} changes, {len(texts)} texts")


if __name__ == "__main__":
    assert len(TEXTS) == len(set(TEXTS)), "a text stands twice"
    if unicodedata.unidata_version == "14.0.0":  # Python 3.11
        assert all(unicodedata.category(letter) != "Cn" for text in TEXTS for letter in text)
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for name, variant in VARIANTS.items():
        make(name, *variant, out)
    make_vocab_merges(out)
    make_changes(out)
