#!/usr/bin/env python3
"""real_files.py CASE DIR: small files like those that people have, for tests/cli/real_files.sh.

Standard library only. Run in a folder that has the project's input/: videos are the demo's, and the
sizes of weights those of its LLaMA."""

import json
import os
import pickle
import struct
import sys
import types
import zipfile

WIDTH = 768
DIM, HIDDEN, LAYERS, HEADS = 128, 352, 4, 4  # input/demo/llama/demo


def demo_questions(split):
    with open(f"input/demo/data/star/STAR_{split}.json") as file:
        return json.load(file)


def demo_videos():
    return sorted({q["video_id"] for split in ("train", "val") for q in demo_questions(split)})


def write_json(path, value):
    with open(path, "w") as file:
        json.dump(value, file)


def write_npy(path, frames, descr="<f2"):
    """An array [frames, 768] of zeros, as numpy.save writes it."""
    head = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({frames}, {WIDTH}), }}"
    head += " " * (-(11 + len(head)) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode())
        file.write(bytes(frames * WIDTH * int(descr[2:])))


class Tensor:
    """Zeros, which torch.load and we read as a tensor of this shape."""

    def __init__(self, storage, shape):
        self.storage, self.shape = storage, shape

    def __reduce__(self):
        strides, step = [], 1
        for size in reversed(self.shape):
            strides.insert(0, step)
            step *= size
        return rebuild, (self.storage, 0, tuple(self.shape), tuple(strides), False, {})


def rebuild(*parts):
    raise NotImplementedError


def write_pth(path, shapes, kind="HalfStorage", size=2):
    """torch.save of a dict of zeros, without PyTorch: a zip of a pickle and its storages."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    storage_type = type(kind, (), {"__module__": "torch"})
    setattr(torch, kind, storage_type)
    rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = rebuild
    sys.modules["torch"], sys.modules["torch._utils"] = torch, utils

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            if not isinstance(value, tuple) or value[:1] != ("a storage",):
                return None
            _, key, count = value
            return ("storage", storage_type, key, "cpu", count)

    tensors, storages = {}, []
    for name, shape in shapes.items():
        count = 1
        for extent in shape:
            count *= extent
        tensors[name] = Tensor(("a storage", str(len(storages)), count), shape)
        storages.append(bytes(count * size))
    with zipfile.ZipFile(path, "w") as out:
        with out.open("archive/data.pkl", "w") as file:
            Pickler(file, 2).dump(tensors)
        for number, data in enumerate(storages):
            out.writestr(f"archive/data/{number}", data)
        out.writestr("archive/version", "3\n")


def llama_shapes(vocab):
    shapes = {
        "model.embed_tokens.weight": [vocab, DIM],
        "model.norm.weight": [DIM],
        "lm_head.weight": [vocab, DIM],
    }
    for layer in range(LAYERS):
        for name, shape in {
            "input_layernorm": [DIM],
            "post_attention_layernorm": [DIM],
            "self_attn.q_proj": [DIM, DIM],
            "self_attn.k_proj": [DIM, DIM],
            "self_attn.v_proj": [DIM, DIM],
            "self_attn.o_proj": [DIM, DIM],
            "mlp.gate_proj": [HIDDEN, DIM],
            "mlp.up_proj": [HIDDEN, DIM],
            "mlp.down_proj": [DIM, HIDDEN],
        }.items():
            shapes[f"model.layers.{layer}.{name}.weight"] = shape
    return shapes


def write_config(folder, vocab, **more):
    write_json(
        f"{folder}/config.json",
        {
            "model_type": "llama",
            "hidden_size": DIM,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "intermediate_size": HIDDEN,
            "rms_norm_eps": 1e-5,
            "vocab_size": vocab,
            **more,
        },
    )


def write_safetensors(folder, vocab):
    """model.safetensors of zeros in fp32, and its config.json."""
    header, end = {}, 0
    for name, shape in llama_shapes(vocab).items():
        begin, count = end, 4
        for extent in shape:
            count *= extent
        end += count
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with open(f"{folder}/model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + bytes(end))
    write_config(folder, vocab)


def write_tokenizer(folder, **changes):
    """tokenizer.json of bytes, <s> and </s>: 258 tokens."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in visible]
    vocab = {chr(byte if byte in visible else 256 + hidden.index(byte)): byte for byte in range(256)}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [special("<s>", 256), special("</s>", 257)],
        "normalizer": None,
        "pre_tokenizer": level,
        "post_processor": None,
        "decoder": level,
        "model": {"type": "BPE", "vocab": {**vocab, "<s>": 256, "</s>": 257}, "merges": []},
    }
    tokenizer.update(changes)
    write_json(f"{folder}/tokenizer.json", tokenizer)


def special(content, number):
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": number, "content": content, "special": True, **flags}


def write_tvqa(folder, ts="0.0-4.0"):
    """Four questions a split about the video val0000."""
    texts = ("one", "two", "three", "four", "five")
    question = {f"a{i}": text for i, text in enumerate(texts)}
    question.update(q="which is last", vid_name="val0000", answer_idx=1, ts=ts)
    for split in ("train", "val"):
        with open(f"{folder}/tvqa_{split}.jsonl", "w") as file:
            for number in range(4):
                print(json.dumps({**question, "qid": number}), file=file)


