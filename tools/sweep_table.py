"""A sweep's table: accuracy by variant and question type, as Markdown, LaTeX or CSV.

Fed by the predictions of finished points, epoch{n}.json; printed by tools/sweep. Standard library
only.

Of each data set's deck there are two tables, and a number says which it is of: `last`, after each
run's last epoch, and `best`, after its epoch of highest accuracy, the earliest of equals. The best
epoch is chosen on the questions that it is measured on, so `best` is optimistic; `last` is not.

A question's value is its mean over a variant's seeds (1 right, 0 wrong), a difference that of the
seeds that both variants have. Errors, intervals and p are of videos drawn anew, with the seeds as
they were; what another seed changes is the standard deviation.
"""
import json
from dataclasses import dataclass, field

import sweep_statistics as stats
from run_folder import counted, is_question, type_name

RULES = {"last": "after the last epoch",
         "best": "after each run's best epoch (highest accuracy on these questions, the earliest "
                 "of equals: optimistic)"}
ALL = "all"


class NoTable(Exception):
    """There is nothing to make a table of; for the user."""


@dataclass
class Runs:
    """What the finished points of a deck answered."""
    videos: list = field(default_factory=list)  # by question
    types: list = field(default_factory=list)  # by question; "" where the data set has none
    right: dict = field(default_factory=dict)  # (variant, seed) -> rule -> 0 or 1 by question


@dataclass
class Line:
    deck: str
    rule: str
    type: str
    variant: str
    seeds: int
    questions: int
    videos: int
    mean: float
    spread: float = None
    error: float = None
    difference: float = None
    low: float = None
    high: float = None
    p: float = None


def read_predictions(path):
    """{qid: row} of an evaluation whose answers are known."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NoTable(f"{path} is not there: expected the predictions of every epoch") from None
    except (OSError, ValueError) as error:
        raise NoTable(f"{path} cannot be read: {error}") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and is_question(row) and
                                             "qid" in row for row in rows):
        raise NoTable(f"{path}: expected the predictions of an epoch")
    if not rows or not all("ans" in row for row in rows):
        raise NoTable(f"{path}: the split hides its answers, so there is no accuracy")
    return {row["qid"]: row for row in rows}


def marks(rows):
    return [int(row["pre"] == row["ans"]) for row in rows.values()]


def read_deck(points):
    """The runs of a deck's finished points."""
    runs, questions = Runs(), None
    for point in points:
        epochs = [read_predictions(point.folder / f"epoch{number}.json")
                  for number in range(point.epochs)]
        for rows in epochs:
            asked = {qid: (row.get("vid"), type_name(row), row["ans"]) for qid, row in rows.items()}
            questions = questions or asked
            if asked != questions or list(asked) != list(questions):
                raise NoTable(f"{point.folder}: its questions are not those of the other points of "
                              f"{point.deck}: they cannot be in one table (select some by --only)")
        right = [marks(rows) for rows in epochs]
        best = max(right, key=sum)  # the first of equals
        runs.right[point.variant, point.seed] = {"last": right[-1], "best": best}
    runs.videos = [video for video, _, _ in questions.values()]
    runs.types = [name for _, name, _ in questions.values()]
    return runs


def mean_over(runs, rule, variant, seeds):
    """By question."""
    columns = [runs.right[variant, seed][rule] for seed in seeds]
    return [sum(values) / len(values) for values in zip(*columns)]


def seeds_of(runs, variant):
    return sorted(seed for name, seed in runs.right if name == variant)


def only(values, which):
    return [value for value, is_in in zip(values, which) if is_in]


def lines_of(runs, deck, rule, variants, compare, resamples):
    """All lines of one deck and rule: by type, then by variant."""
    names = [ALL, *dict.fromkeys(name for name in runs.types if name)]
    members = {name: [name in (ALL, one) for one in runs.types] for name in names}
    lines, differences = [], []
    for name in names:
        which = members[name]
        videos = only(runs.videos, which)
        for variant in variants:
            seeds = seeds_of(runs, variant)
            if not seeds:
                continue
            by_seed = [sum(only(runs.right[variant, seed][rule], which)) / len(videos)
                       for seed in seeds]
            mean, spread = stats.mean_and_spread(by_seed)
            values = mean_over(runs, rule, variant, seeds)
            lines.append(Line(deck, rule, name, variant, len(seeds), len(videos), len(set(videos)),
                              mean, spread, stats.clustered_error(only(values, which), videos)))
            shared = [seed for seed in seeds if (compare, seed) in runs.right]
            if variant == compare or not shared:
                continue
            ours, theirs = (mean_over(runs, rule, one, shared) for one in (variant, compare))
            column = [a - b if is_in else None for a, b, is_in in zip(ours, theirs, which)]
            lines[-1].difference = sum(only(column, which)) / len(videos)
            differences.append((lines[-1], column))
    columns = [column for _, column in differences]
    intervals = stats.bootstrap_intervals(columns, runs.videos, resamples)
    ps = stats.sign_flip_p(columns, runs.videos, resamples)
    for (line, _), (low, high), p in zip(differences, intervals, ps):
        line.low, line.high, line.p = low, high, p
    return lines


