"""A run's output folder as data, whole or still being written. Standard library only.

Fed by what bovila leaves in output.folder; feeds tools/plot_run and tools/report. Any file may be
missing: what cannot be shown then is said in `notes`, and an unreadable row costs only itself.
"""
import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

# By `qtype`: runs of bovila before 0.3 wrote no `type`, and STAR alone had any.
EARLIER_TYPES = {1: "Interaction", 2: "Sequence", 3: "Prediction", 4: "Feasibility"}
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FILES = ("config.json", "metrics.jsonl", "timing.jsonl", "log.txt", "questions.jsonl", "eval.json")


class NoRun(Exception):
    """The folder is none of a run; the message is for the user."""


@dataclass
class Run:
    folder: Path
    settings: dict = field(default_factory=dict)  # tables of config.json
    build: dict = field(default_factory=dict)  # of build.json; before bovila 0.2 there is none
    steps: list = field(default_factory=list)  # rows of metrics.jsonl, each step once
    timing: list = field(default_factory=list)  # rows of timing.jsonl
    ledger: list = field(default_factory=list)  # rows of ledger.jsonl; before bovila 0.2 there is none
    epochs: list = field(default_factory=list)  # rows of log.txt
    questions: list = field(default_factory=list)  # of the newest evaluation, by qid
    questions_file: str = ""  # the name of the file that they are from
    calibration: dict = field(default_factory=dict)  # calibration.json: what certainties are worth
    temperature: dict = field(default_factory=dict)  # of calibration.json: used and fitted
    probes: list = field(default_factory=list)  # lines of what --eval asked otherwise, where it did
    evaluated: str = ""  # what --eval has scored, where that is told and the questions are its
    notes: list = field(default_factory=list)  # what is missing or was left out, in sentences

    @property
    def name(self):
        return self.folder.resolve().name

    @property
    def program(self):
        """bovila, with its version where that is known."""
        if not isinstance(self.build.get("version"), str):
            return "bovila"
        return f"bovila {self.build['version']} (git {self.build.get('git')})"

    @property
    def is_evaluation(self):
        """Whether nothing was trained in the folder."""
        return not self.steps and not self.epochs and (self.folder / "eval.json").exists()

    def setting(self, table, key, default=None):
        of_table = self.settings.get(table)
        return of_table.get(key, default) if isinstance(of_table, dict) else default


def read_run(folder):
    """Raises NoRun when there is no folder, or none of a run's files in it."""
    folder = Path(folder)
    if not folder.exists():
        raise NoRun(f"{folder} is not there: expected the output folder of a run")
    if not folder.is_dir():
        raise NoRun(f"{folder} is a file: expected the output folder of a run")
    if not any((folder / name).exists() for name in FILES) and not epoch_files(folder):
        raise NoRun(f"{folder} holds none of a run's files ({', '.join(FILES)}): "
                    "expected the output folder of a run, output.folder of its deck")
    run = Run(folder)
    run.settings = read_settings(run)
    run.build = read_build(run)
    run.steps = read_rows(run, "metrics.jsonl", "step", "no curves of the training")
    run.timing = read_rows(run, "timing.jsonl", "step", "no speed of the training")
    run.epochs = read_rows(run, "log.txt", "epoch", "no accuracy by epoch")
    run.ledger = read_ledger(run)
    read_questions(run)
    read_calibration(run)
    record = read_record(run)
    if run.is_evaluation:
        run.evaluated = evaluated(record)
    if is_of_eval(run):
        run.probes = probes(record)
    return run


def epoch_files(folder):
    """epoch{n}.json by n."""
    found = {}
    for path in folder.glob("epoch*.json"):
        match = re.fullmatch(r"epoch(\d+)\.json", path.name)
        if match:
            found[int(match[1])] = path
    return dict(sorted(found.items()))


def read_text(run, name, without):
    """The text of a file, or none with a note of what there is not without it."""
    try:
        return (run.folder / name).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        run.notes.append(f"{name} is not there: {without}.")
    except OSError as error:
        run.notes.append(f"{name} cannot be read ({error.strerror}): {without}.")
    return None


def read_ledger(run):
    """Rows of what was going on when, in their order; the last one may be cut short."""
    try:
        text = (run.folder / "ledger.jsonl").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [row for row in map(json_object, text.splitlines()) if row]


def read_settings(run):
    text = read_text(run, "config.json", "no settings")
    if text is None:
        return {}
    try:
        settings = json.loads(text)
    except ValueError:
        settings = None
    if not isinstance(settings, dict):
        run.notes.append("config.json is not whole: no settings.")
        return {}
    return settings


def read_build(run):
    """The texts of build.json, which runs of bovila before 0.2 do not have."""
    try:
        text = (run.folder / "build.json").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    return {name: value for name, value in json_object(text).items() if isinstance(value, str)}


def read_record(run):
    """eval-record.json, which bovila before 0.2 does not write."""
    try:
        text = (run.folder / "eval-record.json").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    return json_object(text)


def evaluated(record):
    if not record:
        return ""
    of = record.get("checkpoint")
    path = of.get("path") if isinstance(of, dict) else None
    return path if isinstance(path, str) and path else "start values, untrained"


