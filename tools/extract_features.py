#!/usr/bin/env python3
"""extract_features.py VIDEOS DIR: features of a folder of videos as a feature set.

Reads each video once, takes the frame that is shown at every 1/FPS-th second, turned and stretched as
a player shows it, and computes a vision model's vector of it (frame_encoder.py; CLIP ViT-L/14: 768
numbers), kept in half precision. The features of a video go to DIR.extracting/NAME.npy as soon as
they are complete, so that an interrupted extraction goes on where it was; at the end tools/pth2h5
makes DIR of them, which is there as a whole or not at all. NAME is the video's file name without its
extension, as annotations call it.

With --part K/N it does its share alone, on as many machines as there are parts; then --merge makes
DIR once all parts are there.

Needs Python packages that bovila itself does not:  pip install torch transformers pillow av
Exit codes: 0 done; 1 done without the videos that are named at the end; 2 bad arguments.
"""
import argparse
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # the folder of the program is not ours to write to
from extraction_folder import (UsageError, check_parts, mark_part, mark_path,  # noqa: E402
                               open_folder, remove_folder, remove_parts, say, share_of)
from frame_encoder import FrameEncoder, families_text  # noqa: E402
from output_place import Refused, given, output_place, path_of, whole_file  # noqa: E402

EXTENSIONS = set(".3gp .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .ogv .ts .webm .wmv".split())
LOG_EVERY_S = 5


def counted(number, noun):
    return f"{number} {noun}{'s' * (number != 1)}"


def part_of(text):
    """For argparse: "3/8" is (3, 8)."""
    match = re.fullmatch(r"(\d{1,5})/(\d{1,5})", given(text))
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(f"expected K/N with 1 <= K <= N, got '{text}'")
    return int(match[1]), int(match[2])


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("videos", metavar="VIDEOS", type=path_of, help="folder of videos")
    parser.add_argument("set", metavar="DIR", type=path_of, help="feature set to make")
    parser.add_argument("--fps", type=float, default=1.0,
                        help="frames a second (default: 1; TVQA's annotations count 3)")
    parser.add_argument("--model", type=given, default="openai/clip-vit-large-patch14",
                        help="a CLIP, SigLIP or DINOv2 in Hugging Face's form: a name, or a folder "
                        f"(default: %(default)s). A frame's vector is {families_text()}")
    parser.add_argument("--shards", type=int, default=8, help="number of HDF5 files (default: 8)")
    parser.add_argument("--device", type=given, default="auto",
                        help="cuda, cuda:1, cpu (default: cuda if there)")
    parser.add_argument("--batch", type=int, default=64, help="frames at a time (default: 64)")
    parser.add_argument("--recursive", action="store_true", help="look into folders of VIDEOS too")
    parser.add_argument("--force", action="store_true", help="replace a feature set that is there")
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument("--part", type=part_of, metavar="K/N",
                       help="extract the K-th of N shares of the videos; make no set yet")
    parts.add_argument("--merge", action="store_true",
                       help="make the set of N parts that are all there, with the same options")
    arguments = parser.parse_args()
    for name, minimum in (("fps", 0.001), ("shards", 1), ("batch", 1)):
        if not getattr(arguments, name) >= minimum:
            parser.error(f"--{name}: expected at least {minimum}, got {getattr(arguments, name)}")
    return arguments


