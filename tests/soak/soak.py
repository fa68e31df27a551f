"""Disturbs runs of bovila in every way that the README promises to survive.

    soak.py points LIBRARY COMMAND...        each write, fsync and rename of one rank, in order
    soak.py random TRIES LIBRARY COMMAND...  random kinds and moments on 1 to 4 ranks

LIBRARY is tests/faults's, COMMAND a command line of bovila without --output and mpirun. Each
disturbed run is resumed to its end, and what it leaves has to be what an undisturbed run leaves,
byte by byte. Prints a table of all tries; exits 1 when one failed. Used by tests/cli/faults.sh and
`make soak`; seeds are fixed.
"""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "cli"))
from interrupt import Run, left_by, send  # noqa: E402

LIMIT_S = 400  # of one start
ERRORS = ("full", "readonly", "io", "short")


class Failed(Exception):
    pass


def started(command, ranks, out, environment=None):
    """A Run of so many ranks; one rank needs no mpirun."""
    mpirun = ["mpirun", "-np", str(ranks)] if ranks > 1 else []
    env = [f"{name}={value}" for name, value in (environment or {}).items()]
    return Run((["env"] + env if env else []) + mpirun + command, out)


def end_of(run):
    try:
        return run.process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        run.kill()
        raise Failed(f"still ran after {LIMIT_S} s")


def require_questions_once(out, questions):
    """Each epoch's steps have used as many questions as there are: with equal bytes of what they
    were used for, each one once."""
    used = {}
    for line in open(out + "/metrics.jsonl"):
        row = json.loads(line)
        used[row["epoch"]] = used.get(row["epoch"], 0) + row["questions"]
    if set(used.values()) != {questions}:
        raise Failed(f"epochs used {used} questions, there are {questions}")


class Undisturbed:
    """What a run leaves that nothing happens to, for each number of ranks."""

    def __init__(self, command):
        self.command, self.by_ranks = command, {}

    def __call__(self, ranks):
        if ranks not in self.by_ranks:
            out = f"undisturbed{ranks}"
            begin = time.monotonic()
            if end_of(started(self.command, ranks, out)) != 0:
                raise Failed("the undisturbed run failed: " + said(out))
            require_questions_once(out, 24)
            self.by_ranks[ranks] = left_by(out), time.monotonic() - begin
        return self.by_ranks[ranks]


def require_same(out, expected):
    got = left_by(out)
    if got.keys() != expected.keys():
        raise Failed(f"left {list(got)}, the undisturbed run {list(expected)}")
    for name, content in expected.items():
        if got[name] != content:
            raise Failed(f"{name} is not the undisturbed run's")


def faults(library, out, text):
    return {"LD_PRELOAD": library, "BOVILA_FAULTS": text,
            "BOVILA_FAULTS_UNDER": os.path.abspath(out)}


def said(out):
    with open(out + ".said") as log:
        return log.read()[-3000:]


# --- every point, one after the other ----------------------------------------------------------

def num_calls(library, command):
    """The counted calls of an undisturbed run of one rank."""
    log = os.path.abspath("calls")
    environment = faults(library, "counted", "any 0 full")
    environment["BOVILA_FAULTS_LOG"] = log
    if end_of(started(command, 1, "counted", environment)) != 0:
        raise Failed("the counted run failed: " + said("counted"))
    return sum(1 for _ in open(log))


def points(library, command):
    """One run is killed at its first point, its successor at the second, ..., the last one ends."""
    undisturbed, seconds = Undisturbed(command)(1)
    calls = num_calls(library, command)
    out, killed, ended = "points", 0, 0
    # The first one leaves checkpoints to go on from. Before a call is after the one before it. An
    # error strikes at one call and the kill comes most of a checkpoint later.
    plans = ["any 70 kill-before"] + [f"any {n} kill-before" for n in range(1, POINTS + 1)]
    plans += [f"any {n} {ERRORS[n // 2 % len(ERRORS)]},any {n + 30} kill-before"
              for n in range(1, POINTS + 1, 2)]
    for plan in plans:
        status = end_of(started(command, 1, out, faults(library, out, plan)))
        killed += status == -signal.SIGKILL
        if status == 0:  # the run was complete: another one takes its place
            require_same(out, undisturbed)
            shutil.rmtree(out)
            ended += 1
        elif status not in (-signal.SIGKILL, 1):
            raise Failed(f"'{plan}' ended with exit code {status}: " + said(out))
    if os.path.exists(out):
        status = end_of(started(command, 1, out))
        if status != 0:
            raise Failed(f"was not resumed: exit code {status}: " + said(out))
        require_same(out, undisturbed)
        ended += 1
    print(f"{len(plans)} faults at calls 1 to {POINTS} of a start ({calls} calls in a whole "
          f"run of {seconds:.1f} s), {killed} kills, {ended} runs ended with the undisturbed run's "
          "bytes")
    if killed < len(plans) // 2 or ended < 1:
        raise Failed("the faults did not come at the moments that this test is about")


