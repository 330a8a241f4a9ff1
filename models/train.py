"""Trains the three embedded models. Run once by hand (README.md beside this file says how), never by the tests.

    python3 train.py data  --texts DIR --work DIR          the corpus and its tokenizer
    python3 train.py train --work DIR --model tiny         one of tiny (GQA), tiny-mha, tiny-mqa
    python3 train.py export --work DIR --model tiny        a Hugging Face folder beside this file

The three differ in the number of kv heads and in nothing else: same data, same order, same seed, same schedule.
"""

import argparse
import json
import math
import re
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

HERE = Path(__file__).parent
KV_HEADS = {"tiny": 2, "tiny-mha": 6, "tiny-mqa": 1}
LAYERS, HIDDEN, Q_HEADS, HEAD_DIM, FFN, VOCAB, POSITIONS = 6, 192, 6, 32, 512, 1024, 1024
ROPE_THETA, RMS_EPS = 10000.0, 1e-5
END_OF_TEXT = "<|endoftext|>"
BATCH, PEAK_RATE, WARMUP, SEED = 4, 2e-3, 100, 1616


# --- data ---------------------------------------------------------------------------------------------------------------
def read_texts(folder):
    """The 42 plays and poems in modern spelling, with line ends and blank lines made uniform."""
    for path in sorted(Path(folder).glob("*_gut.txt")):
        text = path.read_text(encoding="latin-1").replace("\r\n", "\n").replace("\t", " ")
        yield re.sub(r"\n{3,}", "\n\n", re.sub(r" +\n", "\n", text)).strip() + "\n"


def start_of_held_out(document):
    """The last twentieth of every text is kept for validation."""
    return document.rfind("\n", 0, len(document) * 19 // 20) + 1


def make_held_out(texts):
    """The ends of the first ten texts, which no model has seen: something to read for who measures."""
    ends = [document[start_of_held_out(document):] for document in list(read_texts(texts))[:10]]
    (HERE / "held_out.txt").write_text("\n".join(ends))


def make_data(texts, work):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    documents = list(read_texts(texts))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(documents, trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=[END_OF_TEXT], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    work.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(work / "tokenizer.json"))
    end = tokenizer.token_to_id(END_OF_TEXT)
    train, held_out = [], []
    for document in documents:
        cut = start_of_held_out(document)
        train += [end] + tokenizer.encode(document[:cut]).ids
        held_out += [end] + tokenizer.encode(document[cut:]).ids
    torch.save({"train": torch.tensor(train), "held_out": torch.tensor(held_out)}, work / "data.pt")
    characters = sum(map(len, documents))
    print(f"{len(documents)} texts, {characters:,} characters; {len(train):,} tokens to train on, "
          f"{len(held_out):,} held out; {characters / (len(train) + len(held_out)):.2f} characters a token")


# --- the model: the Llama family, names as in Hugging Face's folders -----------------------------------------------------
class Attention(nn.Module):
    def __init__(self, kv_heads):
        super().__init__()
        self.kv_heads = kv_heads
        self.q_proj = nn.Linear(HIDDEN, Q_HEADS * HEAD_DIM, bias=False)
        self.k_proj = nn.Linear(HIDDEN, kv_heads * HEAD_DIM, bias=False)
        self.v_proj = nn.Linear(HIDDEN, kv_heads * HEAD_DIM, bias=False)
        self.o_proj = nn.Linear(Q_HEADS * HEAD_DIM, HIDDEN, bias=False)

    def forward(self, x, cos, sin):
        batch, tokens, _ = x.shape
        def heads(y, n):
            return y.view(batch, tokens, n, HEAD_DIM).transpose(1, 2)  # [batch, n, tokens, head_dim]
        def turn(y):  # half-split rope
            a, b = y.chunk(2, -1)
            return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).to(y.dtype)
        q, k, v = heads(self.q_proj(x), Q_HEADS), heads(self.k_proj(x), self.kv_heads), heads(self.v_proj(x), self.kv_heads)
        group = Q_HEADS // self.kv_heads
        k, v = turn(k).repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        y = F.scaled_dot_product_attention(turn(q), k, v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(batch, tokens, Q_HEADS * HEAD_DIM))


class FeedForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate_proj = nn.Linear(HIDDEN, FFN, bias=False)
        self.up_proj = nn.Linear(HIDDEN, FFN, bias=False)
        self.down_proj = nn.Linear(FFN, HIDDEN, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, kv_heads):
        super().__init__()
        self.self_attn, self.mlp = Attention(kv_heads), FeedForward()
        self.input_layernorm = nn.RMSNorm(HIDDEN, RMS_EPS)
        self.post_attention_layernorm = nn.RMSNorm(HIDDEN, RMS_EPS)

    def forward(self, x, cos, sin):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Llama(nn.Module):
    def __init__(self, kv_heads):
        super().__init__()
        self.model = nn.ModuleDict({
            "embed_tokens": nn.Embedding(VOCAB, HIDDEN),
            "layers": nn.ModuleList(Layer(kv_heads) for _ in range(LAYERS)),
            "norm": nn.RMSNorm(HIDDEN, RMS_EPS)})
        angle = torch.arange(POSITIONS)[:, None] * ROPE_THETA ** (-torch.arange(0, HEAD_DIM, 2) / HEAD_DIM)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)
        for name, p in self.named_parameters():
            if p.dim() == 2:  # smaller where the result is added to the residual stream
                nn.init.normal_(p, std=0.02 / (math.sqrt(2 * LAYERS) if "o_proj" in name or "down_proj" in name else 1))

    def forward(self, ids):
        x = self.model["embed_tokens"](ids)
        for layer in self.model["layers"]:
            x = layer(x, self.cos[:ids.shape[1]], self.sin[:ids.shape[1]])
        return F.linear(self.model["norm"](x), self.model["embed_tokens"].weight)  # tied


# --- training -----------------------------------------------------------------------------------------------------------
def loss_of(model, ids):  # ids [batch, tokens + 1]
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(ids[:, :-1])
    return F.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten())


def rows_of(data, starts):
    return torch.stack([data[s:s + POSITIONS + 1] for s in starts])


@torch.no_grad()
def validation_loss(model, held_out):
    starts = range(0, len(held_out) - POSITIONS - 1, POSITIONS)
    batches = [rows_of(held_out, starts[i:i + BATCH]) for i in range(0, len(starts), BATCH)]
    return sum(loss_of(model, b).item() * len(b) for b in batches) / len(starts)


def train(work, name, steps):
    torch.manual_seed(SEED)
    order = torch.Generator().manual_seed(SEED)
    data = torch.load(work / "data.pt")
    model = Llama(KV_HEADS[name])
    matrices = [p for p in model.parameters() if p.dim() == 2]
    vectors = [p for p in model.parameters() if p.dim() != 2]
    optimiser = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
                                  lr=PEAK_RATE, betas=(0.9, 0.95), fused=True)
    fast = torch.compile(model)
    log, start, seen = (work / f"{name}.log").open("w"), time.time(), []
    for step in range(steps + 1):
        if step % 50 == 0:
            line = {"step": step, "seconds": round(time.time() - start), "train": round(sum(seen) / max(1, len(seen)), 4)}
            if step % 200 == 0 or step == steps:
                line["held_out"] = round(validation_loss(fast, data["held_out"]), 4)
            print(name, line, file=log, flush=True)
            seen = []
            torch.save(model.state_dict(), work / f"{name}.pt")
        done = max(0, step - WARMUP) / max(1, steps - WARMUP)
        rate = PEAK_RATE * min(1, (step + 1) / WARMUP) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        starts = torch.randint(len(data["train"]) - POSITIONS - 1, (BATCH,), generator=order)
        loss = loss_of(fast, rows_of(data["train"], starts))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        seen.append(loss.item())


def export(work, name):
    from safetensors.torch import save_file

    folder = HERE / name
    folder.mkdir(exist_ok=True)
    state = torch.load(work / f"{name}.pt")
    save_file({k: v.half().contiguous() for k, v in state.items()}, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_hidden_layers": LAYERS,
        "hidden_size": HIDDEN, "num_attention_heads": Q_HEADS, "num_key_value_heads": KV_HEADS[name],
        "head_dim": HEAD_DIM, "intermediate_size": FFN, "vocab_size": VOCAB, "max_position_embeddings": POSITIONS,
        "hidden_act": "silu", "rms_norm_eps": RMS_EPS, "rope_theta": ROPE_THETA, "tie_word_embeddings": True,
        "attention_bias": False, "mlp_bias": False, "bos_token_id": 0, "eos_token_id": 0, "torch_dtype": "float16",
    }, indent=2) + "\n")
    (folder / "tokenizer.json").write_bytes((work / "tokenizer.json").read_bytes())


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("what", choices=["data", "held-out", "train", "export"])
    options.add_argument("--texts", help="folder with the *_gut.txt files of the package shakespeare")
    options.add_argument("--work", type=Path, required=True, help="folder for what lies between the steps")
    options.add_argument("--model", choices=KV_HEADS, default="tiny")
    options.add_argument("--steps", type=int, default=1400)
    given = options.parse_args()
    if given.what == "data":
        make_data(given.texts, given.work)
    elif given.what == "held-out":
        make_held_out(given.texts)
    elif given.what == "train":
        train(given.work, given.model, given.steps)
    else:
        export(given.work, given.model)
