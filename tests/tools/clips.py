"""Clips, small models, and the features that belong to them, for tests/cli/extract_features.sh.

    clips.py make VIDEOS MODELS    generated clips, lossless; folders of models with random weights:
                                   clip, narrow (a CLIP too), siglip, dinov2
    clips.py flag FLAGGED PLAIN    clips with a flag that says how to show them, and re-encoded as shown
    clips.py check MODEL SET FPS [SET FPS]...   the sets hold the features of the generated pictures
"""
import json
import pathlib
import subprocess
import sys
from fractions import Fraction

import av
import numpy
import torch
from PIL import Image
from transformers import (AutoConfig, BitImageProcessorPil, CLIPConfig, CLIPImageProcessor, CLIPModel,
                          Dinov2Config, Dinov2Model, SiglipConfig, SiglipImageProcessorPil,
                          SiglipModel)

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


# Name: how a picture is stored for the matrix that follows it to show it upright.
FLAGS = {
    "right": (lambda upright: numpy.rot90(upright, 1), (0, 1, -1, 0)),
    "around": (lambda upright: numpy.rot90(upright, 2), (-1, 0, 0, -1)),
    "left": (lambda upright: numpy.rot90(upright, 3), (0, -1, 1, 0)),
    "mirror": (lambda upright: upright[:, ::-1], (-1, 0, 0, 1)),
    "upside": (lambda upright: upright[::-1], (1, 0, 0, -1)),
    "across": (lambda upright: upright.transpose(1, 0, 2), (0, 1, 1, 0)),
    "both": (lambda upright: numpy.rot90(upright.transpose(1, 0, 2), 2), (0, -1, -1, 0)),
    "none": (lambda upright: upright, None),
}


def write_pictures(path, pictures, matrix=None, aspect=None):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=2)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "rgb24"
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if matrix is not None:
            a, b, c, d = (value * 65536 for value in matrix)
            stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        for one in pictures:
            container.mux(stream.encode(
                av.VideoFrame.from_ndarray(numpy.ascontiguousarray(one), format="rgb24")))
        container.mux(stream.encode())


def flag(flagged, plain):
    for name, (stored_as, matrix) in FLAGS.items():
        upright = [picture(name, number) for number in range(4)]
        write_pictures(f"{plain}/{name}.mov", upright)
        write_pictures(f"{flagged}/{name}.mov", [stored_as(one) for one in upright], matrix)
    # Pixels twice as wide as high.
    half = [picture("wide", number)[:, ::2] for number in range(4)]
    wide = [numpy.asarray(Image.fromarray(one).resize((64, 48), Image.Resampling.BICUBIC))
            for one in half]
    write_pictures(f"{plain}/wide.mov", wide)
    write_pictures(f"{flagged}/wide.mov", half, aspect=Fraction(2, 1))


def make(videos, folder):
    for name in CLIPS:
        write_clip(pathlib.Path(videos) / f"{name}.mkv", name)
    torch.manual_seed(0)
    for name, model, processor in models():
        model.save_pretrained(f"{folder}/{name}")
        processor.save_pretrained(f"{folder}/{name}")


def models():
    small = dict(hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4)
    for name, width in ("clip", 768), ("narrow", 24):
        yield name, CLIPModel(CLIPConfig(
            vision_config=dict(small, patch_size=56, projection_dim=width),
            text_config=dict(small, vocab_size=100), projection_dim=width)), CLIPImageProcessor()
    siglip = dict(small, hidden_size=48)
    yield "siglip", SiglipModel(SiglipConfig(
        vision_config=dict(siglip, image_size=96, patch_size=32),
        text_config=dict(siglip, vocab_size=100))), SiglipImageProcessorPil(
            size={"height": 96, "width": 96})
    yield "dinov2", Dinov2Model(Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, patch_size=56,
        image_size=224)), BitImageProcessorPil()


def stored(folder):
    """The features of a set by name, read with HDF5's own tool."""
    found = {}
    for number, videos in enumerate(json.load(open(f"{folder}/index.json"))["shards"]):
        shard = f"{folder}/shard-{number:05}.h5"
        subprocess.run(["h5dump", "-d", "/frames", "-b", "FILE", "-o", "frames.bin", shard],
                       check=True, stdout=subprocess.DEVNULL)
        rows = numpy.fromfile("frames.bin", dtype=numpy.float16)
        rows = rows.reshape(sum(count for _, count in videos), -1)
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
        if isinstance(model, Dinov2Model):
            return model(pixels).last_hidden_state[:, 0].numpy()  # the class token
        pooled = model.vision_model(pixel_values=pixels).pooler_output
        return (model.visual_projection(pooled) if isinstance(model, CLIPModel) else pooled).numpy()


def check_set(folder, fps, model, processor):
    for name, features in stored(folder).items():
        wanted = expected(name, fps, model, processor)
        assert features.shape == wanted.shape, (name, features.shape, wanted.shape)
        error = numpy.abs(features - wanted).max()
        apart = numpy.abs(wanted[1:] - wanted[:-1]).max(axis=1)
        assert error < 5e-3, (name, error)
        assert len(apart) == 0 or apart.min() > 0.05, (name, apart)


def check(model_folder, *sets):
    kind = AutoConfig.from_pretrained(model_folder).model_type
    of_model, of_pictures = {"clip": (CLIPModel, CLIPImageProcessor),
                             "siglip": (SiglipModel, SiglipImageProcessorPil),
                             "dinov2": (Dinov2Model, BitImageProcessorPil)}[kind]
    model = of_model.from_pretrained(model_folder).eval()
    processor = of_pictures.from_pretrained(model_folder)
    for folder, fps in zip(sets[::2], sets[1::2]):
        check_set(folder, float(fps), model, processor)


if __name__ == "__main__":
    dict(make=make, flag=flag, check=check)[sys.argv[1]](*sys.argv[2:])
