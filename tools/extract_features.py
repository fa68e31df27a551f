#!/usr/bin/env python3
"""extract_features.py VIDEOS DIR: CLIP features of a folder of videos as a feature set.

Reads each video once, takes the frame that is shown at every 1/FPS-th second, turned and stretched as
a player shows it, and computes CLIP's image embedding of it (ViT-L/14: 768 numbers, kept in half precision). The features of a video go to
DIR.extracting/NAME.npy as soon as they are complete, so that an interrupted extraction goes on where
it was; at the end tools/pth2h5 makes DIR of them, which is there as a whole or not at all. NAME is
the video's file name without its extension, as annotations call it.

Needs Python packages that bovila itself does not:  pip install torch transformers pillow av
Exit codes: 0 done; 1 done without the videos that are named at the end; 2 bad arguments.
"""
import argparse
import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # the folder of the program is not ours to write to
from output_place import Refused, given, output_place, path_of, whole_file  # noqa: E402

FEATURE_DIM = 768
EXTENSIONS = set(".3gp .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .ogv .ts .webm .wmv".split())
LOG_EVERY_S = 5


class UsageError(Exception):
    """Something that the user can mend: exit code 2."""


def counted(number, noun):
    return f"{number} {noun}{'s' * (number != 1)}"


def say(text):
    print("extract_features:", text, file=sys.stderr, flush=True)


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("videos", metavar="VIDEOS", type=path_of, help="folder of videos")
    parser.add_argument("set", metavar="DIR", type=path_of, help="feature set to make")
    parser.add_argument("--fps", type=float, default=1.0,
                        help="frames a second (default: 1; TVQA's annotations count 3)")
    parser.add_argument("--model", type=given, default="openai/clip-vit-large-patch14",
                        help="CLIP in Hugging Face's form: a name, or a folder (default: %(default)s)")
    parser.add_argument("--shards", type=int, default=8, help="number of HDF5 files (default: 8)")
    parser.add_argument("--device", type=given, default="auto",
                        help="cuda, cuda:1, cpu (default: cuda if there)")
    parser.add_argument("--batch", type=int, default=64, help="frames at a time (default: 64)")
    parser.add_argument("--recursive", action="store_true", help="look into folders of VIDEOS too")
    parser.add_argument("--force", action="store_true", help="replace a feature set that is there")
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


@contextlib.contextmanager
def open_parts(parts, settings):
    """The folder of finished videos, for this process alone and these settings only."""
    if parts.exists() and any(parts.iterdir()) and not (parts / ".lock").exists():
        raise UsageError(f"{parts} is needed for videos that are done, and holds other files: move "
                         "it away, or name another DIR")
    parts.mkdir(parents=True, exist_ok=True)
    with open(parts / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"{parts}: another extraction is at work there") from error
        except OSError as error:
            say(f"{parts}: its file system has no locks ({error.strerror}): see to it that no "
                "other extraction is at work there")
        begun = parts / ".settings.json"
        if begun.exists() and json.loads(begun.read_text()) != settings:
            raise UsageError(f"{parts} was begun with other settings ({begun.read_text().strip()}): "
                             "give those, or remove it")
        with whole_file(begun) as file:
            file.write((json.dumps(settings) + "\n").encode())
        yield


def remove_parts(parts, videos):
    """What this program wrote there but the lock, which is held."""
    for path in [*(parts / f"{name}.npy" for name in videos), parts / ".settings.json",
                 *parts.glob(".*.tmp")]:
        path.unlink(missing_ok=True)


def remove_folder(parts):
    """Once the lock is closed: NFS keeps a file that is open, and the folder with it."""
    (parts / ".lock").unlink(missing_ok=True)
    try:
        parts.rmdir()
    except OSError:
        say(f"{parts} stays: there are other files in it")


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


