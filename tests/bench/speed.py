#!/usr/bin/env python3
"""Training and evaluation beside the naive forms on this machine: a table, and one JSON line a run.

Called by `make bench`: speed.py BUILD/bin/speed [--out FILE] [--quick]. Each run is a process of its
own, so that its peak memory is its own; fast and naive runs of a pair follow each other. Ratios of a
pair are what to compare: seconds depend on the machine and on what else it does.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

# Seconds a question and peak GB of the published code: 2 threads of another machine, whose matrix
# products reach 267 to 312 GFLOP/s with them.
PUBLISHED = {
    (512, "train"): (0.92, 8.2),
    (512, "eval"): (0.88, 8.2),
    (1024, "train"): (2.02, 6.8),
    (1024, "eval"): (1.56, 6.8),
}
PUBLISHED_GFLOPS = 290
SHAPES = {512: 8, 1024: 12}  # width: layers
BATCH = {512: 8, 1024: 4}  # the published code's, in training and evaluation
# loss.tokens_at_once where it is not the default: less memory for some 5 % of the time.
TOKENS_AT_ONCE = {1024: ("--tokens-at-once", 512)}
# model.weights, the one that is compared with first.
FORMS = ("computed", "bf16", "int8", "nf4", "nf4-dq")
# The demo's: 128 x 4, 448 pieces, short questions.
DEMO = {"--dim": 128, "--layers": 4, "--vocab": 448}
DEMO_QUESTIONS = ("--vocab", 448, "--max-seq-len", 88, "--length", 0.5)


class Bench:
    def __init__(self, program, out):
        self.program = program
        self.out = out
        self.cores = len(os.sched_getaffinity(0))

    def call(self, *arguments, ranks=1, threads=None):
        command = [self.program, *map(str, arguments)]
        if threads:
            command += ["--threads", str(threads)]
        if ranks > 1:
            command = ["mpirun", "-np", str(ranks), "--oversubscribe", *command]
        env = dict(os.environ, OMP_NUM_THREADS=str(threads or self.cores), OMP_WAIT_POLICY="passive")
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=env)
        if done.returncode:
            sys.exit(f"speed.py: exit code {done.returncode} of {' '.join(command)}")
        return done.stdout

    def measure(self, folder, work, *arguments, **keywords):
        keywords.setdefault("threads", self.cores)
        row = json.loads(self.call("run", folder, "--work", work, *arguments, **keywords))
        print(json.dumps(row), file=self.out, flush=True)
        return row

    def peak(self, threads):
        row = json.loads(self.call("peak", threads=threads))
        print(json.dumps(row), file=self.out, flush=True)
        return row["peak_gflops"]


def difference(fast, naive):
    """Of the losses or option losses of the first questions, relative to the largest; both forms
    have the same ones, the fast one perhaps more of them."""
    largest = max(map(abs, naive["numbers"]))
    return max(abs(a - b) for a, b in zip(fast["numbers"], naive["numbers"])) / largest


def pairs(bench, folders, peak):
    """The table: each shape and kind of work, fast and naive; and where the fast one's time goes."""
    shares = []
    print(
        f"\n{'shape':>9} {'work':>5} | {'s/question':>10} {'naive':>8} {'ratio':>6} {'published':>9} | "
        f"{'questions/s':>11} {'tokens/s':>8} {'of peak':>7} | "
        f"{'peak GB':>7} {'naive':>6} {'published':>9} | {'differs':>7}"
    )
    for dim, folder in folders.items():
        for work in ("train", "eval"):
            batch = BATCH[dim]
            steps = 4 if dim == 512 else 2
            extra = TOKENS_AT_ONCE.get(dim, ()) if work == "train" else ()
            fast = bench.measure(folder, work, "--batch", batch, "--steps", steps, *extra)
            naive = bench.measure(folder, work, "--naive", "--batch", batch, "--steps", 1)
            seconds, memory = PUBLISHED[dim, work]
            scaled = seconds * PUBLISHED_GFLOPS / peak / fast["seconds_a_question"]
            print(
                f"{dim:>5} x {SHAPES[dim]:<2}{work:>5} | {fast['seconds_a_question']:>10.4f} "
                f"{naive['seconds_a_question']:>8.3f} "
                f"{naive['seconds_a_question'] / fast['seconds_a_question']:>6.1f} {scaled:>9.1f} | "
                f"{fast['questions_a_second']:>11.2f} "
                f"{fast['tokens_a_second']:>8.0f} {fast['layer_gflops'] / peak:>7.0%} | "
                f"{fast['peak_bytes'] / 1e9:>7.2f} {naive['peak_bytes'] / 1e9:>6.2f} "
                f"{memory * 1e9 / fast['peak_bytes']:>9.1f} | {difference(fast, naive):>7.0e}"
            )
            parts = sorted(fast["parts"].items(), key=lambda part: -part[1])
            text = ", ".join(f"{name} {share:.0%}" for name, share in parts if share >= 0.005)
            shares.append(f"{dim:>5} x {SHAPES[dim]:<2}{work:>5} | {text}")
    print(
        "ratio: naive seconds over fast ones. published (seconds): the published code's, scaled by\n"
        "the two machines' matrix products, over fast ones; (memory): its peak over ours. of peak:\n"
        "operations of the frozen layers on the real tokens of all prompts, shared prefixes counted\n"
        "for each, so above 100 % is possible in evaluation. differs: losses or option losses of the\n"
        "same questions, fast from naive, relative to the largest. 1024 x 12 trains with\n"
        "loss.tokens_at_once = 512 instead of 1024, which takes less memory and some 5 % more time.\n"
    )
    print("time by part of the step", *shares, sep="\n")


