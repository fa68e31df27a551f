"""Looks at a comparison of two runs in a headless Chromium: check_comparison.py RUN RUN PAGE SHOT

Exits 1 with the first thing that is not as it should be. Used by tests/cli/look.sh; needs Pillow.
"""
import math
import sys
from pathlib import Path

from browser import Browser
from check_report import ROWS_A_PAGE, SIZE, check, check_screenshot, lines, shown_ids


def check_rows(page, what, expected, first, second):
    """The rows of the table, and how many of them each run has right."""
    check(what, shown_ids(page), [qid for qid in expected[:ROWS_A_PAGE]])
    said = page.texts("#found")[0]
    rights = [sum(run[qid]["pre"] == run[qid]["ans"] for qid in expected)
              for run in (first, second)]
    if not said.startswith(f"{len(expected)} of {len(first)} questions"):
        sys.exit(f"{what}: {len(expected)} questions are left, the page says {said!r}")
    if expected:
        check(f"{what}, who is right", [int(word.split()[-2]) for word in said.split(": ")[1].split(
            ", ")], rights)


def check_filters(page, first, second):
    right = [{qid: row["pre"] == row["ans"] for qid, row in run.items()} for run in (first, second)]
    ids = sorted(first)
    one_alone = [qid for qid in ids if right[0][qid] and not right[1][qid]]
    other_alone = [qid for qid in ids if right[1][qid] and not right[0][qid]]
    if not one_alone or not other_alone:
        sys.exit("the runs do not differ both ways: there is nothing to filter")
    check_rows(page, "without a filter", ids, first, second)
    page.click("#filter-run-0 option[value=right]")
    page.click("#filter-run-1 option[value=wrong]")
    check_rows(page, "right in the first run alone", one_alone, first, second)
    page.click("#filter-run-0 option[value=wrong]")
    page.click("#filter-run-1 option[value=right]")
    check_rows(page, "right in the second run alone", other_alone, first, second)
    page.click("#filters button[type=reset]")
    check_rows(page, "after a reset", ids, first, second)
    page.click("#filter-differ")
    check_rows(page, "where they differ", sorted(one_alone + other_alone), first, second)
    page.click("#filters button[type=reset]")
    page.type("#filter-text", first[ids[0]]["vid"])
    video = [qid for qid in ids if first[qid]["vid"] == first[ids[0]]["vid"]]
    check_rows(page, "of one video", video, first, second)
    page.click("#filters button[type=reset]")


def check_bars(page, first):
    """All questions of the first run: its share, and the interval's ends worked out here."""
    by_video = {}
    for row in first.values():
        by_video.setdefault(row["vid"], []).append(row["pre"] == row["ans"])
    number = len(first)
    mean = sum(map(sum, by_video.values())) / number
    squares = sum((sum(marks) - len(marks) * mean) ** 2 for marks in by_video.values())
    error = math.sqrt(len(by_video) / (len(by_video) - 1) * squares) / number
    low, high = max(0, mean - 1.96 * error), min(1, mean + 1.96 * error)
    found = page.run("return [...document.querySelectorAll('figure')].filter((f) => "
                     "f.innerText.startsWith('Accuracy, all questions'))"
                     ".map((f) => f.querySelector('rect.bar title').textContent)")
    expected = (f"{100 * mean:.1f} % of {number}, 95 %: {100 * low:.1f} to {100 * high:.1f}")
    if len(found) != 1 or not found[0].endswith(expected):
        sys.exit(f"the bar of all questions: expected {expected}, got {found}")


def main(one, two, path, screenshot):
    first, second = ({row["qid"]: row for row in lines(folder / "questions.jsonl")}
                     for folder in (one, two))
    page = Browser(*SIZE)
    try:
        page.open(path)
        titles = page.texts("figcaption")
        for title in ("All losses", "Accuracy after each epoch, %", "Mean uncertainty",
                      "Gradient norm", "Questions a second", "Accuracy, all questions"):
            if title not in titles:
                sys.exit(f"there is no chart {title!r}: {titles}")
        curves = page.run("return [...document.querySelectorAll('#curves figure')].map((f) => "
                          "f.querySelectorAll('.key li').length)")
        check("lines of each chart", set(curves), {2})
        check_bars(page, first)
        check_filters(page, first, second)
        page.click("[data-sort=right]")
        marks = [sum(run[qid]["pre"] == run[qid]["ans"] for run in (first, second))
                 for qid in shown_ids(page)]
        check("sorted by how many are right", marks, sorted(marks))
        text = page.texts("#settings")[0]
        if "train.seed" not in text or "batch_size" in text:
            sys.exit(f"the settings that differ are not shown alone: {text!r}")
        page.screenshot(screenshot)
        check("what the console says", page.complaints(), [])
    finally:
        page.close()
    check_screenshot(screenshot)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