class Clip:
    """The image side of CLIP."""

    def __init__(self, name, device, batch):
        # The text side of a checkpoint is left out on purpose, which transformers warns about.
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        try:
            import av  # noqa: F401 (used in sampled_pictures: missing, it should be said before)
            import torch
            from transformers import CLIPVisionModelWithProjection
            try:  # CLIP's own resizing is Pillow's; since transformers 5 the old name may mean another
                from transformers import CLIPImageProcessorPil as CLIPImageProcessor
            except ImportError:
                from transformers import CLIPImageProcessor
        except ImportError as error:
            raise UsageError(f"{error}; pip install torch transformers pillow av") from error
        self.torch = torch
        self.batch = batch  # images at a time
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self.device = torch.device(device)
            self.type = torch.float16 if self.device.type == "cuda" else torch.float32
            self.processor = CLIPImageProcessor.from_pretrained(name)
            model = CLIPVisionModelWithProjection.from_pretrained(name)
            self.model = model.eval().to(self.device, self.type)
        except (OSError, RuntimeError, ValueError) as error:
            raise UsageError(f"--model {name} --device {device}: {error}") from error
        if model.config.projection_dim != FEATURE_DIM:
            raise UsageError(f"--model {name}: its embeddings have {model.config.projection_dim} "
                             f"numbers, bovila's features have {FEATURE_DIM}: take a ViT-L/14")

    def __call__(self, images):
        """Images to an array [images, 768] of half."""
        pixels = self.processor(images=images, return_tensors="pt").pixel_values
        with self.torch.inference_mode():
            embeddings = self.model(pixels.to(self.device, self.type)).image_embeds
        return embeddings.half().cpu()

    def fitting(self, images):
        """Arrays of images in their order, in smaller batches from now on where memory runs out."""
        parts, done = [], 0
        while done < len(images):
            try:
                parts.append(self(images[done:done + self.batch]))
            except RuntimeError as error:
                if "out of memory" not in str(error) and "can't allocate memory" not in str(error):
                    raise
                if self.batch == 1:
                    raise UsageError(f"{self.device} has no memory for a single picture: end what "
                                     "else runs there, or take another --device") from error
            else:
                done += len(parts[-1])
                continue
            # Here and not above: the error holds on to what it could not finish.
            self.batch = max(1, self.batch // 2)
            say(f"{self.device} has no memory for so many pictures at a time: going on with "
                f"--batch {self.batch}")
            if self.device.type == "cuda":
                self.torch.cuda.empty_cache()
        return parts

    def features(self, pictures):
        """Pictures of a video to an array [pictures, 768], in batches."""
        parts, images = [], []
        for picture in pictures:
            images.append(picture)
            if len(images) == self.batch:
                parts += self.fitting(images)
                images = []
        if images:
            parts += self.fitting(images)
        features = self.torch.cat(parts)
        if not self.torch.isfinite(features).all():
            raise ValueError("its features are not finite")
        return features.numpy()


def extract(videos, parts, clip, arguments):
    """Writes parts/NAME.npy of every video that has none; returns the broken ones' names."""
    import av
    import numpy
    todo = {name: path for name, path in videos.items() if not (parts / f"{name}.npy").exists()}
    if len(todo) < len(videos):
        say(f"{len(videos) - len(todo)} of {len(videos)} videos are done already")
    broken, said, start = [], 0, time.monotonic()
    for number, (name, path) in enumerate(todo.items(), 1):
        try:
            features = clip.features(sampled_pictures(path, arguments.fps))
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


def run(arguments):
    """Returns the exit code."""
    videos = find_videos(arguments.videos, arguments.recursive)
    pth2h5 = find_pth2h5()
    target = output_place(arguments.set, "a feature set", is_set, [arguments.videos])
    parts = target.with_name(target.name + ".extracting")
    if is_done(pth2h5, target, parts, videos, arguments.force):
        say(f"{target} holds these {counted(len(videos), 'video')} already: nothing to do")
        return 0
    clip = Clip(arguments.model, arguments.device, arguments.batch)
    with open_parts(parts, {"model": arguments.model, "fps": arguments.fps}):
        broken = extract(videos, parts, clip, arguments)
        if len(broken) == len(videos):
            say("no video could be read: no feature set is made")
            return 1
        # What is there now was made from a part of these videos, or is replaced on request.
        command = [pth2h5, parts, target, "--shards", str(arguments.shards), "--force"]
        if subprocess.run(command, check=False).returncode != 0:
            return 1
        if broken:
            say(f"{len(broken)} of {len(videos)} videos are not in the set: {', '.join(broken)}. "
                f"{parts} stays, so that the same command adds them when they are mended")
            return 1
        remove_parts(parts, videos)
    remove_folder(parts)
    return 0


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
