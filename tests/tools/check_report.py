"""Looks at a run's report in a headless Chromium and uses its table: check_report.py RUN SCREENSHOT

RUN holds report.html and what it was made of. Exits 1 with the first thing that is not as it should
be. Used by tests/cli/look.sh; needs Pillow.
"""
import json
import sys
from pathlib import Path

from browser import Browser
from PIL import Image

SIZE = (1400, 1000)
ROWS_A_PAGE = 25


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def shown_ids(page):
    return page.run("return [...document.querySelectorAll('#table tbody tr')]"
                    ".map((row) => Number(row.dataset.qid))")


def check(what, got, expected):
    if got != expected:
        sys.exit(f"{what}: expected {expected}, got {got}")


def check_rows(page, what, expected):
    """The first page of the rows `expected`, and what the line above the table says of them."""
    check(what, shown_ids(page), [row["qid"] for row in expected[:ROWS_A_PAGE]])
    said = page.texts("#found")[0]
    if not said.startswith(f"{len(expected)} of "):
        sys.exit(f"{what}: {len(expected)} rows are left, the page says {said!r}")


def check_contents(page, questions, epochs):
    first = questions[0]
    row = page.run("const r = document.querySelector('#table tbody tr'); return r.innerText")
    for text in [first["question"], *first["options"], f"{round(first['loss'][0], 6):.3f}",
                 f"{round(first['u'], 6):.3f}", f"Asked itself: {first['asked']}",
                 "frames " + " ".join(map(str, [first["frames"][0]["video"],
                                                *first["frames"][0]["rows"]]))]:
        if text not in row:
            sys.exit(f"the first row lacks {text!r}: {row!r}")
    check("options of the first row",
          page.run("return document.querySelectorAll('#table tbody tr:first-child li').length"),
          len(first["options"]))
    titles = page.texts("figcaption")
    for title in ("Losses", "Accuracy after each epoch, %", "Mean uncertainty", "Learning rate",
                  "Gradient norm", "Adapters' gates: how far open", "Questions a second",
                  "Accuracy by question type", "Uncertainty of right and wrong answers",
                  "Risk: wrong among the most certain, %", "Confusion of options",
                  "What certainties are worth", "Reliability of certainties: how often right, %",
                  "Risk by certainty: wrong of those answered, %"):
        if title not in titles:
            sys.exit(f"there is no chart {title!r}: {titles}")
    label = page.run("return [...document.querySelectorAll('svg')].map((s) => s.ariaLabel)"
                     ".find((t) => t && t.startsWith('Accuracy after'))")
    if f"{100 * epochs[-1]['val_acc']:.3g}" not in label:
        sys.exit(f"the chart of the accuracy does not say where it ends: {label}")
    check("certainties side by side", page.texts(".measures thead th"),
          ["u", "probability", "entropy"])
    if "temperature 1: NLL of the right option" not in page.texts("#certainty-charts")[0]:
        sys.exit(f"the temperature is not shown: {page.texts('#certainty-charts')}")
    check("bands of their curves",
          page.run("return document.querySelectorAll('path.band').length"), 6)
    total = sum(int(text) for text in page.texts(".matrix td"))
    check("questions in the confusion of options", total, len(questions))
    if "batch_size" not in page.texts("#settings")[0]:
        sys.exit("the settings are not shown")


def all_text(row):
    return " ".join([row["question"], row["asked"], row["vid"], row["question_id"],
                     *row["options"]])


def check_filters(page, questions):
    check_rows(page, "without a filter", questions)
    wrong = [row for row in questions if row["pre"] != row["ans"]]
    page.click("#filter-result option[value=wrong]")
    check_rows(page, "wrong answers", wrong)
    middle = sorted(row["u"] for row in wrong)[len(wrong) // 2]
    page.type("#filter-low", f"{middle:.2f}")
    check_rows(page, "wrong and uncertain answers",
               [row for row in wrong if round(row["u"], 6) >= float(f"{middle:.2f}")])
    page.click("#filters button[type=reset]")
    check_rows(page, "after a reset", questions)
    word = questions[3]["options"][1].split()[-1]
    page.type("#filter-text", f" {word.upper()} ")
    check_rows(page, f"with {word!r}",
               [row for row in questions if word.lower() in all_text(row).lower()])
    page.type("#filter-text", "no question has these words")
    check_rows(page, "with words that are nowhere", [])
    page.click("#filters button[type=reset]")
    page.click(f"#filter-type option:nth-child(2)")
    first = min(row["type"] for row in questions)
    check_rows(page, f"of type {first}", [row for row in questions if row["type"] == first])
    page.click("#filters button[type=reset]")


def check_sorting(page, questions):
    page.click("[data-sort=u]")
    by_u = sorted(questions, key=lambda row: (round(row["u"], 6), row["qid"]))
    check_rows(page, "sorted by uncertainty", by_u)
    page.click("[data-sort=u]")
    by_u.sort(key=lambda row: -round(row["u"], 6))
    check_rows(page, "sorted by falling uncertainty", by_u)
    page.click("[data-sort=qid]")
    if len(questions) > ROWS_A_PAGE:
        page.click("#next")
        check("the second page", shown_ids(page)[0], questions[ROWS_A_PAGE]["qid"])
        page.click("#previous")


def check_screenshot(path):
    """A blank page has one colour."""
    picture = Image.open(path).convert("RGB")
    if picture.width != SIZE[0]:
        sys.exit(f"the screenshot is {picture.size}, the window {SIZE}")
    colors = picture.getcolors(maxcolors=1 << 24)
    background = max(colors)[0] / (picture.width * picture.height)
    if len(colors) < 200 or background > 0.97:
        sys.exit(f"the page is all but blank: {len(colors)} colours, one of them on "
                 f"{100 * background:.0f} %")


def main(folder, screenshot):
    questions, epochs = lines(folder / "questions.jsonl"), lines(folder / "log.txt")
    page = Browser(*SIZE)
    try:
        page.open(folder / "report.html")
        check_contents(page, questions, epochs)
        check_filters(page, questions)
        check_sorting(page, questions)
        page.screenshot(screenshot)
        check("what the console says", page.complaints(), [])
    finally:
        page.close()
    check_screenshot(screenshot)
    print(f"{screenshot}: {len(questions)} questions")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
