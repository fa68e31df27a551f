"""DIR.extracting, where extract_features.py puts videos that are done until all are: NAME.npy a
video, the settings, a mark of each part that has ended, and the locks of those that work there.
"""
import contextlib
import fcntl
import json
import re
import sys

from output_place import whole_file

SETTINGS = ".settings.json"


class UsageError(Exception):
    """Something that the user can mend: exit code 2."""


def say(text):
    print("extract_features:", text, file=sys.stderr, flush=True)


def share_of(names, part):
    """The names that part K of N takes, of a sorted list; all of them without a part. Every N-th:
    neighbours, which are often of one length, go to different parts."""
    if part is None:
        return names
    number, count = part
    return names[number - 1::count]


def mark_path(folder, part):
    return folder / ".part-{}-of-{}.json".format(*part)


def hold(lock, how, folder, stack):
    """Locks a file of the folder until the stack ends."""
    file = stack.enter_context(open(folder / lock, "a+"))
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(f"{folder}: another extraction is at work there") from error
    except OSError as error:
        say(f"{folder}: its file system has no locks ({error.strerror}): see to it that no "
            "other extraction is at work there")


@contextlib.contextmanager
def open_folder(folder, settings, part=None):
    """The folder, for these settings only, and for this process alone or with other parts."""
    if folder.exists() and any(folder.iterdir()) and not (folder / ".lock").exists():
        raise UsageError(f"{folder} is needed for videos that are done, and holds other files: "
                         "move it away, or name another DIR")
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        hold(".lock", fcntl.LOCK_SH if part else fcntl.LOCK_EX, folder, stack)
        if part:
            hold(".lock-{}-of-{}".format(*part), fcntl.LOCK_EX, folder, stack)
        begun = folder / SETTINGS
        if begun.exists() and json.loads(begun.read_text()) != settings:
            raise UsageError(f"{folder} was begun with other settings "
                             f"({begun.read_text().strip()}): give those, or remove it")
        if not begun.exists():
            with whole_file(begun) as file:
                file.write((json.dumps(settings) + "\n").encode())
        yield


def mark_part(folder, part, settings, videos, broken):
    """Says that a part has ended, with these videos of it done and those that cannot be read."""
    mark = {"settings": settings, "videos": [name for name in videos if name not in broken],
            "broken": broken}
    with whole_file(mark_path(folder, part)) as file:
        file.write((json.dumps(mark) + "\n").encode())


def read_marks(folder):
    """By (K, N)."""
    found = {}
    for path in folder.glob(".part-*.json"):
        match = re.fullmatch(r"\.part-(\d+)-of-(\d+)\.json", path.name)
        if match:
            found[int(match[1]), int(match[2])] = json.loads(path.read_text())
    return found


def listed(names, limit=5):
    return ", ".join(map(str, names[:limit])) + (", ..." if len(names) > limit else "")


def require_all(folder, marks):
    """All of N parts have ended, and no others."""
    counts = sorted({count for _, count in marks})
    if not counts:
        raise UsageError(f"{folder}: no part has ended there; run each with --part K/N first")
    if len(counts) > 1:
        raise UsageError(f"{folder} has parts of {' and of '.join(map(str, counts))}: remove it, "
                         "and run all parts with one N")
    missing = [number for number in range(1, counts[0] + 1) if (number, counts[0]) not in marks]
    if missing:
        raise UsageError(f"{folder}: of {counts[0]} parts {len(missing)} have not ended: "
                         f"{listed(missing)}; run --part K/{counts[0]} for each of them")


def check_parts(folder, settings, videos):
    """The broken videos of all parts, which together are these videos, each once.
    @raises UsageError with what is missing, twice, or of another extraction."""
    marks = read_marks(folder)
    require_all(folder, marks)
    seen, broken = {}, []
    for part, mark in sorted(marks.items()):
        name = "part {}/{}".format(*part)
        if mark["settings"] != settings:
            raise UsageError(f"{name} is of other settings ({json.dumps(mark['settings'])}) than "
                             f"{json.dumps(settings)}: give those, or run it again")
        for video in mark["videos"] + mark["broken"]:
            if video in seen:
                raise UsageError(f"video '{video}' is in {seen[video]} and in {name}: videos were "
                                 "added or removed between them; remove the folder, or run all "
                                 "parts again")
            seen[video] = name
        broken += mark["broken"]
    check_videos(folder, seen, broken, videos)
    return broken


def check_videos(folder, seen, broken, videos):
    missing, others = sorted(set(videos) - set(seen)), sorted(set(seen) - set(videos))
    if missing or others:
        what = "lack" if missing else "have others than"
        raise UsageError(f"the parts {what} the folder's videos ({listed(missing or others)}): "
                         "videos were added or removed; run all parts again")
    there = {path.stem for path in folder.glob("*.npy")}
    wanted = set(seen) - set(broken)
    if there != wanted:
        raise UsageError(f"{folder}: {listed(sorted(there ^ wanted))}: there without its part, or "
                         "not there; run all parts again")


def remove_parts(folder, videos):
    """What the tool wrote there but the locks, which are held."""
    for path in [*(folder / f"{name}.npy" for name in videos), folder / SETTINGS,
                 *folder.glob(".part-*.json"), *folder.glob(".*.tmp")]:
        path.unlink(missing_ok=True)


def remove_folder(folder):
    """Once the locks are closed: NFS keeps a file that is open, and the folder with it."""
    for path in [*folder.glob(".lock-*-of-*"), folder / ".lock"]:
        path.unlink(missing_ok=True)
    try:
        folder.rmdir()
    except OSError:
        say(f"{folder} stays: there are other files in it")
