"""Several runs side by side, as data for the page of tools/report. Standard library only.

Fed by tools/run_folder.py; a question of the page is one that all runs have answered, and its right
answer is the same in all.
"""
import html
import json

import run_statistics as stats
import sweep_statistics
from run_folder import counted, is_number, type_name

NORMAL = 1.959963984540054  # quantile 0.975 of the standard normal distribution
CHARTS = (("All losses", "loss", "steps", {"log": True}),
          ("Accuracy after each epoch, %", "val_acc", "epochs", {"low": 0}),
          ("Mean uncertainty", "uncertainty", "steps", {"low": 0}),
          ("Gradient norm", "gradient_norm", "steps", {"log": True}),
          ("Learning rate", "lr", "steps", {"low": 0}),
          ("Questions a second", "questions_per_s", "timing", {"low": 0}))


def curves(runs, names):
    """A chart a measure, a line a run."""
    charts = []
    for title, value, rows, look in CHARTS:
        lines = []
        for run, name in zip(runs, names):
            if rows == "epochs":
                points = [(x + 1, 100 * y) for x, y in stats.curve(run.epochs, value, "epoch")]
            else:
                points = stats.thinned(stats.curve(getattr(run, rows), value))
            if points:
                lines.append({"name": name, "points": points})
        if lines:
            charts.append({"title": title, "x": "epoch" if rows == "epochs" else "step",
                           "lines": lines, **look})
    return charts


def interval(rows):
    """(accuracy, low, high, questions): the normal interval of 95 % with the error clustered by
    video (sweep_statistics.clustered_error), within 0 to 1; without one where all are of one video.
    """
    right = [int(stats.is_right(row)) for row in rows]
    videos = [row.get("vid", row.get("qid")) for row in rows]
    accuracy = sum(right) / len(right)
    error = sweep_statistics.clustered_error(right, [str(video) for video in videos])
    if error is None:
        return accuracy, None, None, len(right)
    reach = NORMAL * error
    return accuracy, max(0, accuracy - reach), min(1, accuracy + reach), len(right)


def bars(runs):
    """For each type of question, and all: (name, an interval() a run, None where it has none)."""
    names = dict.fromkeys(name for run in runs for name, _, _ in stats.by_type(run.questions))
    found = []
    for name in [*(name for name in names if name != "all"), *(["all"] if "all" in names else [])]:
        groups = [[row for row in stats.answered(run.questions)
                   if name == "all" or type_name(row) == name] for run in runs]
        found.append([name, [interval(group) if group else None for group in groups]])
    return found


def shared(runs):
    """Rows of the questions that all runs have answered, a tuple a question."""
    def identity(row):
        return row.get("vid"), row.get("question_id"), row.get("ans")

    by_id = [{row["qid"]: row for row in run.questions if is_number(row.get("qid"))}
             for run in runs]
    return [rows for rows in (tuple(of_run.get(qid) for of_run in by_id) for qid in by_id[0])
            if all(rows) and len({identity(row) for row in rows}) == 1]


def notes(runs, names):
    number = len(shared(runs))
    return [f"{name}: {counted(len(run.questions) - number, 'question')} left out of the table: "
            "not every run has them." for run, name in zip(runs, names)
            if len(run.questions) > number]


def question(rows):
    texts = next((row for row in rows if isinstance(row.get("question"), str)), {})
    known = {name: str(rows[0][name]) for name in ("vid", "question_id", "ans") if name in rows[0]}
    return {"qid": rows[0]["qid"], "type": type_name(rows[0]),
            "question": texts.get("question", ""),
            "options": [str(option) for option in texts.get("options", [])],
            "answers": [{"pre": row["pre"], "u": round(row["u"], 6)} for row in rows], **known}


def page_data(runs, names):
    return {"names": names, "curves": curves(runs, names), "types": bars(runs),
            "questions": [question(rows) for rows in shared(runs)]}


def settings_html(runs, names):
    """The settings in which the runs differ, a column a run."""
    flat = [{f"{table}.{key}": json.dumps(value, ensure_ascii=False)
             for table, keys in run.settings.items() if isinstance(keys, dict)
             for key, value in keys.items()} for run in runs]
    keys = dict.fromkeys(key for of_run in flat for key in of_run)
    rows = [(key, [of_run.get(key, "") for of_run in flat]) for key in keys]
    rows = [(key, values) for key, values in rows if len(set(values)) > 1]
    if not rows:
        return "<p>The runs have the same settings.</p>"
    heads = "".join(f"<th scope=col>{html.escape(name)}" for name in names)
    body = "".join(f"<tr><th scope=row>{html.escape(key)}" +
                   "".join(f"<td>{html.escape(value)}" for value in values)
                   for key, values in rows)
    return f"<div class=scroll><table class=settings><tr><td>{heads}{body}</table></div>"
