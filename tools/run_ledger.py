"""Where a run's time went, over all its starts: of ledger.jsonl, for the report.

A row of it says what goes on from its time to the next row's. The last row before a start is when
the run was last seen: what comes between is the time that it stood still, or in Slurm's queue. What
was trained after the checkpoint that a later start went on from is lost. Each moment from the first
row to the last has one part, so the parts add up.
"""
from run_folder import is_number

PARTS = ("training", "evaluating", "saving", "loading", "lost", "queued", "standing still")
WORK = ("training", "evaluating", "saving")  # what a start that goes on from before it may repeat


def spans(rows):
    """[part, begin, end, row] from row to row, in order."""
    found = []
    if rows and is_number(rows[0].get("queued_since")):
        found.append(["queued", min(rows[0]["queued_since"], rows[0]["time"]), rows[0]["time"], {}])
    for row, after in zip(rows, rows[1:]):
        begin, end = row["time"], max(after["time"], row["time"])
        if after["doing"] != "loading":
            found.append([row["doing"], begin, end, row])
            continue
        queued = after.get("queued_since")
        queued = min(max(queued, begin), end) if is_number(queued) else end
        found.append(["standing still", begin, queued, {}])
        found.append(["queued", queued, end, {}])
    return found


def lose(found, step):
    """Has the work after the newest saving of `step` be lost, all of it where there is none."""
    for span in reversed(found):
        if span[0] == "saving" and span[3].get("step") == step:
            return
        if span[0] in WORK:
            span[0] = "lost"


def parts(rows):
    """Seconds by part, those of PARTS; {} without two moments."""
    rows = [row for row in rows if is_number(row.get("time")) and isinstance(row.get("doing"), str)]
    done, has_begun = [], True
    for span in spans(rows):
        if span[3].get("doing") == "loading":
            has_begun = False
        elif not has_begun and span[0] in WORK and is_number(span[3].get("step")):
            has_begun = True
            lose(done, span[3]["step"])
        done.append(span)
    seconds = {part: 0.0 for part in PARTS}
    for part, begin, end, _ in done:
        seconds["standing still" if part == "ended" else part] += end - begin
    return seconds if any(seconds.values()) else {}


def time_text(seconds):
    """"26.4 h", "3.2 min" or "41 s"."""
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.0f} s"


def text(rows):
    """"of 31.0 h, 26.4 h trained; evaluating 2.0 h, queued 1.9 h, lost 0.7 h", or nothing."""
    seconds = parts(rows)
    if not seconds:
        return ""
    others = ", ".join(f"{part} {time_text(seconds[part])}" for part in PARTS[1:]
                       if seconds[part] >= 0.5)
    return (f"of {time_text(sum(seconds.values()))}, {time_text(seconds['training'])} trained"
            + (f"; {others}" if others else ""))


def share_of_peak(timing):
    """The median step's share of the peak that the deck states; nothing where it states none."""
    shares = sorted(row["share_of_peak"] for row in timing if is_number(row.get("share_of_peak")))
    return f"{100 * shares[len(shares) // 2]:.1f} % of run.peak_tflops" if shares else ""


def slow_rank(timing):
    """The rank that was the slowest in most steps, and by how much; nothing where none was."""
    rows = [row for row in timing if isinstance(row.get("slowest"), str) and
            row["slowest"] != row.get("fastest") and
            all(is_number(row.get(name)) for name in ("slowest_s", "fastest_s"))]
    names = [row["slowest"] for row in rows]
    if not names:
        return ""
    name = max(set(names), key=names.count)
    mine = [row for row in rows if row["slowest"] == name]
    slow, fast = (sum(row[part] for row in mine) for part in ("slowest_s", "fastest_s"))
    if len(mine) < 0.8 * len(timing) or slow < 1.1 * fast:
        return ""
    return (f"{name}, the slowest in {100 * len(mine) / len(timing):.0f} % of the steps: "
            f"{100 * (slow / max(fast, 1e-9) - 1):.0f} % more time than the fastest")
