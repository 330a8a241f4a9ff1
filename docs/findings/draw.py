#!/usr/bin/env python3
"""Makes tables (printed) and pictures (SVG) of the JSON files that run.sh wrote: python3 docs/findings/draw.py"""

import json
import re
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
KVCACHE = HERE.parents[1] / "build/release/bin/kvcache"


def runs_of(name):
    return json.loads((HERE / f"{name}.json").read_text())["runs"]


def option(run, name):
    return int(re.search(rf"\b{name}=(\d+)", run["cache"])[1])


def loss(run):
    return f"{run['mean_nll']:.4f} ± {run['standard_error']:.3f}"


def divergence(run):
    return f"{run['kl_divergence']:.2g} ± {run['kl_divergence_error']:.1g}"


def table(title, names, rows):
    print(f"\n### {title}\n| {' | '.join(names)} |\n|{' --- |' * len(names)}")
    for row in rows:
        print(f"| {' | '.join(str(cell) for cell in row)} |")


def picture(name, title, x, y, curves, *options):
    """curves: {name: {x: (y, error)}}"""
    xs = sorted({point for curve in curves.values() for point in curve})
    lines = [",".join([x] + [f'"{c}","{c} error"' for c in curves])]
    for point in xs:
        cells = [f"{curve[point][0]:.6g},{curve[point][1]:.3g}" if point in curve else "," for curve in curves.values()]
        lines.append(",".join([f"{point:g}"] + cells))
    csv = HERE / f"{name}.csv"
    csv.write_text("\n".join(lines) + "\n")
    subprocess.run([KVCACHE, "plot", csv, HERE / f"{name}.svg", "--title", title + " · MEASURED", "--x", x, "--y", y,
                    "--marks", *options], check=True)


def sinks():
    whole, *windows = runs_of("sinks")
    table("Sinks, 256 tokens kept", ["sinks", "loss", "same top token"],
          [["all tokens kept", loss(whole), "100 %"]] +
          [[option(r, "sinks"), loss(r), f"{100 * r['top1_agreement']:.1f} %"] for r in windows])
    picture("sinks", "SmolLM2, a window of 256 tokens in all", "sinks", "loss, nats a token",
            {"window": {option(r, "sinks"): (r["mean_nll"], r["standard_error"]) for r in windows},
             "all tokens kept": {x: (whole["mean_nll"], whole["standard_error"]) for x in (0, 8)}}, "--from-data")


def sides():
    _, *runs = runs_of("sides")
    table("Scales of keys and values", ["bits", "keys", "values", "KL divergence", "loss", "bytes"],
          [[option(r, "bits"), *(re.search(rf"{s}-per=(\w+)", r["cache"])[1] for s in ("keys", "values")),
            divergence(r), loss(r), f"{r['used_bytes']:,}"] for r in runs])


def bits():
    _, *runs = runs_of("bits")
    table("Bits of keys and values", ["key bits", "value bits", "KL divergence", "loss", "bytes"],
          [[option(r, "key-bits"), option(r, "value-bits"), divergence(r), loss(r), f"{r['used_bytes']:,}"] for r in runs])
    picture("bits", "SmolLM2, KIVI's rows", "bits of the values", "KL divergence, nats",
            {f"keys of {k} bits": {option(r, "value-bits"): (r["kl_divergence"], r["kl_divergence_error"])
                                   for r in runs if option(r, "key-bits") == k} for k in (8, 4, 2)}, "--log-x")


def budgets():
    whole, *runs = runs_of("budgets")
    names = {"window:sinks=0": "window", "window:sinks=4": "window, 4 sinks", "heavy-hitter": "heavy hitters",
             "random": "by lot"}
    curves = {name: {} for name in names.values()}
    for r in runs:
        key = next(k for k in names if r["cache"].startswith(k))
        budget = option(r, "recent") + option(r, "sinks") if "window" in key else option(r, "budget")
        curves[names[key]][budget] = (r["mean_nll"], r["standard_error"])
    table("Equal budgets: loss", ["tokens kept", *curves],
          [[b, *(f"{c[b][0]:.4f} ± {c[b][1]:.3f}" for c in curves.values())] for b in sorted(curves["window"])])
    print(f"\nall tokens kept: {loss(whole)}")
    best = {k: v for k, v in curves.items() if k != "window"}
    picture("budgets", "SmolLM2, equal budgets", "tokens kept", "loss, nats a token",
            best | {"all tokens kept": {x: (whole["mean_nll"], whole["standard_error"]) for x in (64, 512)}},
            "--log-x", "--from-data")


def heads():
    models = {"tiny-mha": "MHA, 6 kv heads", "tiny": "GQA, 2", "tiny-mqa": "MQA, 1"}
    runs = {m: runs_of(f"heads-{m}")[0] for m in models}
    tokens = json.loads((HERE / "heads-tiny.json").read_text())["tokens"] - 1
    table("Kv heads", ["model", "loss", "cache, bytes a token"],
          [[models[m], loss(r), f"{r['used_bytes'] // tokens:,}"] for m, r in runs.items()])
    picture("heads", "The embedded models", "bytes a token", "loss, nats a token",
            {"models": {r["used_bytes"] / tokens: (r["mean_nll"], r["standard_error"]) for r in runs.values()}},
            "--from-data")


def long():
    """Means over the first n tokens, for five n; the loss of each stretch between them follows."""
    table("A text of 20,000 tokens", ["tokens", "loss", "bytes"], stretches())


def stretches():
    rows, tokens_before, sum_before = [], 0, 0
    for tokens in range(4000, 20001, 4000):
        run = runs_of(f"long-{tokens}")[0]
        predicted = tokens - 1
        total = run["mean_nll"] * predicted
        error = run["standard_error"] * (predicted / (predicted - tokens_before)) ** 0.5  # as if spread evenly
        rows.append([f"{tokens - 4000:,} to {tokens:,}",
                     f"{(total - sum_before) / (predicted - tokens_before):.3f} ± {error:.3f}", f"{run['used_bytes']:,}"])
        tokens_before, sum_before = predicted, total
    return rows


if __name__ == "__main__":
    for finding in (sinks, sides, bits, budgets, heads, long):
        finding()
