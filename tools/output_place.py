"""Where the Python tools put what they make, as core/output_place.h has it for the others: links
are followed and said, what is written is there as a whole or not at all, and nothing is replaced
that the tool did not make itself. Standard library only.

Used by extract_features.py, gguf2llama.py, smollm_lessons.py, report and plot_run.
"""
import argparse
import contextlib
import os
import re
import shutil
import sys
from pathlib import Path


class Refused(Exception):
    """What is there is not the tool's: for the user, exit code 2."""


def given(text):
    """For argparse: an empty value, as an unset variable of the shell has, is none."""
    if not text:
        raise argparse.ArgumentTypeError("expected a value, got an empty one (a variable that is "
                                         "not set?)")
    return text


def path_of(text):
    """For argparse: a path with ~ and variables replaced, as core/path.h has it."""
    path = given(text)
    if not os.path.lexists(path):
        path = os.path.expandvars(os.path.expanduser(path))
        unset = re.search(r"\$\w+|\$\{\w+\}", path)
        if unset:
            raise argparse.ArgumentTypeError(f"'{text}': the variable {unset[0].strip('${}')} is not "
                                             "set")
    return Path(path)


def output_place(target, product="", is_ours=lambda path: False, sources=()):
    """The path that `target` leads to. There is nothing, or an empty folder, or what `is_ours`
    knows to be the product, and may be replaced; never one of the sources, nor a folder above it.
    """
    place = Path(os.path.realpath(target))
    if os.path.islink(str(target).rstrip("/")):
        print(f"{target} is a link: {place} is written", file=sys.stderr)
    for source in sources:
        read = Path(os.path.realpath(source))
        if place in (read, *read.parents):
            raise Refused(f"{target}: {source} is read from there, which is never replaced; name "
                          "another one")
    if not place.exists() or place.is_dir() and not any(place.iterdir()) or is_ours(place):
        return place
    if not product:
        raise Refused(f"{target} is there already; name another one, or remove it to make it again")
    raise Refused(f"{target}: expected {product} or nothing, something else is there; name another "
                  "one or move it away")


def holds_text(path, text):
    """Whether a file has this mark in it. What cannot be read has not."""
    try:
        return path.is_file() and text.encode() in path.read_bytes()
    except OSError:
        return False


def beside(path):
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


@contextlib.contextmanager
def whole_file(path):
    """A file to write, in bytes, that takes its place when the block ends without an error."""
    temporary = beside(path)
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(path):
    """A folder to fill, which takes its place, an empty folder's perhaps, in the same way."""
    temporary = beside(path)
    os.makedirs(temporary)
    try:
        yield temporary
        os.rename(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