def probes(record):
    """What was asked otherwise than the data set asks it, a line each."""
    result = record.get("result")
    lines = result.get("probes") if isinstance(result, dict) else None
    return [line for line in lines if isinstance(line, str)] if isinstance(lines, list) else []


def is_of_eval(run):
    """Whether the questions are those of eval.json, not of an epoch that came later."""
    try:
        rows = json.loads((run.folder / "eval.json").read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError):
        return False
    if not isinstance(rows, list):
        return False

    def answers(rows):
        return [(row.get("qid"), row.get("pre"), row.get("u"), row.get("probability"))
                for row in rows if isinstance(row, dict)]
    return answers(rows) == answers(run.questions)


def read_rows(run, name, key, without):
    """JSON objects, one a line, in the order of the integers under `key`, each once."""
    text = read_text(run, name, without)
    if text is None:
        return []
    rows, bad = {}, 0
    lines = text.split("\n")
    for number, line in enumerate(lines):
        row = json_object(line)
        if isinstance(row.get(key), int) and is_number(row[key]):
            rows[row[key]] = row
        elif line.strip() and number < len(lines) - 1:  # the last one is being written
            bad += 1
    if bad:
        run.notes.append(f"{name}: {bad} line{'s' * (bad > 1)} left out, not JSON with \"{key}\".")
    if not rows:
        run.notes.append(f"{name} has no rows yet: {without}.")
    return [rows[number] for number in sorted(rows)]


def json_object(line):
    """The object of a line, empty where there is none."""
    try:
        row = json.loads(line, parse_constant=lambda _: None)  # no NaN: a curve has a gap there
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


def read_questions(run):
    """questions.jsonl; where there is none, the newest predictions, which lack texts and scores."""
    if (run.folder / "questions.jsonl").exists():
        found = read_rows(run, "questions.jsonl", "qid", "no questions")
        run.questions_file = "questions.jsonl"
    else:
        paths = [*epoch_files(run.folder).values()][-1:] or [run.folder / "eval.json"]
        found, run.questions_file = read_predictions(run, paths[0]), paths[0].name
    run.questions = [row for row in found if is_question(row)]
    left_out = len(found) - len(run.questions)
    if left_out:
        run.notes.append(f"{run.questions_file}: {left_out} row{'s' * (left_out > 1)} left out, "
                         "without a prediction and its uncertainty.")


def read_calibration(run):
    """Certainties by name; none of a run of bovila before 0.2, or whose split hides its answers."""
    try:
        text = (run.folder / "calibration.json").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    whole = json_object(text)
    found, temperature = whole.get("certainties"), whole.get("temperature")
    if (not isinstance(found, dict) or not all(is_certainty(one) for one in found.values()) or
            not isinstance(temperature, dict)):
        run.notes.append("calibration.json is not whole: nothing of what certainties are worth.")
        return
    run.calibration, run.temperature = found, temperature


def is_certainty(found):
    """What the page shows of one is there."""
    def are_rows(name, width):
        rows = found.get(name)
        return isinstance(rows, list) and rows != [] and all(
            isinstance(row, list) and len(row) == width and all(map(is_number, row))
            for row in rows)

    groups = ("risk_at_coverage", "coverage_at_risk", "effective_reliability")
    return (isinstance(found, dict) and are_rows("reliability", 3) and are_rows("risk_coverage", 3)
            and all(isinstance(found.get(group), dict) for group in groups))


def read_predictions(run, path):
    text = read_text(run, path.name, "no evaluation yet, so no questions")
    if text is None:
        return []
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list):
        run.notes.append(f"{path.name} is not whole: no questions.")
        return []
    run.notes.append(f"questions.jsonl is not there: {path.name} has the predictions, but no texts "
                     "and no scores. `bovila DECK --eval` writes them.")
    return [row for row in found if isinstance(row, dict)]


def is_number(value):
    """Finite: 1e999 in a file is infinite, and an integer may be larger than any float."""
    largest = sys.float_info.max
    return (isinstance(value, (int, float)) and not isinstance(value, bool) and
            -largest <= value <= largest)


def counted(number, noun):
    """"1 epoch", "2 epochs"."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def is_letter(value):
    return isinstance(value, str) and len(value) == 1 and value in LETTERS


def is_question(row):
    options = row.get("options", [])
    lists = [row.get(name, []) for name in ("options", "loss", "uncertainty")]
    return (is_letter(row.get("pre")) and is_number(row.get("u")) and
            is_letter(row.get("ans", "A")) and all(isinstance(one, list) for one in lists) and
            all(len(one) == len(options) for one in lists if one) and
            all(is_number(value) for one in lists[1:] for value in one))


def type_names(row):
    """The types of a question, one of each kind; none where the data set has none."""
    if "type" not in row:
        number = row.get("qtype")
        return [EARLIER_TYPES[number]] if is_number(number) and number in EARLIER_TYPES else []
    names = row["type"] if isinstance(row["type"], list) else [row["type"]]
    return [name for name in names if isinstance(name, str) and name]


def type_name(row):
    """Its types for people, in one text."""
    return ", ".join(type_names(row))


def run_or_exit(folder):
    """For programs: a run, or a message and exit code 2."""
    try:
        return read_run(folder)
    except NoRun as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
