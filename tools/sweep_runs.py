"""A sweep's points as runs: where each stands, several at once here, or an array of Slurm's.

Fed by tools/sweep_file.py; feeds tools/sweep. What is known of a point is what its run left: its
rows of log.txt, its newest checkpoint, its lock, and its log, which says how bovila ended. So a
sweep that was stopped anywhere, or killed, goes on when it is typed again. Standard library only.
"""
import fcntl
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass

from output_place import whole_file
from run_folder import counted, json_object
from sweep_file import ROOT

STOPPED = 75  # bovila's exit code: stopped with its state saved, the same command goes on
RESTARTS = 5  # of a point in a row that save nothing new, as jobs/run.sh has it
BEAT = 15     # seconds: a run touches its lock every five
ENDED = re.compile(r"(?:tools/sweep|jobs/run\.sh): bovila ended with exit code (\d+)")
OTHERS = re.compile(r"(srun|slurmstepd|jobs/run\.sh): |-{5}|mpirun ")  # how they word bovila's end
BEGINS = "tools/sweep: begins: "
TAIL = 65536  # bytes of a log that are looked at


@dataclass
class State:
    kind: str  # done, running, waiting or failed
    text: str = ""


def find_bovila():
    for path in (ROOT / "build/bin/bovila", ROOT.parents[1] / "bin/bovila"):
        if os.access(path, os.X_OK):
            return str(path)
    return "bovila"


def environment():
    """Root is let start ranks, as containers need it, and several mpiruns do not bind their ranks
    to the same cores. What the user has set comes first."""
    wanted = {"OMPI_MCA_hwloc_base_binding_policy": "none"}
    if os.geteuid() == 0:
        wanted |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    return wanted | os.environ


def program(point):
    return [os.environ.get("BOVILA") or find_bovila(), point.deck, *point.arguments()]


def command(point):
    words = program(point)
    return ["mpirun", "-np", str(point.ranks), *words] if point.ranks > 1 else words


