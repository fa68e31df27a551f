"""A sweep's file as points: decks times variants times seeds. Standard library only.

Fed by a FILE.toml as input/sweeps/ has them; feeds tools/sweep and its parts. A point is one run of
bovila in a folder of its own, whose name has a hash of all that the results follow from: the deck's
and the variant's settings, the seed, the number of ranks. So a changed point is another point.
"""
import difflib
import fnmatch
import hashlib
import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

try:
    import tomllib
except ImportError:
    sys.exit("error: tools/sweep needs Python 3.11 or newer, which reads TOML; this is "
             f"{sys.version.split()[0]}")

ROOT = Path(__file__).resolve().parents[1]  # has tools/, input/ and jobs/
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
KEYS = ("output", "decks", "seeds", "ranks", "compare", "set", "variants", "slurm")
SLURM_KEYS = ("options", "at_once")
# What results do not follow from: where they go, when they are saved, how long a run may take.
NO_RESULT = ("output", "checkpoint")
RESULT_OF_RUN = ("device", "deterministic", "tf32")  # of [run]


class BadSweep(Exception):
    """The file is wrong: one problem a line, for the user, exit code 2."""


@dataclass(frozen=True)
class Point:
    deck: str  # path, as bovila takes it
    variant: str
    seed: int
    ranks: int
    epochs: int
    settings: tuple  # (key, TOML value) in the order in which they are set
    name: str  # DECK/VARIANT/seedN-HASH
    output: Path

    @property
    def deck_name(self):
        return self.name.split("/")[0]

    @property
    def folder(self):
        return self.output / self.name

    @property
    def log(self):
        return self.output / f"{self.name}.log"

    def arguments(self):
        """What comes behind the deck on bovila's command line."""
        words = ["--output", str(self.folder)]
        for key, value in self.settings:
            words += ["--set", f"{key}={value}"]
        return words


@dataclass
class Sweep:
    path: Path
    output: Path
    points: list = field(default_factory=list)
    variants: list = field(default_factory=list)  # names, in the file's order
    compare: str = ""  # the variant that the others are compared with
    slurm_options: list = field(default_factory=list)
    slurm_at_once: int = 0  # 0: no limit

    def of(self, pattern):
        """The points whose name the pattern has, `star/*` or `*/full/*`."""
        return [point for point in self.points if fnmatch.fnmatchcase(point.name, pattern)]


class Problems:
    def __init__(self, path):
        self.path, self.found = path, []

    def add(self, text):
        self.found.append(f"{self.path}: {text}")

    def expect(self, is_right, key, expected, got):
        if not is_right:
            self.add(f"{key}: expected {expected}, got {toml_value(got)}")
        return is_right

    def unknown(self, names, known, where):
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                self.add(f"unknown key '{name}' in {where}" +
                         (f"; did you mean '{near[0]}'?" if near else ""))


def toml_value(value):
    """As bovila's --set takes it."""
    if isinstance(value, list):
        return f"[{', '.join(map(toml_value, value))}]"
    return json.dumps(value, ensure_ascii=False) if is_scalar(value) else str(value)


def is_scalar(value):
    return isinstance(value, (bool, int, float, str))


def is_count(value, least=0):
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_texts(value):
    return isinstance(value, list) and value != [] and all(isinstance(v, str) and v for v in value)