def choices(bench, folders):
    """What model.recompute_activations and model.precision give and take in training."""
    recompute = ("--recompute", "--tokens-at-once", 512)
    print(f"\n{'training with':>30} {'s/question':>10} {'peak GB':>7} {'published':>9}")
    for dim, folder in folders.items():
        for name, option in (("recompute_activations", recompute), ("bf16", ("--bf16",))):
            row = bench.measure(folder, "train", "--batch", BATCH[dim], "--steps", 2, *option)
            memory = PUBLISHED[dim, "train"][1] * 1e9 / row["peak_bytes"]
            print(
                f"{name:>21} {dim:>4} x {SHAPES[dim]:<2} {row['seconds_a_question']:>9.4f} "
                f"{row['peak_bytes'] / 1e9:>7.2f} {memory:>9.1f}"
            )


def forms(bench, folders):
    """What model.weights gives and takes: ratios of seconds to the same work with fp32 matrices."""
    print(f"\n{'fp32 with':>18} {'train':>8} {'ratio':>6} {'eval':>8} {'ratio':>6} {'peak GB':>7}")
    for dim, folder in folders.items():
        whole = {}
        for form in FORMS:
            texts, peak = [], 0
            for work in ("train", "eval"):
                row = bench.measure(
                    folder, work, "--batch", BATCH[dim], "--steps", 3, "--weights", form
                )
                seconds = row["seconds_a_question"]
                texts.append(f"{seconds:>8.4f} {seconds / whole.setdefault(work, seconds):>6.2f}")
                peak = max(peak, row["peak_bytes"])
            print(f"{form:>8} {dim:>4} x {SHAPES[dim]:<2} {' '.join(texts)} {peak / 1e9:>7.2f}")


def demo(bench, folder):
    """The demo's shape, two ranks' work on one: its time beside the naive form's."""
    print(f"\n{'the demo, 128 x 4':>22} {'s/question':>10} {'naive':>8} {'ratio':>6}")
    for work in ("train", "eval"):
        fast, naive = (
            bench.measure(folder, work, "--batch", 8, "--steps", 10, *DEMO_QUESTIONS, *mode)
            for mode in ((), ("--naive",))
        )
        seconds = fast["seconds_a_question"], naive["seconds_a_question"]
        print(f"{work:>22} {seconds[0]:>10.4f} {seconds[1]:>8.4f} {seconds[1] / seconds[0]:>6.1f}")


SERIES = {
    "--options": (2, 4, 8, 16, 26),
    "--length": (1, 2, 4, 8),
    "--batch": (1, 4, 16),
    "--adapters": (1, 4, 8),
}


