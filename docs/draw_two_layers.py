"""Draws docs/pictures/two_layers.svg: what the key of one token in the second layer is made of.

    python3 docs/draw_two_layers.py
"""

from pathlib import Path

TOKENS = ["To", "be", ",", "or"]
SHOWN = 2  # the token whose key in layer 1 is looked at
PLAIN, USED, GOAL = "#b9c3cd", "#2a6fb0", "#d97706"
WIDTH, COLUMN, LEFT = 860, 180, 130
ROWS = {"in": 500, "qkv0": 410, "x1": 270, "qkv1": 180, "out": 60}  # heights, from the bottom of the text to the top

parts = []


def x_of(token, part=1):
    """The middle of a token's column; of its query, key and value, part 0, 1 and 2."""
    return LEFT + COLUMN * token + 74 + (part - 1) * 46


def box(x, y, width, words, colour, filled=False):
    ink = "#ffffff" if filled else "#1c2733"
    parts.append(f'<rect x="{x - width / 2:g}" y="{y - 15}" width="{width}" height="30" rx="5" '
                 f'fill="{colour if filled else "#ffffff"}" stroke="{colour}" stroke-width="2"/>')
    parts.append(f'<text x="{x:g}" y="{y + 5}" text-anchor="middle" fill="{ink}">{words}</text>')


def line(x0, y0, x1, y1, used):
    parts.append(f'<line x1="{x0:g}" y1="{y0}" x2="{x1:g}" y2="{y1}" stroke="{USED if used else PLAIN}" '
                 f'stroke-width="{2.5 if used else 1}"/>')


def note(y, words):
    parts.append(f'<text x="12" y="{y + 5}" fill="#52606d">{words}</text>')


for token in range(len(TOKENS)):  # lines first: boxes lie over them
    seen = token <= SHOWN  # the key that is looked at depends on this token's embedding
    for part in range(3):
        used = token == SHOWN if part == 0 else seen
        line(x_of(token), ROWS["in"] - 15, x_of(token, part), ROWS["qkv0"] + 15, used)
        line(x_of(token), ROWS["x1"] - 15, x_of(token, part), ROWS["qkv1"] + 15, token == SHOWN and part == 1)
    for later in range(token, len(TOKENS)):  # a token takes from itself and from those before it
        for layer, top in (("qkv0", "x1"), ("qkv1", "out")):
            used = layer == "qkv0" and later == SHOWN
            for part in (1, 2):
                line(x_of(token, part), ROWS[layer] - 15, x_of(later), ROWS[top] + 15, used)
    for layer, top in (("qkv0", "x1"), ("qkv1", "out")):
        line(x_of(token, 0), ROWS[layer] - 15, x_of(token), ROWS[top] + 15, layer == "qkv0" and token == SHOWN)

for token, word in enumerate(TOKENS):
    seen = token <= SHOWN
    box(x_of(token), ROWS["in"], 100, f"{token + 1}: {word}", USED if seen else PLAIN, filled=seen)
    for part, name in enumerate("qkv"):
        used = token == SHOWN if part == 0 else seen
        box(x_of(token, part), ROWS["qkv0"], 34, name, USED if used else PLAIN, filled=used)
        goal = token == SHOWN and part == 1
        box(x_of(token, part), ROWS["qkv1"], 34, name, GOAL if goal else PLAIN, filled=goal)
    box(x_of(token), ROWS["x1"], 100, "row", USED if token == SHOWN else PLAIN, filled=token == SHOWN)
    box(x_of(token), ROWS["out"], 100, "row", PLAIN)
for name, words in (("in", "embeddings"), ("qkv0", "layer 0"), ("x1", "after layer 0"), ("qkv1", "layer 1"),
                    ("out", "after layer 1")):
    note(ROWS[name], words)

title = f"What the key of token {SHOWN + 1} in layer 1 (orange) is made of (blue)"
svg = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="540" viewBox="0 0 {WIDTH} 540" '
       f'font-family="DejaVu Sans, sans-serif" font-size="14">\n<rect width="{WIDTH}" height="540" fill="#ffffff"/>\n'
       f'<text x="{WIDTH / 2:g}" y="26" text-anchor="middle" font-size="17" fill="#1c2733">{title}</text>\n'
       + "\n".join(parts) + "\n</svg>\n")
(Path(__file__).parent / "pictures" / "two_layers.svg").write_text(svg)
