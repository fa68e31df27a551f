"""Clips, a small CLIP, and the features that belong to them, for tests/cli/extract_features.sh.

    clips.py make VIDEOS MODEL     generated clips, lossless; a CLIP with random weights
    clips.py check MODEL SET FPS [SET FPS]...   the sets hold the features of the generated pictures
"""
import json
import pathlib
import subprocess
import sys

import av
import numpy
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

# Name: frames a second, frames. Three are as the mini STAR's videos are called.
CLIPS = {"S0": (25, 80), "S1": (10, 31), "S2": (30, 15), "z_long": (24, 480)}


def picture(name, number):
    """Coloured bars that move, other ones in each clip."""
    y, x = numpy.mgrid[0:48, 0:64]
    wave = (x * (1 + number % 7) + y * (2 + number % 5) + 40 * ord(name[-1]) + 3 * number) % 256
    return numpy.stack([wave, (wave * 3 + number) % 256, 255 - wave], axis=-1).astype(numpy.uint8)


def write_clip(path, name):
    rate, count = CLIPS[name]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(picture(name, number), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="bgr0")))
        container.mux(stream.encode())


def make(videos, model):
    for name in CLIPS:
        write_clip(pathlib.Path(videos) / f"{name}.mkv", name)
    torch.manual_seed(0)
    small = dict(hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4)
    CLIPModel(CLIPConfig(vision_config=dict(small, patch_size=56, projection_dim=768),
                         text_config=dict(small, vocab_size=100),
                         projection_dim=768)).save_pretrained(model)
    CLIPImageProcessor().save_pretrained(model)


def stored(folder):
    """The features of a set by name, read with HDF5's own tool."""
    found = {}
    for number, videos in enumerate(json.load(open(f"{folder}/index.json"))["shards"]):
        shard = f"{folder}/shard-{number:05}.h5"
        subprocess.run(["h5dump", "-d", "/frames", "-b", "FILE", "-o", "frames.bin", shard],
                       check=True, stdout=subprocess.DEVNULL)
        rows = numpy.fromfile("frames.bin", dtype=numpy.float16).reshape(-1, 768)
        for name, count in videos:
            found[name], rows = rows[:count], rows[count:]
        assert len(rows) == 0
    return found


def expected(name, fps, model, processor):
    rate, count = CLIPS[name]
    numbers = []
    while len(numbers) / fps < count / rate - 1e-6:
        numbers.append(int(len(numbers) * rate / fps + 1e-6))
    images = [Image.fromarray(picture(name, number)) for number in numbers]
    with torch.no_grad():
        pixels = processor(images=images, return_tensors="pt").pixel_values
        output = model.vision_model(pixel_values=pixels).pooler_output
        return model.visual_projection(output).numpy()


def check_set(folder, fps, model, processor):
    for name, features in stored(folder).items():
        wanted = expected(name, fps, model, processor)
        assert features.shape == wanted.shape, (name, features.shape, wanted.shape)
        error = numpy.abs(features - wanted).max()
        apart = numpy.abs(wanted[1:] - wanted[:-1]).max(axis=1)
        assert error < 5e-3, (name, error)
        assert len(apart) == 0 or apart.min() > 0.05, (name, apart)


def check(model_folder, *sets):
    model = CLIPModel.from_pretrained(model_folder).eval()
    processor = CLIPImageProcessor.from_pretrained(model_folder)
    for folder, fps in zip(sets[::2], sets[1::2]):
        check_set(folder, float(fps), model, processor)


if __name__ == "__main__":
    dict(make=make, check=check)[sys.argv[1]](*sys.argv[2:])