def growth(bench, folder):
    """Seconds a question of the small shape as one thing after the other grows; beside them the
    processor's seconds and the products' operations, both as ratios to the first of a series: what
    else the machine does changes the one little and the other not at all."""
    print(
        f"\n{'512 x 8':>14} {'tokens':>7} | {'train, s':>9} {'ratio':>6} {'products':>8} | "
        f"{'eval, s':>9} {'ratio':>6} {'products':>8}"
    )
    for option, values in SERIES.items():
        first = {}
        for value in values:
            cells, tokens = [], 0
            for work in ("train", "eval"):
                row = bench.measure(
                    folder, work, option, value, "--steps", 3, "--max-seq-len", 1024
                )
                tokens = tokens or row["tokens_a_prompt"]
                cpu, products = row["cpu_seconds_a_question"], row["products_a_question"]
                base = first.setdefault(work, (cpu, products))
                cells.append(
                    f"{row['seconds_a_question']:>9.4f} {cpu / base[0]:>6.2f} "
                    f"{products / base[1]:>8.2f}"
                )
            print(f"{option + ' ' + str(value):>14} {tokens:>7.0f} | {cells[0]} | {cells[1]}")


def ranks(bench, folder):
    """Ranks of one thread beside one rank of all of them."""
    if bench.cores < 2:
        return
    one = bench.measure(folder, "train", "--steps", 4)["seconds_a_question"]
    many = bench.measure(folder, "train", "--steps", 4, ranks=bench.cores, threads=1)
    ratio = one / many["seconds_a_question"]
    print(f"{bench.cores} ranks of one thread are {ratio:.2f} times as fast as one of {bench.cores}")


def together(bench, folders):
    """Ranks of one thread that hold a model together: what they take, and how much of it is sums."""
    print(f"\n{'ranks a model':>18} {'train':>8} {'ratio':>6} {'sums':>5} {'peak GB':>7}")
    for dim, folder in folders.items():
        alone = None
        for ranks in (1, 2, 4):
            row = bench.measure(folder, "train", "--batch", BATCH[dim], "--steps", 3, "--together",
                                ranks=ranks, threads=1)
            seconds = row["seconds_a_question"]
            alone = alone or seconds
            sums = row["parts"].get("group sum", 0)
            print(f"{ranks:>8} {dim:>4} x {SHAPES[dim]:<2} {seconds:>8.4f} {seconds / alone:>6.2f} "
                  f"{sums:>5.0%} {row['peak_bytes'] / 1e9:>7.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", help="build/bin/speed")
    parser.add_argument("--out", default="output/bench-speed.jsonl", help="JSON lines, one a run")
    parser.add_argument("--quick", action="store_true", help="the small shape's pairs alone")
    parser.add_argument("--growth", action="store_true",
                        help="only how time grows with options, length, batch and adapters")
    options = parser.parse_args()
    os.makedirs(os.path.dirname(options.out) or ".", exist_ok=True)
    if os.geteuid() == 0:
        os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    with open(options.out, "w") as out, tempfile.TemporaryDirectory() as temporary:
        bench = Bench(options.program, out)
        shapes = {512: 8} if options.quick or options.growth else SHAPES
        folders = {dim: os.path.join(temporary, str(dim)) for dim in shapes}
        for dim, folder in folders.items():
            os.mkdir(folder)
            bench.call("prepare", folder, "--dim", dim, "--layers", shapes[dim])
        if options.growth:
            return growth(bench, folders[512])
        alone, peak = bench.peak(1), bench.peak(bench.cores)
        print(f"matrix products: {alone:.0f} GFLOP/s with one thread, {peak:.0f} with {bench.cores}")
        pairs(bench, folders, peak)
        if options.quick:
            return
        choices(bench, folders)
        forms(bench, folders)
        together(bench, folders)
        small = os.path.join(temporary, "demo")
        os.mkdir(small)
        bench.call("prepare", small, *(word for pair in DEMO.items() for word in pair))
        demo(bench, small)
        growth(bench, folders[512])
        ranks(bench, folders[512])


if __name__ == "__main__":
    main()