def find_videos(folder, recursive):
    """Name to path, by name."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: expected a folder of videos")
    found = {}
    for path in sorted(folder.rglob("*") if recursive else folder.iterdir()):
        is_hidden = path.name.startswith(".")  # as a Mac's "._NAME.mp4", which is no video
        if is_hidden or path.suffix.lower() not in EXTENSIONS or not path.is_file():
            continue
        if path.stem in found:
            raise UsageError(f"{found[path.stem]} and {path} have the same name '{path.stem}', "
                             "which annotations cannot tell apart; rename one")
        found[path.stem] = path
    if not found:
        raise UsageError(f"{folder}: there are no videos in it ({' '.join(sorted(EXTENSIONS))})"
                         + ("" if recursive else "; --recursive looks into its folders too"))
    return found


def find_pth2h5():
    """The converter of this program: beside this script, in build/, or installed."""
    here = pathlib.Path(__file__).resolve().parent
    for path in (here / "pth2h5", here.parent / "build" / "bin" / "pth2h5", shutil.which("pth2h5")):
        if path and os.access(path, os.X_OK):
            return str(path)
    raise UsageError("pth2h5 is missing, which writes the feature set: run `make build`, or put it "
                     "on the PATH")


def is_set(path):
    """Whether a folder has the files of a feature set and no others, as pth2h5 asks it too."""
    names = re.compile(r"index\.json|manifest\.json|shard-.*\.h5|\.lock|\.DS_Store|\.(nfs|_).*")
    return path.is_dir() and (path / "index.json").is_file() and all(
        entry.is_file() and names.fullmatch(entry.name) for entry in path.iterdir())


def is_done(pth2h5, target, parts, videos, force):
    """True when the set holds these videos already. A set that an extraction which is still open
    has made of some of them is to be replaced; any other stays."""
    if force or not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return False
    listed = subprocess.run([pth2h5, "--list", target], capture_output=True, text=True, check=False)
    names = {line.split("\t")[0] for line in listed.stdout.splitlines()}
    missing, others = sorted(set(videos) - names), sorted(names - set(videos))
    if listed.returncode != 0:
        problem = "is no feature set"
    elif parts.exists() and not others:
        return False
    elif not missing and not parts.exists():
        return True
    elif missing:
        problem = f"lacks {len(missing)} of the videos, '{missing[0]}' the first"
    else:
        problem = f"holds other videos, '{others[0]}' the first"
    raise UsageError(f"{target} is there already and {problem}; --force extracts all again and "
                     "replaces it, or name another folder")


def sampled_pictures(path, fps):
    """Yields the pictures that are shown at 0, 1/fps, 2/fps, ... seconds from the first frame on."""
    import av
    with av.open(str(path)) as container:
        if not container.streams.video:
            raise ValueError("there is no picture in it")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        spacing = float(1 / (stream.average_rate or 25))
        shown, begin, end, count = None, 0.0, 0.0, 0
        for number, frame in enumerate(container.decode(stream)):
            time_s = number * spacing if frame.time is None else frame.time
            if shown is None:
                begin = time_s
            while shown is not None and begin + count / fps < time_s - 1e-6:
                yield shown_picture(shown, stream.sample_aspect_ratio)
                count += 1
            shown, end = frame, time_s + spacing
        if shown is None:
            raise ValueError("there are no frames in it")
        if stream.duration and end - begin < 0.9 * float(stream.duration * stream.time_base) - 1:
            raise ValueError(f"it ends after {end - begin:.1f} of "
                             f"{float(stream.duration * stream.time_base):.1f} seconds")
        while begin + count / fps < end - 1e-6:
            yield shown_picture(shown, stream.sample_aspect_ratio)
            count += 1


# How a picture is turned whose point (x, y) is shown at (a x + c y, b x + d y), by (a, b, c, d).
TURNS = {(0, 1, -1, 0): "ROTATE_270", (-1, 0, 0, -1): "ROTATE_180", (0, -1, 1, 0): "ROTATE_90",
         (-1, 0, 0, 1): "FLIP_LEFT_RIGHT", (1, 0, 0, -1): "FLIP_TOP_BOTTOM",
         (0, 1, 1, 0): "TRANSPOSE", (0, -1, -1, 0): "TRANSVERSE"}


def shown_picture(frame, aspect):
    """A frame as a player shows it. `aspect` is a pixel's width by its height, 0 where unknown.
    Phones store what their camera sees, and beside it a matrix that says how they were held."""
    from PIL import Image
    picture = frame.to_image()
    if aspect and aspect != 1:
        picture = picture.resize((max(1, round(picture.width * aspect)), picture.height),
                                 Image.Resampling.BICUBIC)
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return picture
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix))
    turn = TURNS.get(tuple(round(value / 65536) for value in (a, b, c, d)))
    return picture.transpose(Image.Transpose[turn]) if turn else picture


def extract(videos, parts, encoder, arguments):
    """Writes parts/NAME.npy of every video that has none; returns the broken ones' names."""
    import av
    import numpy
    todo = {name: path for name, path in videos.items() if not (parts / f"{name}.npy").exists()}
    if len(todo) < len(videos):
        say(f"{len(videos) - len(todo)} of {len(videos)} videos are done already")
    broken, said, start = [], 0, time.monotonic()
    for number, (name, path) in enumerate(todo.items(), 1):
        try:
            features = encoder.features(sampled_pictures(path, arguments.fps))
        except (av.error.FFmpegError, ValueError, OSError) as error:
            broken.append(name)
            say(f"{path} cannot be read: {error}")
            continue
        with whole_file(parts / f"{name}.npy") as file:
            numpy.save(file, features)
        now = time.monotonic()
        if number == len(todo) or now - said > LOG_EVERY_S:
            said, each = now, (now - start) / number
            say(f"{number} of {counted(len(todo), 'video')}, {name} with "
                f"{counted(len(features), 'frame')}, "
                f"{each:.2f} s a video, {each * (len(todo) - number):.0f} s left")
    return broken


