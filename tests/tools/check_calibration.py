"""calibration.json beside scikit-learn and public definitions: check_calibration.py RUN

Works everything out anew from RUN/questions.jsonl. Exits 1 with the first number that differs. Used
by tests/cli/look.sh and probes.sh; needs NumPy, SciPy and scikit-learn.
"""
import json
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from scipy.stats import entropy
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score, roc_curve

BINS = 15


def near(what, got, expected):
    if not abs(got - expected) <= 1e-9:
        sys.exit(f"{what}: calibration.json has {got}, the public definition {expected}")


def ece(right, certainty):
    """scikit-learn's bins of equal width, weighed by their numbers."""
    edges = np.linspace(0, 1, BINS + 1)
    found = np.clip(np.searchsorted(edges[1:-1], certainty), 0, BINS - 1)
    numbers = np.bincount(found, minlength=BINS)
    accuracy, mean = calibration_curve(right, certainty, n_bins=BINS, strategy="uniform")
    return np.sum(numbers[numbers > 0] * np.abs(accuracy - mean)) / len(right)


def adaptive_ece(right, certainty):
    order = np.argsort(certainty, kind="stable")
    count = min(BINS, len(right))
    ends = [len(right) * at // count for at in range(count + 1)]
    return sum(len(part) / len(right) * abs(right[part].mean() - certainty[part].mean())
               for part in (order[a:b] for a, b in zip(ends, ends[1:])))


def selective(right, certainty):
    """(coverage, risk) at each threshold, by a loop over thresholds."""
    points = []
    for threshold in sorted(set(certainty), reverse=True):
        kept = right[certainty >= threshold]
        points.append((len(kept) / len(right), (len(kept) - kept.sum()) / len(kept)))
    return points


def aurc(right, certainty, orders=4000):
    """The mean of k-most-certain risks over random orders of equal certainties."""
    draws, total = np.random.default_rng(1), 0
    counts = np.arange(1, len(right) + 1)
    is_unique = len(set(certainty)) == len(certainty)
    rounds = 1 if is_unique else orders
    for _ in range(rounds):
        order = np.lexsort((draws.random(len(right)), -certainty))
        total += np.mean(np.cumsum(1 - right[order]) / counts)
    return total / rounds, is_unique


def check(name, found, right, certainty):
    near(f"{name}: ece", found["ece"], ece(right, certainty))
    if len(set(certainty)) == len(certainty):
        near(f"{name}: adaptive_ece", found["adaptive_ece"], adaptive_ece(right, certainty))
    near(f"{name}: brier", found["brier"], brier_score_loss(right, certainty))
    near(f"{name}: nll", found["nll"], log_loss(right, certainty))
    near(f"{name}: auroc", found["auroc"], roc_auc_score(right, certainty))
    false, true, _ = roc_curve(right, certainty, drop_intermediate=False)
    near(f"{name}: fpr95", found["fpr95"], false[true >= 0.95].min())
    area, is_exact = aurc(right, certainty)
    if is_exact:
        near(f"{name}: aurc", found["aurc"], area)
    elif abs(found["aurc"] - area) > 0.01:
        sys.exit(f"{name}: aurc: {found['aurc']}, over random orders {area}")
    points = selective(right, certainty)
    wrong = [(0, 0), *((coverage, coverage * risk) for coverage, risk in points)]
    near(f"{name}: augrc", found["augrc"], np.trapezoid([y for _, y in wrong],
                                                        [x for x, _ in wrong]))
    for at, risk in found["risk_at_coverage"].items():
        near(f"{name}: risk at coverage {at}", risk,
             next(r for c, r in points if c >= int(at) / 100 - 1e-12))
    for at, coverage in found["coverage_at_risk"].items():
        near(f"{name}: coverage at risk {at}", coverage,
             max((c for c, r in points if r <= int(at) / 100), default=0))
    for cost, value in found["effective_reliability"].items():
        near(f"{name}: effective reliability {cost}", value,
             max(0, *(c * (1 - r) - int(cost) * c * r for c, r in points)))


def check_temperature(rows, found):
    """The least of SciPy's own search over 1/T."""
    def nll(inverse):
        return np.mean([-log_softmax(-inverse * np.array(row["loss"]))["ABCDE".index(row["ans"])]
                        for row in rows])

    near("NLL", found["nll"], nll(1 / found["used"]))
    best = minimize_scalar(nll, bounds=(0.01, 100), method="bounded", options={"xatol": 1e-10})
    if found["fitted"] is None:  # the NLL falls on towards an end: guesses, or all right
        if 0.0101 < best.x < 99:
            sys.exit(f"temperature: calibration.json has none, SciPy {1 / best.x}")
        return
    if abs(best.x * found["fitted"] - 1) > 1e-4:
        sys.exit(f"temperature: calibration.json has {found['fitted']}, SciPy {1 / best.x}")
    near("NLL at it", found["fitted_nll"], best.fun)


def main(folder):
    rows = [json.loads(line) for line in open(folder / "questions.jsonl", encoding="utf-8")]
    found = json.loads((folder / "calibration.json").read_text(encoding="utf-8"))
    right = np.array([int(row["pre"] == row["ans"]) for row in rows])
    if not 0 < right.mean() < 1:
        sys.exit("all answers are right, or all wrong: there is nothing to compare")
    near("accuracy", found["accuracy"], right.mean())
    shares = [softmax(-np.array(row["loss"])) for row in rows]
    for row, p in zip(rows, shares):
        near("probability", row["probability"], p.max())
        near("entropy", row["entropy"], entropy(p) / np.log(len(p)))
    check_temperature(rows, found["temperature"])
    wanted = {"u": [1 - row["u"] for row in rows], "probability": [p.max() for p in shares],
              "entropy": [1 - entropy(p) / np.log(len(p)) for p in shares]}
    if all(row["u"] == 0 for row in rows):  # no evidential loss
        del wanted["u"]
    if found["certainties"].keys() != wanted.keys():
        sys.exit(f"certainties: {list(found['certainties'])}")
    for name, certainty in wanted.items():
        check(name, found["certainties"][name], right, np.array(certainty))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
