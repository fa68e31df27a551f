"""Interrupts runs of bovila at random moments and compares what they leave with an undisturbed run.

    interrupt.py killed TIMES COMMAND...    SIGKILL to all ranks, once a run, then resumed to the end
    interrupt.py stopped TIMES COMMAND...   a stop signal to one rank, again and again to the end

COMMAND is a whole command line of bovila without --output; each run gets a folder below the present
one. Half of the kills wait for a checkpoint being written. Used by resume.sh; seeds are fixed.
What TensorBoard's own reader makes of the event files is compared too.
"""
import json
import os
import random
import signal
import subprocess
import sys
import time

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

LIMIT_S = 90
STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
PREEMPTED = 75
LONGEST_STOP_S = 20  # a busy machine's; a micro-step of these runs takes some milliseconds
MOST_STOPS = 8  # then a run may reach its end


def is_alive(pid):
    """A dead process has let go of its files when its last thread is gone."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            state = stat.read().rsplit(")", 1)[1].split()[0]
        return state != "Z" or len(os.listdir(f"/proc/{pid}/task")) > 1
    except OSError:
        return False


class Run:
    """One start of the program, its processes marked in their environment: MPICH's starter gives
    each a session of its own."""

    def __init__(self, command, out):
        self.out = out
        self.log = open(out + ".said", "a")
        self.log_size = os.path.getsize(out + ".said")
        mark = f"{os.getpid()} {time.monotonic_ns()}"
        self.mark = f"BOVILA_TEST_RUN={mark}".encode()
        self.process = subprocess.Popen(
            command + ["--output", out], stdout=self.log, stderr=self.log,
            stdin=subprocess.DEVNULL, start_new_session=True,
            env=os.environ | {"BOVILA_TEST_RUN": mark})
        self.known = {self.process.pid}

    def members(self):
        """Ids of its living processes, the started one first. A dead one's environment is gone
        before its last thread is."""
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/environ", "rb") as environment:
                    if self.mark in environment.read().split(b"\0"):
                        self.known.add(int(name))
            except OSError:
                continue
        return sorted(filter(is_alive, self.known), key=lambda pid: pid != self.process.pid)

    def ranks(self):
        """Those that are the program and not its starter."""
        found = []
        for pid in self.members():
            try:
                if os.readlink(f"/proc/{pid}/exe").endswith("/bovila"):
                    found.append(pid)
            except OSError:
                continue
        return found

    def num_lines(self):
        """That it has said. Before the first it does not even catch signals."""
        with open(self.out + ".said", "rb") as log:
            log.seek(self.log_size)
            return log.read().count(b"\n")

    def wait_for_lines(self, number):
        while self.running() and self.num_lines() < number:
            time.sleep(0.001)

    def running(self):
        return self.process.poll() is None

    def kill(self, first=()):
        """True when it was killed before it ended by itself. Those of `first` are hit at once:
        looking for all members takes as long as many a write."""
        was_running = self.running()
        for pid in first:
            send(pid, signal.SIGKILL)
        while members := self.members():
            for pid in members:
                send(pid, signal.SIGKILL)
        self.process.wait()
        return was_running and self.process.returncode != 0

    def end(self):
        try:
            return self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            fail(self.out, f"still ran after {LIMIT_S} s")


def send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it has just ended


def fail(out, reason):
    with open(out + ".said") as log:
        sys.stdout.write(log.read()[-6000:])
    sys.exit(f"{out}: {reason}")


def left_by(out):
    """What a run leaves, byte by byte, but for the paths in the settings."""
    found = {}
    for name in sorted(os.listdir(out)):
        if name.startswith("epoch") or name in ("log.txt", "metrics.jsonl", "questions.jsonl",
                                                    "calibration.json"):
            found[name] = open(os.path.join(out, name), "rb").read()
    for name in sorted(os.listdir(out + "/checkpoints")):
        if name.startswith("step-"):
            path = f"{out}/checkpoints/{name}/state.h5"
            found[name] = open(path, "rb").read()
    with open(out + "/timing.jsonl") as timing:
        found["steps of timing.jsonl"] = [json.loads(row)["step"] for row in timing]
    found["TensorBoard's scalars"] = scalars_of(out)
    return found


def scalars_of(out):
    """Steps and values of all tags but those of seconds."""
    events = EventAccumulator(out, size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)]
            for tag in events.Tags()["scalars"] if not tag.endswith("_s")}


def require_equal(out, expected):
    got = left_by(out)
    if got.keys() != expected.keys():
        fail(out, f"left {list(got)}, the undisturbed run {list(expected)}")
    for name, content in expected.items():
        if got[name] != content:
            fail(out, f"{name} is not the undisturbed run's")


def is_writing(out):
    try:
        return any(name.startswith(".step-") for name in os.listdir(out + "/checkpoints"))
    except FileNotFoundError:
        return False


def undisturbed(command):
    """What it leaves, and the lines that it said."""
    run = Run(command, "undisturbed")
    if run.end() != 0:
        fail("undisturbed", "failed")
    return left_by("undisturbed"), run.num_lines()


def wait_for_write(run, number):
    """Until it writes the checkpoint of this number. Returns its ranks."""
    run.wait_for_lines(1)
    ranks = run.ranks()
    was_writing = False
    while run.running():
        writing = is_writing(run.out)
        if writing and not was_writing:
            number -= 1
            if number == 0:
                break
        was_writing = writing
        time.sleep(0.0005)
    return ranks


def killed(times, command):
    expected, lines = undisturbed(command)
    inside_writes = early = 0
    for number in range(times):
        dice = random.Random(number)
        run = Run(command, f"killed{number}")
        ranks = []
        if number % 2:
            ranks = wait_for_write(run, dice.randrange(1, 8))
        else:  # while it loads, too; counted in lines, as seconds depend on what else runs
            run.wait_for_lines(dice.randrange(lines))
            time.sleep(dice.uniform(0, 0.2))
        if run.kill(ranks):
            inside_writes += is_writing(run.out)
        else:
            early += 1
        if Run(command, run.out).end() != 0:
            fail(run.out, "was not resumed")
        require_equal(run.out, expected)
    print(f"{times} runs, {inside_writes} killed inside a write, {early} had ended before")
    if inside_writes < times // 10 or early > times // 2:
        sys.exit("the kills did not come at the moments that this test is about")


def stopped(times, command):
    expected, lines = undisturbed(command)
    longest, stops = 0, 0
    for number in range(times):
        dice = random.Random(1000 + number)
        out = f"stopped{number}"
        status, mine = PREEMPTED, 0
        while status == PREEMPTED:
            run = Run(command, out)
            if mine < MOST_STOPS:
                # Not at the last lines: the run would be over before the signal is there.
                run.wait_for_lines(dice.randrange(1, lines * 3 // 4))
                time.sleep(dice.uniform(0, 0.05))
                ranks = run.ranks()
                sent = time.monotonic()
                if ranks:
                    send(dice.choice(ranks), dice.choice(STOP_SIGNALS))
            status = run.end()
            if status == PREEMPTED:
                longest = max(longest, time.monotonic() - sent)
                mine += 1
        if status != 0:
            fail(out, f"ended with exit code {status}")
        require_equal(out, expected)
        stops += mine
    print(f"{times} runs stopped {stops} times, at most {longest:.2f} s from signal to exit")
    if stops < times:
        sys.exit("too few of the signals came while the program ran")
    if longest > LONGEST_STOP_S:
        sys.exit(f"expected at most {LONGEST_STOP_S} s")


if __name__ == "__main__":
    {"killed": killed, "stopped": stopped}[sys.argv[1]](int(sys.argv[2]), sys.argv[3:])