def make_set(pth2h5, parts, target, shards):
    # What is there now was made from a part of these videos, or is replaced on request.
    command = [pth2h5, parts, target, "--shards", str(shards), "--force"]
    return subprocess.run(command, check=False).returncode == 0


def finish(pth2h5, parts, target, arguments, videos, broken):
    """Makes the set of what could be read. Returns the exit code."""
    if len(broken) == len(videos):
        say("no video could be read: no feature set is made")
        return 1
    if not make_set(pth2h5, parts, target, arguments.shards):
        return 1
    if broken:
        say(f"{len(broken)} of {len(videos)} videos are not in the set: {', '.join(broken)}. "
            f"{parts} stays, so that the same command adds them when they are mended")
        return 1
    remove_parts(parts, videos)
    return 0


def run_part(videos, parts, settings, arguments):
    """Returns the exit code."""
    names = share_of(list(videos), arguments.part)
    share = {name: videos[name] for name in names}
    encoder = FrameEncoder(arguments.model, arguments.device, arguments.batch)
    with open_folder(parts, settings, arguments.part):
        mark_path(parts, arguments.part).unlink(missing_ok=True)
        broken = extract(share, parts, encoder, arguments)
        mark_part(parts, arguments.part, settings, names, broken)
    say("part {}/{} is done: {}, --merge makes the set when all are".format(
        *arguments.part, counted(len(names) - len(broken), "video")))
    return 1 if broken else 0


def run(arguments):
    """Returns the exit code."""
    videos = find_videos(arguments.videos, arguments.recursive)
    pth2h5 = find_pth2h5()
    target = output_place(arguments.set, "a feature set", is_set, [arguments.videos])
    parts = target.with_name(target.name + ".extracting")
    if is_done(pth2h5, target, parts, videos, arguments.force):
        say(f"{target} holds these {counted(len(videos), 'video')} already: nothing to do")
        return 0
    settings = {"model": arguments.model, "fps": arguments.fps}
    if arguments.part:
        return run_part(videos, parts, settings, arguments)
    encoder = None
    if not arguments.merge:
        encoder = FrameEncoder(arguments.model, arguments.device, arguments.batch)
    with open_folder(parts, settings):
        broken = (check_parts(parts, settings, videos) if arguments.merge
                  else extract(videos, parts, encoder, arguments))
        code = finish(pth2h5, parts, target, arguments, videos, broken)
    if code == 0:
        remove_folder(parts)
    return code


def main():
    try:
        sys.exit(run(read_arguments()))
    except (UsageError, Refused) as error:
        say(error)
        sys.exit(2)
    except KeyboardInterrupt:
        say("interrupted: the same command goes on from here")
        sys.exit(130)


if __name__ == "__main__":
    main()