def read_object(path):
    try:
        return json_object(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return {}


def epochs_done(point):
    try:
        lines = (point.folder / "log.txt").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return len({json_object(line).get("epoch") for line in lines} - {None})


def newest_checkpoint(point):
    """The last of its folders that is whole; None without one."""
    folders = sorted(point.folder.glob("checkpoints/step-*/manifest.json"))
    return folders[-1].parent if folders else None


def is_done(point):
    """The last epoch's predictions are there, and the checkpoint that is saved behind them."""
    newest = newest_checkpoint(point)
    return (epochs_done(point) >= point.epochs and newest is not None and
            read_object(newest / "progress.json").get("epoch", 0) >= point.epochs)


def end_of_log(point):
    try:
        with open(point.log, "rb") as file:
            file.seek(max(0, point.log.stat().st_size - TAIL))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []


def last_exit(point):
    """(exit code, the line before bovila's last end) of the log; (None, "") when the last start has
    not ended, which a killed one never does."""
    lines = end_of_log(point)
    for at in range(len(lines) - 1, -1, -1):
        if lines[at].startswith(BEGINS):
            break
        if found := ENDED.search(lines[at]):
            said = [line for line in lines[:at] if line.strip() and not OTHERS.match(line)]
            errors = [line for line in said if "error:" in line] or said
            return int(found[1]), errors[-1].strip() if errors else ""
    return None, ""


def is_held(point):
    """A run is at work in the folder: it touches its lock."""
    lock = point.folder / "run.lock"
    try:
        age = time.time() - lock.stat().st_mtime
    except OSError:
        return False
    holder = read_object(lock)
    if holder.get("host") == socket.gethostname():
        try:
            with open(f"/proc/{holder.get('pid')}/cmdline", "rb") as file:
                return os.fsencode(point.folder) in file.read().split(b"\0")
        except OSError:
            return False
    return age < BEAT


def state(point, jobs):
    """`jobs`: of jobs_of()."""
    task, of_task = jobs.get(point.name, ("", ""))
    done = f"{epochs_done(point)} of {counted(point.epochs, 'epoch')}"
    if is_done(point):
        return State("done", counted(point.epochs, "epoch"))
    if is_held(point) or of_task == "RUNNING":
        return State("running", f"{done}{f', job {task}' if task else ''}")
    if task:
        return State("waiting", f"{done}, job {task} is {of_task}")
    code, line = last_exit(point)
    if code not in (None, 0, STOPPED):
        return State("failed", f"exit code {code}: {line}")
    return State("waiting", done if point.folder.exists() else "")


def former_points(sweep):
    """Names of folders that were a point of the file once."""
    names = {point.name for point in sweep.points}
    found = (path.relative_to(sweep.output).as_posix()
             for path in sweep.output.glob("*/*/seed*-????????") if path.is_dir())
    return sorted(name for name in found if name not in names)


# --- here ----------------------------------------------------------------------------------------

class Runner:
    """Runs points, so many at once. One that fails stops no other."""

    def __init__(self, points, at_once):
        self.ahead, self.at_once = list(points), at_once
        self.running = {}  # process -> (point, its log)
        self.vain = {}  # restarts in a row that saved nothing new, by name
        self.failed, self.stopped = [], []
        self.signals = 0

    def say(self, point, text):
        print(f"{point.name}: {text}", flush=True)

    def begin(self, point):
        point.log.parent.mkdir(parents=True, exist_ok=True)
        words = command(point)
        log = open(point.log, "a", encoding="utf-8")
        log.write(f"{BEGINS}{shlex.join(words)}\n")
        log.flush()
        try:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       env=environment(), start_new_session=True)
        except OSError as error:
            log.write(f"error: {words[0]}: {error.strerror}\n")
            log.close()
            self.ended(point, 127)
            return
        self.running[process] = (point, log, str(newest_checkpoint(point)))
        self.say(point, f"begins, log: {point.log}")

    def ended(self, point, code):
        with open(point.log, "a", encoding="utf-8") as log:
            log.write(f"tools/sweep: bovila ended with exit code {code}\n")
        if code == 0 and is_done(point):
            self.say(point, "done")
        elif self.signals:
            self.stopped.append(point)
            self.say(point, f"stopped after {counted(epochs_done(point), 'epoch')}")
        else:
            self.failed.append(point)
            self.say(point, f"failed with exit code {code}: {last_exit(point)[1]}")
            print(f"  all it said is in {point.log}", flush=True)

    def is_to_go_on(self, point, code, before):
        """Stopped by a limit of its own. Not for ever: it has to save something."""
        if code != STOPPED or self.signals:
            return False
        is_new = str(newest_checkpoint(point)) != before
        self.vain[point.name] = 0 if is_new else self.vain.get(point.name, 0) + 1
        return self.vain[point.name] <= RESTARTS

    def reap(self):
        for process in [one for one in self.running if one.poll() is not None]:
            point, log, before = self.running.pop(process)
            log.close()
            code = process.returncode
            code = 128 - code if code < 0 else code
            if self.is_to_go_on(point, code, before):
                self.ahead.insert(0, point)
            else:
                self.ended(point, code)

    def stop(self, *_):
        """mpirun passes USR1 on and waits; a second signal ends what does not end by itself."""
        self.signals += 1
        self.stopped += self.ahead
        self.ahead = []
        for process in self.running:
            try:
                os.killpg(process.pid, signal.SIGKILL) if self.signals > 1 else process.send_signal(
                    signal.SIGUSR1)
            except ProcessLookupError:
                pass

    def run(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, self.stop)
        while self.ahead or self.running:
            while self.ahead and len(self.running) < self.at_once:
                self.begin(self.ahead.pop(0))
            time.sleep(0.1)
            self.reap()
        if self.failed:
            return 1
        return STOPPED if self.stopped else 0