def make_lines(sweep, points, resamples=stats.RESAMPLES):
    """All lines. `points` are finished ones. Raises NoTable."""
    lines = []
    for deck in dict.fromkeys(point.deck_name for point in points):
        runs = read_deck([point for point in points if point.deck_name == deck])
        for rule in RULES:
            lines += lines_of(runs, deck, rule, sweep.variants, sweep.compare, resamples)
    return lines


# --- as text -------------------------------------------------------------------------------------

def percent(value, sign=""):
    return "-" if value is None else f"{100 * value:{sign}.1f}"


def p_text(p):
    if p is None:
        return "-"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def cells(line):
    interval = "-" if line.low is None else f"{percent(line.low, '+')} to {percent(line.high, '+')}"
    return [line.type, line.variant, str(line.seeds), percent(line.mean), percent(line.spread),
            percent(line.error), percent(line.difference, "+"), interval, p_text(line.p)]


def heads(sweep):
    return ["questions", "variant", "seeds", "accuracy, %", "SD", "SE", f"minus {sweep.compare}",
            f"{100 * stats.LEVEL:.0f} % interval", "p"]


def sections(lines):
    """(first line, lines) of each deck and rule."""
    keys = dict.fromkeys((line.deck, line.rule) for line in lines)
    for key in keys:
        found = [line for line in lines if (line.deck, line.rule) == key]
        yield found[0], found


def caption(line):
    return (f"{line.deck}, {RULES[line.rule]}: {counted(line.questions, 'question')} about "
            f"{counted(line.videos, 'video')}")


NOTE = ("SD: over seeds. SE: of the mean over seeds, clustered by video. Interval: paired "
        "bootstrap over videos. p: signs of videos flipped.")


def markdown(sweep, lines):
    texts = []
    for first, found in sections(lines):
        names = heads(sweep)
        rows = [names, ["---", "---"] + ["--:"] * (len(names) - 2), *map(cells, found)]
        texts.append(f"{caption(first)}\n\n" +
                     "".join(f"| {' | '.join(row)} |\n" for row in rows))
    return "\n".join([*texts, NOTE + "\n"])


def tex(text):
    for sign in "\\&%$#_{}":
        text = text.replace(sign, "\\textbackslash " if sign == "\\" else f"\\{sign}")
    return text.replace("<", "$<$")


def latex(sweep, lines):
    texts = ["% needs \\usepackage{booktabs}\n"]
    for first, found in sections(lines):
        rows, before = [], None
        for line in found:
            if before not in (None, line.type):
                rows.append("\\midrule")
            before = line.type
            rows.append(" & ".join(map(tex, cells(line))) + " \\\\")
        texts.append("\n".join([
            "\\begin{table}", "\\centering", f"\\caption{{{tex(caption(first))}. {tex(NOTE)}}}",
            "\\begin{tabular}{ll" + "r" * (len(heads(sweep)) - 2) + "}", "\\toprule",
            " & ".join(map(tex, heads(sweep))) + " \\\\", "\\midrule", *rows, "\\bottomrule",
            "\\end{tabular}", "\\end{table}", ""]))
    return "\n".join(texts)


def csv(sweep, lines):
    """Shares, not per cent; what is not known is empty."""
    names = ["deck", "epoch", "questions_of", "variant", "seeds", "questions", "videos", "accuracy",
             "sd", "se", "compared_with", "difference", "low", "high", "p"]
    rows = [names]
    for line in lines:
        compared = sweep.compare if line.difference is not None else None
        values = [line.deck, line.rule, line.type, line.variant, line.seeds, line.questions,
                  line.videos, line.mean, line.spread, line.error, compared, line.difference,
                  line.low, line.high, line.p]
        rows.append(["" if value is None else f"{value:.6f}" if isinstance(value, float) else
                     str(value) for value in values])
    return "".join(",".join(f'"{cell}"' if "," in cell else cell for cell in row) + "\n"
                   for row in rows)


FORMATS = {"markdown": markdown, "latex": latex, "csv": csv}