SAID = "caf\u00e9 d\u2019or"
SRT = f"1\n00:00:01,000 --> 00:00:03,000\n{SAID}\n"


def write_srt(folder, data, name="val0000.srt"):
    os.makedirs(f"{folder}/tvqa_subtitles")
    with open(f"{folder}/tvqa_subtitles/{name}", "wb") as file:
        file.write(data)


def with_times(folder, time):
    """The demo's questions, saved again by Python; the first of each split has this as its times."""
    for split in ("train", "val"):
        questions = demo_questions(split)
        questions[0]["start"] = questions[0]["end"] = time
        write_json(f"{folder}/STAR_{split}.json", questions)


# --- the cases ---


def names_with_extension(folder):
    for name in demo_videos():
        write_npy(f"{folder}/{name}.mp4.npy", 12)


def clips_without_frames(folder):
    write_pth(f"{folder}/some.pth", {"abc_0_60": [12, WIDTH], "abc_240_300": [0, WIDTH]})


def doubles(folder):
    write_npy(f"{folder}/abc.npy", 12, "<f8")
    with open(f"{folder}/README.md", "w") as file:
        file.write("how they were made\n")


def numbers_as_names(folder):
    write_pth(f"{folder}/some.pth", {4010069381: [3, WIDTH], 17: [2, WIDTH]})


def null_times(folder):
    with_times(folder, None)


def nan_times(folder):
    with_times(folder, float("nan"))


def infinite_times(folder):
    with_times(folder, float("inf"))


def one_letter(folder):
    for split in ("train", "public_val"):
        with open(f"{folder}/{split}.csv", "w") as file:
            print("question,answer_id,video_id,a0,a1,a2,a3,start,end", file=file)
            for number in range(16):
                answer = 0 if split == "public_val" else number % 4
                row = f"what is shown,{answer},val{number:04},one,two,three,four,0,5"
                print(row, file=file)


def tvqa_utf8(folder):
    write_tvqa(folder)
    write_srt(folder, SRT.encode())


def tvqa_windows_1252(folder):
    write_tvqa(folder)
    write_srt(folder, SRT.encode("cp1252"))


def tvqa_utf16(folder):
    write_tvqa(folder)
    write_srt(folder, SRT.encode("utf-16"))


def tvqa_webvtt(folder):
    write_tvqa(folder)
    text = f"WEBVTT - made by hand\n\nNOTE nothing\n\n00:01.000 --> 00:03.000\n{SAID}\n"
    write_srt(folder, text.encode(), "val0000.vtt")


def tvqa_json_lines(folder):
    write_tvqa(folder)
    line = {"vid_name": "val0000", "sub": [{"text": SAID, "start": 1.0, "end": 3.0}]}
    write_json(f"{folder}/tvqa_preprocessed_subtitles.jsonl", line)


def tvqa_without_time_lines(folder):
    write_tvqa(folder)
    write_srt(folder, f"[1.0 - 3.0] {SAID}\n".encode())


def tvqa_null_times(folder):
    write_tvqa(folder, ts=None)
    write_srt(folder, SRT.encode())


def stale_index(folder):
    write_safetensors(folder, 448)
    weight_map = {"model.norm.weight": "model-00001-of-00002.safetensors"}
    write_json(f"{folder}/model.safetensors.index.json", {"weight_map": weight_map})


def bin_file(folder):
    write_config(folder, 448)
    write_pth(f"{folder}/pytorch_model.bin", llama_shapes(448))


def bin_shards(folder):
    write_config(folder, 448)
    shards = [{}, {}]
    weight_map = {}
    for number, (name, shape) in enumerate(llama_shapes(448).items()):
        shards[number % 2][name] = shape
        weight_map[name] = f"pytorch_model-{number % 2 + 1:05}-of-00002.bin"
    for number, shapes in enumerate(shards):
        write_pth(f"{folder}/pytorch_model-{number + 1:05}-of-00002.bin", shapes)
    write_json(f"{folder}/pytorch_model.bin.index.json", {"weight_map": weight_map})


def spare_rows(folder):
    write_safetensors(folder, 448 + 2385)


def padded_tokenizer(folder):
    write_safetensors(folder, 258)
    pad = {"strategy": "BatchLongest", "direction": "Left", "pad_id": 257, "pad_token": "</s>"}
    cut = {"direction": "Right", "max_length": 2048, "strategy": "LongestFirst", "stride": 0}
    write_tokenizer(folder, truncation=cut, padding=pad)


def pad_token(folder):
    write_safetensors(folder, 258)
    tokens = [special("<s>", 256), special("</s>", 257), special("<pad>", 258)]
    write_tokenizer(folder, added_tokens=tokens)


if __name__ == "__main__":
    case, target = sys.argv[1:]
    os.makedirs(target, exist_ok=True)
    globals()[case](target)