def hold(sweep):
    """A lock for as long as this process lives; None when another --run has it."""
    sweep.output.mkdir(parents=True, exist_ok=True)
    file = open(sweep.output / "sweep.lock", "w", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    except OSError:
        pass  # a file system without locks: bovila's own lock keeps two runs out of a folder
    return file


def check(points):
    """bovila --check for each deck and variant: a seed changes neither. Returns the failures."""
    failed, seen = 0, set()
    for point in points:
        if (point.deck, point.variant) in seen:
            continue
        seen.add((point.deck, point.variant))
        words = [*program(point), "--check"]
        try:
            done = subprocess.run(words, capture_output=True, text=True, env=environment())
            said, code = done.stdout + done.stderr, done.returncode
        except OSError as error:
            said, code = f"error: {words[0]}: {error.strerror}\n", 127
        what = f"{point.deck_name}/{point.variant}"
        print(f"{what}: {'fits together' if code == 0 else f'exit code {code}'}", flush=True)
        if code:
            failed += 1
            print("".join(f"  {line}\n" for line in said.splitlines()), end="", flush=True)
    return failed


# --- Slurm ---------------------------------------------------------------------------------------

def submissions(sweep):
    found = read_object(sweep.output / "submitted.json").get("jobs", [])
    return [job for job in found if isinstance(job, dict)]


def jobs_of(sweep):
    """Name of a point -> (task, Slurm's word for its state), of tasks that are in the queue."""
    found = {}
    for job in submissions(sweep):
        if not shutil.which("squeue"):
            break
        queue = subprocess.run(["squeue", "--noheader", "--array", f"--jobs={job['id']}",
                                "--format=%K %T"], capture_output=True, text=True)
        for line in queue.stdout.splitlines():  # none, and an error, for a job that is long over
            task, word = line.split()
            if task.isdigit() and int(task) < len(job["points"]):
                found[job["points"][int(task)]] = (f"{job['id']}_{task}", word)
    return found


def array_script(sweep, points):
    """A task a point. Slurm keeps the script's text, so the sweep's file may change meanwhile."""
    cases = []
    for at, point in enumerate(points):
        cases.append(f"  {at})\n    log={shlex.quote(str(point.log))}\n"
                     f"    export DECK={shlex.quote(point.deck)}\n"
                     f"    set -- {shlex.join(point.arguments())}\n    ;;")
    return "\n".join([
        "#!/usr/bin/env bash",
        f"# Points of {sweep.path}, a task each. Made by tools/sweep.",
        'case "$SLURM_ARRAY_TASK_ID" in', *cases, "esac",
        'mkdir -p "$(dirname "$log")"', 'exec >>"$log" 2>&1',
        f"echo {shlex.quote(BEGINS + 'task ')}$SLURM_ARRAY_JOB_ID'_'$SLURM_ARRAY_TASK_ID",
        f'exec {shlex.quote(str(ROOT / "jobs/run.sh"))} "$@"', ""])


def submit(sweep, points, at_once):
    """One array of the points. Returns its job's number. Raises OSError, CalledProcessError."""
    sweep.output.mkdir(parents=True, exist_ok=True)
    limit = f"%{at_once}" if at_once else ""
    options = [f"--array=0-{len(points) - 1}{limit}", f"--job-name=sweep-{sweep.path.stem}",
               f"--ntasks={points[0].ranks}", "--requeue", "--signal=USR2@120",
               "--open-mode=append", f"--output={sweep.output}/slurm-%A_%a.log", *sweep.slurm_options]
    done = subprocess.run(["sbatch", "--parsable", *options], input=array_script(sweep, points),
                          capture_output=True, text=True, check=True)
    job = done.stdout.strip().split(";")[0]
    jobs = submissions(sweep) + [{"id": job, "points": [point.name for point in points]}]
    with whole_file(sweep.output / "submitted.json") as file:
        file.write((json.dumps({"jobs": jobs}) + "\n").encode())
    return job