# Calls that are gone over: those of a start that goes on, to the end of its first save.
POINTS = int(os.environ.get("POINTS", "44"))


# --- random tries -----------------------------------------------------------------------------

def kill_one(run, dice):
    if ranks := run.ranks():
        send(dice.choice(ranks), signal.SIGKILL)
    end_of(run)


def kill_ranks(run, dice):
    for pid in run.ranks():
        send(pid, signal.SIGKILL)
    end_of(run)


def kill_job(run, dice):
    run.kill()


def stop_and_kill(run, dice):
    if ranks := run.ranks():
        victim = dice.choice(ranks)
        send(victim, signal.SIGSTOP)
        time.sleep(dice.uniform(0, 0.5))
        send(victim, signal.SIGKILL)
    end_of(run)


def terminate_one(run, dice):
    if ranks := run.ranks():
        send(dice.choice(ranks), signal.SIGTERM)
    end_of(run)


AT_A_MOMENT = {"SIGKILL one rank": kill_one, "SIGKILL all ranks": kill_ranks,
               "SIGKILL the job": kill_job, "SIGSTOP, SIGKILL": stop_and_kill,
               "SIGTERM one rank": terminate_one}


def disturb_at_a_moment(command, ranks, out, seconds, kind, dice):
    run = started(command, ranks, out)
    moment = dice.uniform(0.15, 0.9) * seconds
    begin = time.monotonic()
    while run.running() and time.monotonic() - begin < moment:
        time.sleep(0.001)
    was_running = run.running()
    AT_A_MOMENT[kind](run, dice)
    return f"{moment:.2f} s" + ("" if was_running else ", had ended")


def disturb_in_a_call(library, command, ranks, out, dice):
    number = dice.randrange(1, 150)
    action = dice.choice(("kill-before", "kill-after") + ERRORS)
    plan = f"any {number} {action}"
    if action in ERRORS:
        plan += f",any {number + dice.randrange(1, 60)} kill-before"
    end_of(started(command, ranks, out, faults(library, out, plan)))
    return f"call {number} {action}"


def one_try(number, library, command, undisturbed):
    dice = random.Random(number)
    ranks = dice.randrange(1, 5)
    kind = dice.choice(list(AT_A_MOMENT) + ["failing call"])
    out = f"try{number}"
    expected, seconds = undisturbed(ranks)
    moments = []
    try:
        for _ in range(dice.randrange(1, 4)):
            moments.append(disturb_in_a_call(library, command, ranks, out, dice)
                           if kind == "failing call"
                           else disturb_at_a_moment(command, ranks, out, seconds, kind, dice))
        status = end_of(started(command, ranks, out))
        if status != 0:
            raise Failed(f"was not resumed: exit code {status}")
        require_same(out, expected)
        require_questions_once(out, 24)
        result = "same bytes"
        shutil.rmtree(out)
    except Failed as failure:
        result = f"FAILED: {failure}"
        sys.stdout.write(said(out))
    print(f"{number:4}  {kind:18} {ranks:5}  {'; '.join(moments):46} {result}", flush=True)
    return result == "same bytes", moments and "had ended" not in moments[0]


def random_tries(tries, library, command):
    undisturbed = Undisturbed(command)
    print(f"{'try':>4}  {'kind':18} {'ranks':>5}  {'moments':46} result")
    results = [one_try(number, library, command, undisturbed) for number in range(tries)]
    good, in_time = (sum(1 for result in results if result[i]) for i in (0, 1))
    print(f"{good} of {tries} resumed to the undisturbed run's bytes, each question once an epoch; "
          f"{in_time} were disturbed before their end")
    if good < tries:
        sys.exit(1)
    if in_time < tries // 2:
        raise Failed("too few disturbances came before the end")


if __name__ == "__main__":
    try:
        if sys.argv[1] == "points":
            points(os.path.abspath(sys.argv[2]), sys.argv[3:])
        else:
            random_tries(int(sys.argv[2]), os.path.abspath(sys.argv[3]), sys.argv[4:])
    except Failed as failure:
        sys.exit(f"FAILED: {failure}")