def read_toml(path):
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSweep(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSweep(f"{path}: is no TOML: {error}") from None


def flat(table, key, problems):
    """{"loss": {"vaq": 0}} as {"loss.vaq": 0}."""
    found = {}
    for outer, keys in table.items():
        if not problems.expect(isinstance(keys, dict), f"{key}.{outer}",
                               "a deck's key with its table (train.epochs = 5)", keys):
            continue
        for inner, value in keys.items():
            whole = f"{outer}.{inner}"
            if whole in ("train.seed", "output.folder"):
                problems.add(f"{key}.{whole}: the sweep sets it, by `seeds` and `output`")
            elif problems.expect(is_scalar(value) or isinstance(value, list), f"{key}.{whole}",
                                 "a value of a deck's key", value):
                found[whole] = value
    return found


def find_deck(name):
    """In the folder that the sweep is started in, else beside tools/, as jobs/ look for theirs."""
    return name if Path(name).exists() or not (ROOT / name).exists() else str(ROOT / name)


def plain(value):
    """0 and 0.0 are one value of a key."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def identity(deck, settings, ranks):
    """Eight hex digits of what the results of a point follow from."""
    tables = {name: dict(keys) for name, keys in deck.items()
              if isinstance(keys, dict) and name not in NO_RESULT}
    for key, value in settings.items():
        table, _, name = key.partition(".")
        if table not in NO_RESULT:
            tables.setdefault(table, {})[name] = value
    run = tables.pop("run", {})
    tables["run"] = {name: run[name] for name in RESULT_OF_RUN if name in run}
    tables = {name: {key: plain(value) for key, value in keys.items()}
              for name, keys in tables.items()}
    text = json.dumps([tables, ranks], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def make_points(sweep, decks, common, variants, seeds, ranks, problems):
    for path in decks:
        try:
            deck = read_toml(path)
        except BadSweep as error:
            problems.found.append(str(error))
            continue
        of_train = deck.get("train", {})
        for variant, own in variants.items():
            for seed in seeds:
                settings = common | own | {"train.seed": seed}
                epochs = settings.get("train.epochs",
                                      of_train.get("epochs") if isinstance(of_train, dict) else 0)
                if not is_count(epochs, 1):
                    problems.add(f"{path}, variant {variant}: train.epochs has to be in the deck, "
                                 "in [set] or in the variant")
                    break
                name = f"{Path(path).stem}/{variant}/seed{seed}-{identity(deck, settings, ranks)}"
                words = tuple((key, toml_value(value)) for key, value in settings.items())
                sweep.points.append(Point(path, variant, seed, ranks, epochs, words, name,
                                          sweep.output))


def read_sweep(path):
    """Raises BadSweep with all problems of the file."""
    found = read_toml(path)
    problems = Problems(path)
    problems.unknown(found, KEYS, "the file")

    def value(key, standard, is_right, expected):
        got = found.get(key, standard)
        return got if problems.expect(is_right(got), key, expected, got) else standard

    output = value("output", "", lambda v: isinstance(v, str) and v, "a folder")
    decks = value("decks", [], is_texts, "a list of decks")
    decks = [find_deck(deck) for deck in decks]
    stems = [Path(deck).stem for deck in decks]
    if len(set(stems)) < len(stems):
        problems.add("decks: two of them have the same name, which their points' folders begin "
                     "with")
    seeds = value("seeds", [0], lambda v: isinstance(v, list) and v and all(map(is_count, v)) and
                  len(set(v)) == len(v), "a list of different integers, 0 or more")
    ranks = value("ranks", 1, lambda v: is_count(v, 1), "an integer, 1 or more")
    common = flat(value("set", {}, lambda v: isinstance(v, dict), "a table"), "set", problems)
    tables = value("variants", {}, lambda v: isinstance(v, dict) and v,
                   "a table for each variant, [variants.NAME]")
    variants = {}
    for name, table in tables.items():
        if not NAME.fullmatch(name):
            problems.add(f"variants: '{name}' cannot name a folder: expected letters, digits and "
                         "_ . + -")
        if problems.expect(isinstance(table, dict), f"variants.{name}", "a table", table):
            variants[name] = flat(table, f"variants.{name}", problems)
    compare = found.get("compare", next(iter(tables), ""))
    problems.expect(compare in tables or not tables, "compare",
                    f"one of the variants ({', '.join(tables)})", compare)
    slurm = value("slurm", {}, lambda v: isinstance(v, dict), "a table")
    problems.unknown(slurm, SLURM_KEYS, "[slurm]")
    options = slurm.get("options", [])
    problems.expect(options == [] or is_texts(options), "slurm.options",
                    "a list of sbatch's options", options)
    at_once = slurm.get("at_once", 0)
    problems.expect(is_count(at_once), "slurm.at_once", "an integer, 0 or more", at_once)

    sweep = Sweep(Path(path), Path(output), [], list(variants), compare, options, at_once)
    make_points(sweep, decks, common, variants, seeds, ranks, problems)
    if problems.found:
        raise BadSweep("\n".join(problems.found))
    return sweep
