#!/usr/bin/env python3
"""Draws the flow of a run, the README's first picture, as SVG:

    tools/draw_flow.py >tools/pictures/flow.svg

Boxes have a fill of their own and dark text, lines a grey that shows on white and on black, so that
the picture reads on either. The names in italics are rooms, folders of src/. Standard library only.
"""
import html

WIDTH, HEIGHT = 1000, 404
FILE, STEP, TRAINED = "#fff3d6", "#e3edf9", "#dff2e1"  # what is on disk, what is done, what learns
INK, QUIET, EDGE, LINE = "#1f2328", "#57606a", "#8c959f", "#848d97"

STYLE = f"""
text {{ font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: {INK}; \
text-anchor: middle; }}
.title {{ font-weight: 600; }}
.small {{ font-size: 12px; }}
.room {{ font-size: 11.5px; font-style: italic; fill: {QUIET}; }}
rect {{ stroke: {EDGE}; }}
path {{ fill: none; stroke: {LINE}; stroke-width: 1.8; marker-end: url(#head); }}
"""

A, B, C, D, E = 5, 195, 385, 545, 805  # left edges of the columns
ROWS = [6, 72, 138, 204, 270]          # upper edges of the inputs' rows
ROW = 54                               # height of a box of one of them
BELOW = 346                            # upper edge of what a run leaves

# (x, y, width, height, fill, title, further lines, rooms)
BOXES = [
    (A, ROWS[0], 150, ROW, FILE, "deck", ["one TOML file"], ""),
    (A, ROWS[1], 150, ROW, FILE, "annotations", ["of five data sets"], ""),
    (A, ROWS[2], 150, ROW, FILE, "features", ["HDF5 shards"], ""),
    (A, ROWS[3], 150, ROW, FILE, "tokenizer", ["tokenizer.model, .json"], ""),
    (A, ROWS[4], 150, ROW, FILE, "LLaMA's weights", ["in three forms"], ""),
    (B, ROWS[0], 150, ROW, STEP, "settings", [], "config"),
    (B, ROWS[1], 150, ROW, STEP, "samples, dialogues", [], "data"),
    (B, ROWS[2], 150, ROW, STEP, "frames on demand", [], "files, features"),
    (B, ROWS[3], 150, ROW, STEP, "token ids", [], "text"),
    (B, ROWS[4], 150, ROW, STEP, "once a node", [], "weights"),
    (C, ROWS[1], 122, 2 * ROW + 12, STEP, "batches",
     ["each rank its part", "of one order"], "data"),
    (D, ROWS[0], 220, 318, STEP, "frozen LLaMA", [], "model"),
    (D + 12, ROWS[0] + 50, 196, 44, TRAINED, "adapters, projection", ["a few million numbers"], ""),
    (D + 12, ROWS[0] + 126, 196, 52, "#fff", "VQA", ["video, question \u2192 answer"], ""),
    (D + 12, ROWS[0] + 186, 196, 52, "#fff", "VAQ", ["video, answer \u2192 question"], ""),
    (D + 12, ROWS[0] + 246, 196, 62, "#fff", "AQA",
     ["video, its own question", "\u2192 answer"], ""),
    (E, ROWS[0], 190, 68, STEP, "one all-reduce, AdamW", ["gradients of all ranks"], "dist, train"),
    (E, ROWS[0] + 104, 190, 84, STEP, "losses",
     ["self-made questions count", "1 - uncertainty"], "objective"),
    (E, ROWS[0] + 234, 190, 84, STEP, "option scores", ["answers and how", "certain they are"],
     "evaluation"),
    (C, BELOW, 150, ROW, FILE, "checkpoints", [], "checkpoint"),
    (D + 12, BELOW, 196, ROW, FILE, "log, TensorBoard", [], "report"),
    (E, BELOW, 190, ROW, FILE, "predictions, accuracy", [], "report"),
]

# Texts within a box of their own: (x, y, class, text)
TEXTS = [(D + 110, ROWS[0] + 116, "room", "objective")]

MIDDLE = [y + ROW / 2 for y in ROWS]
ARROWS = [
    *(f"M{A + 150} {y}H{B - 3}" for y in MIDDLE),
    f"M{B + 150} {MIDDLE[0]}H{C + 61}V{ROWS[1] - 3}",
    f"M{B + 150} {MIDDLE[1]}H{C - 3}",
    f"M{B + 150} {MIDDLE[2]}H{C - 3}",
    f"M{B + 150} {MIDDLE[3]}H{C + 61}V{ROWS[3] - 9}",
    f"M{C + 122} {MIDDLE[1] + 33}H{D - 3}",
    f"M{B + 150} {MIDDLE[4]}H{D - 3}",
    f"M{D + 220} {ROWS[0] + 146}H{E - 3}",
    f"M{D + 220} {ROWS[0] + 276}H{E - 3}",
    f"M{E + 95} {ROWS[0] + 104}V{ROWS[0] + 71}",
    f"M{E} {ROWS[0] + 72 - 14}H{D + 211}",
    f"M{E + 95} {ROWS[0] + 318}V{BELOW - 3}",
    f"M{E + 30} {ROWS[0] + 188}V{ROWS[0] + 211}H{D + 235}V{BELOW + 27}H{D + 211}",
    f"M{D + 40} {ROWS[0] + 318}V{BELOW - 11}H{C + 75}V{BELOW - 3}",
]


def text(x, y, kind, words):
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{html.escape(words)}</text>'


def box(x, y, width, height, fill, title, lines, rooms):
    yield (f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" '
           f'fill="{fill}"/>')
    texts = [("title", title), *(("small", line) for line in lines)]
    if rooms:
        texts.append(("room", rooms))
    # What holds boxes of its own has its name at the top, others theirs in the middle.
    top = y + 21 if height > 200 else y + height / 2 - 8.5 * len(texts) + 13
    for number, (kind, words) in enumerate(texts):
        yield text(x + width / 2, top + 17 * number, kind, words)


def draw():
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
           f'width="{WIDTH}" height="{HEIGHT}" role="img">')
    yield "<title>The flow of a run</title>"
    yield f"<style>{STYLE}</style>"
    yield ('<marker id="head" viewBox="0 0 8 8" refX="5" refY="4" markerWidth="5" markerHeight="5" '
           'orient="auto"><path d="M0 0L8 4L0 8z" '
           f'style="fill:{LINE};stroke:none;marker-end:none"/></marker>')
    for one in BOXES:
        yield from box(*one)
    for one in TEXTS:
        yield text(*one)
    for path in ARROWS:
        yield f'<path d="{path}"/>'
    yield "</svg>"


if __name__ == "__main__":
    print("\n".join(draw()))
