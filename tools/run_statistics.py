"""What a run's rows say in sum: curves, and how far uncertainty tells right answers from wrong.

Fed by tools/run_folder.py; feeds tools/plot_run and tools/report, so that both show the same
numbers. Pure functions, standard library only. `questions` are rows of questions.jsonl.
"""
import math

from run_folder import LETTERS, is_number, type_names

BINS = 20
RELIABILITY_BINS = 10


def curve(rows, name, x="step"):
    """Points (x, value) of the rows that have the name."""
    return [(row[x], row[name]) for row in rows if is_number(row.get(name))]


def thinned(points, most=300):
    """At most so many points: means of equal numbers of neighbours."""
    if len(points) <= most:
        return points
    size = -(-len(points) // most)
    groups = [points[at:at + size] for at in range(0, len(points), size)]
    return [(group[-1][0], sum(y for _, y in group) / len(group)) for group in groups]


def loss_terms(rows):
    """Names of the losses that are not 0 throughout, the total first: (large ones, small ones).

    Small is a term that never reaches a thousandth of the largest: on one axis it would flatten
    the others (edl_reg with its published weight).
    """
    names = [name for name in (rows[0] if rows else {})
             if name == "loss" or name.startswith("loss_")]
    peaks = {name: max((abs(y) for _, y in curve(rows, name)), default=0) for name in names}
    limit = max(peaks.values(), default=0) / 1000
    return ([name for name in names if peaks[name] > limit],
            [name for name in names if 0 < peaks[name] <= limit])


def accuracy_names(epochs):
    """val_acc, and behind it those of types and further figures that the data set has."""
    names = dict.fromkeys(name for row in epochs for name in row
                          if name.startswith("val_") and is_number(row[name]))
    names.pop("val_uncertainty", None)
    return sorted(names, key=lambda name: name != "val_acc")


def answered(questions):
    """Those whose right answer is known."""
    return [row for row in questions if "ans" in row]


def is_right(row):
    return row["pre"] == row["ans"]


def has_uncertainty(questions):
    """Without an evidential loss it is 0 for all, and says nothing."""
    return any(row["u"] > 0 for row in answered(questions))


def accuracy(questions):
    return sum(map(is_right, questions)) / len(questions) if questions else None


def by_type(questions):
    """(type, right, questions) of each type, by published number and then by name, and of all."""
    rows = answered(questions)
    places = {}
    for row in rows:
        number = row.get("qtype")
        for name in type_names(row):
            places[name] = (number if is_number(number) else -1, name)
    groups = [(name, [row for row in rows if name in type_names(row)])
              for name in sorted(places, key=places.get)]
    return [(name, sum(map(is_right, group)), len(group))
            for name, group in [*groups, ("all", rows)] if group]


def histogram(questions):
    """(lower end, upper end, right, wrong) of equal ranges of uncertainty, from its least to its
    most: a model's uncertainties may all lie within a hundredth."""
    rows = answered(questions)
    values = [row["u"] for row in rows]
    low, high = min(values, default=0), max(values, default=1)
    width = (high - low) / BINS or 1 / BINS
    counts = [[0, 0] for _ in range(BINS)]
    for row in rows:
        place = min(int((row["u"] - low) / width), BINS - 1)
        counts[place][0 if is_right(row) else 1] += 1
    return [(low + at * width, low + (at + 1) * width, right, wrong)
            for at, (right, wrong) in enumerate(counts)]


def reliability(questions):
    """(mean uncertainty, accuracy, questions) of groups of about equal number by uncertainty."""
    rows = sorted(answered(questions), key=lambda row: row["u"])
    number = min(RELIABILITY_BINS, len(rows))
    ends = [len(rows) * at // number for at in range(number + 1)] if number else []
    groups = [rows[begin:end] for begin, end in zip(ends, ends[1:])]
    return [(sum(row["u"] for row in group) / len(group), accuracy(group), len(group))
            for group in groups]


def risk_coverage(questions):
    """(coverage, risk): the share of wrong answers among the most certain share of the questions.

    Equal uncertainties are one point: their order says nothing.
    """
    rows = sorted(answered(questions), key=lambda row: row["u"])
    points, wrong = [], 0
    for number, row in enumerate(rows, 1):
        wrong += not is_right(row)
        if number == len(rows) or rows[number]["u"] != row["u"]:
            points.append((number / len(rows), wrong / number))
    return points


def mean_risk(points):
    """Area under the risk-coverage curve: the mean risk over all coverages, lower is better."""
    area, before = 0, 0
    for coverage, risk in points:
        area += (coverage - before) * risk
        before = coverage
    return area


def wilson(share, number):
    """(low, high): the interval of 95 % of a share of so many draws. Wilson, "Probable inference,
    the law of succession, and statistical inference", J. Am. Statistical Association 22 (1927)."""
    z = 1.959963984540054
    middle = (share + z * z / (2 * number)) / (1 + z * z / number)
    reach = (z / (1 + z * z / number) *
             math.sqrt(share * (1 - share) / number + z * z / (4 * number * number)))
    return max(0.0, middle - reach), min(1.0, middle + reach)


# Measures of a certainty: (name for people, key, key within, is it a share). Their definitions and
# sources: include/bovila/report/calibration.h.
MEASURES = (("ECE, 15 equal widths", "ece", None, False),
            ("ECE, 15 equal numbers", "adaptive_ece", None, False),
            ("Brier score", "brier", None, False),
            ("NLL", "nll", None, False),
            ("AUROC, right against wrong", "auroc", None, False),
            ("FPR at 95 % TPR", "fpr95", None, False),
            ("AURC", "aurc", None, False),
            ("AUGRC", "augrc", None, False),
            *((f"risk at coverage {at} %", "risk_at_coverage", at, True)
              for at in ("50", "70", "80", "90", "100")),
            *((f"coverage at risk {at} %", "coverage_at_risk", at, True)
              for at in ("1", "5", "10", "20")),
            *((f"effective reliability \u03a6 {at}", "effective_reliability", at, False)
              for at in ("1", "10", "100")))


def certainty_text(found, key, within, is_share):
    value = found.get(key) if within is None else found[key].get(within)
    if not is_number(value):
        return "-"
    return f"{100 * value:.1f} %" if is_share else f"{value:.4f}"


def temperature_text(temperature):
    """"temperature 1: NLL 0.8123; 1.37, fitted to these questions: 0.7901" of calibration.json's."""
    def shown(name, digits):
        value = temperature.get(name)
        return f"{value:.{digits}g}" if is_number(value) else "-"

    text = f"temperature {shown('used', 4)}: NLL of the right option {shown('nll', 4)}"
    if not is_number(temperature.get("fitted")):
        return f"{text}; none that is fitted to these questions: no least NLL"
    return (f"{text}; {shown('fitted', 4)}, fitted to these questions: "
            f"{shown('fitted_nll', 4)}")


def certainties(calibration, temperature, number):
    """The measures side by side, and curves with bands: for each certainty its name, reliability
    (certainty, accuracy, low, high) and risk (coverage, risk, low, high) of so many questions."""
    rows = [[name, *(certainty_text(found, key, within, is_share)
                     for found in calibration.values())]
            for name, key, within, is_share in MEASURES]
    lines = [{"name": name,
              "reliability": [(at, share, *wilson(share, group))
                              for at, share, group in found["reliability"] if group >= 1],
              "risk": [(coverage, risk, *wilson(risk, max(1, coverage * number)))
                       for coverage, risk, _ in found["risk_coverage"]]}
             for name, found in calibration.items()]
    return {"names": [*calibration], "rows": rows, "lines": lines,
            "temperature": temperature_text(temperature)}


def confusion(questions):
    """(letters, counts[answer][prediction])."""
    rows = answered(questions)
    last = max((LETTERS.index(letter) for row in rows for letter in (row["pre"], row["ans"])),
               default=-1)
    letters = LETTERS[:last + 1]
    counts = [[0] * len(letters) for _ in letters]
    for row in rows:
        counts[letters.index(row["ans"])][letters.index(row["pre"])] += 1
    return letters, counts
