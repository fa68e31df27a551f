#!/usr/bin/env python3
"""A language model in a GGUF file as a folder that model.llama takes: params.json,
consolidated.00.pth (fp16, Meta's names), tokenizer.json and tokenizer_config.json.

    gguf2llama.py MODEL.gguf FOLDER

Reads models of the architecture "llama" with a byte-level tokenizer, in any of GGUF's types: they
are dequantised. Needs the packages of tools/smollm-requirements.txt and PyTorch (tools/deps.sh
smollm). GGUF keeps wq and wk in Meta's order of rotary pairs, so tensors only change their names.
"""
import argparse
import json
import os
import struct
import sys
from collections import OrderedDict

sys.dont_write_bytecode = True  # the folder of the program is not ours to write to
from output_place import Refused, output_place, path_of, whole_folder  # noqa: E402

NAMES = {"token_embd": "tok_embeddings", "output_norm": "norm", "output": "output"}
LAYER_NAMES = {"attn_q": "attention.wq", "attn_k": "attention.wk", "attn_v": "attention.wv",
               "attn_output": "attention.wo", "ffn_gate": "feed_forward.w1",
               "ffn_up": "feed_forward.w3", "ffn_down": "feed_forward.w2",
               "attn_norm": "attention_norm", "ffn_norm": "ffn_norm"}
CONTROL = 3  # token type: never found in a text

# How texts are split before merging, by the name that GGUF has for it.
PRE_TOKENIZERS = {
    "smollm": [{"type": "Digits", "individual_digits": True}],
    "gpt-2": [],
}


# Bytes of a value by GGUF's number of its type, without texts (8) and lists (9).
VALUE_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
TEXT, LIST = 8, 9
MAX_ITEMS = 1 << 21  # of all lists: the library takes some 200 bytes for each


class ConversionError(Exception):
    """Of the file or the folder: said without a traceback."""


class Lengths:
    """Steps over a GGUF file's keys and values: the library believes every length."""

    def __init__(self, path):
        self.path = path
        self.items = 0

    def check(self):
        with open(self.path, "rb") as file:
            self.file, self.left = file, os.path.getsize(self.path)
            if self.skip(4) != b"GGUF":
                self.fail("it begins otherwise")
            version, _, keys = struct.unpack("<IQQ", self.skip(20))
            if version not in (2, 3):
                self.fail(f"its version is {version}, expected 2 or 3, little-endian")
            for _ in range(keys):
                self.skip(self.number("<Q"))  # the key's name
                self.skip_value(self.number("<I"))

    def fail(self, problem):
        raise ConversionError(f"{self.path}: expected a GGUF file: {problem}")

    def skip(self, count):
        if count > self.left:
            self.fail(f"{count} bytes were expected and {self.left} are left: it is cut short or "
                      "damaged")
        self.left -= count
        return self.file.read(count)

    def number(self, form):
        return struct.unpack(form, self.skip(struct.calcsize(form)))[0]

    def skip_value(self, kind):
        if kind == LIST:
            return self.skip_list(self.number("<I"), self.number("<Q"))
        if kind != TEXT and kind not in VALUE_BYTES:
            self.fail(f"a value of the unknown type {kind}")
        self.skip(self.number("<Q") if kind == TEXT else VALUE_BYTES[kind])

    def skip_list(self, kind, count):
        self.items += count
        if kind == LIST or self.items > MAX_ITEMS:
            self.fail("lists in lists" if kind == LIST else f"lists of {self.items} items")
        for _ in range(count):
            self.skip_value(kind)


class Model:
    """A GGUF file's values and tensors by name."""

    def __init__(self, path):
        try:
            from gguf import GGUFReader
            Lengths(path).check()
            reader = GGUFReader(path)
        except (OSError, ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
            raise ConversionError(f"{path}: expected a GGUF file: {error}") from error
        self.path = path
        self.fields = reader.fields
        self.tensors = {tensor.name: tensor for tensor in reader.tensors}

    def value(self, key, default=None):
        field = self.fields.get(key)
        if field is not None:
            try:
                return field.contents()
            except UnicodeDecodeError as error:
                raise ConversionError(f"{self.path}: {key} is no text: {error}") from error
        if default is None:
            raise ConversionError(f"{self.path}: the key {key} is missing")
        return default

    def number(self, key, default=None, low=1, kinds=(int,)):
        value = self.value(key, default)
        if type(value) not in kinds or not value >= low:
            raise ConversionError(f"{self.path}: {key} is {value!r:.100}, expected a number from "
                                  f"{low}")
        return value

    def items(self, key, kind, default=None):
        value = self.value(key, default)
        if type(value) is not list or any(type(item) is not kind for item in value):
            raise ConversionError(f"{self.path}: {key} is {value!r:.100}, expected a list of "
                                  f"{kind.__name__}")
        return value

    def expect(self, key, expected):
        if self.value(key) not in expected:
            raise ConversionError(f"{self.path}: {key} is {self.value(key)!r}, expected one of "
                                  f"{', '.join(map(repr, expected))}")


def read_params(model):
    dim, ffn = model.number("llama.embedding_length"), model.number("llama.feed_forward_length")
    heads = model.number("llama.attention.head_count")
    real = {"low": 0, "kinds": (int, float)}
    if any(key.startswith("llama.rope.scaling.") for key in model.fields):
        raise ConversionError(f"{model.path}: rotary embeddings with scaling are not converted")
    if model.value("llama.rope.dimension_count", dim // heads) != dim // heads:
        raise ConversionError(f"{model.path}: expected rotary embeddings over whole heads")
    return {
        "dim": dim,
        "n_layers": model.number("llama.block_count"),
        "n_heads": heads,
        "n_kv_heads": model.number("llama.attention.head_count_kv", heads),
        # Meta's rule for the hidden width, multiple_of * ceil(multiplier * (8 dim // 3) /
        # multiple_of), gives exactly ffn with these.
        "multiple_of": ffn,
        "ffn_dim_multiplier": min(1.0, ffn / (8 * dim // 3)),
        "norm_eps": float(f'{model.number("llama.attention.layer_norm_rms_epsilon", **real):.6g}'),
        "rope_theta": float(model.number("llama.rope.freq_base", 10000.0, **real)),
        "vocab_size": len(model.items("tokenizer.ggml.tokens", str)),
    }


def meta_name(model, name):
    stem, _, suffix = name.rpartition(".")
    if suffix == "weight" and stem in NAMES:
        return f"{NAMES[stem]}.weight"
    block, _, part = stem.removeprefix("blk.").partition(".")
    if suffix == "weight" and stem.startswith("blk.") and part in LAYER_NAMES and block.isdecimal():
        return f"layers.{int(block)}.{LAYER_NAMES[part]}.weight"
    raise ConversionError(f"{model.path}: the tensor {name} is none of a LLaMA's")


def read_weights(model):
    import torch
    from gguf.quants import dequantize
    weights = OrderedDict()
    for name, tensor in model.tensors.items():
        try:
            values = dequantize(tensor.data, tensor.tensor_type)
        except (NotImplementedError, ValueError) as error:
            raise ConversionError(f"{model.path}: the tensor {name} cannot be dequantised: "
                                  f"{error}") from error
        weights[meta_name(model, name)] = torch.from_numpy(values.copy()).half()
    if "tok_embeddings.weight" not in weights:
        raise ConversionError(f"{model.path}: the tensor token_embd.weight is missing")
    weights.setdefault("output.weight", weights["tok_embeddings.weight"])  # tied
    for name, values in weights.items():
        if not torch.isfinite(values).all():
            raise ConversionError(f"{model.path}: {name} has values beyond fp16's range")
    return weights


def read_tokenizer(model):
    model.expect("tokenizer.ggml.model", ["gpt2"])
    model.expect("tokenizer.ggml.pre", list(PRE_TOKENIZERS))
    tokens = model.items("tokenizer.ggml.tokens", str)
    types = model.items("tokenizer.ggml.token_type", int, [1] * len(tokens))
    if len(types) != len(tokens):
        raise ConversionError(f"{model.path}: {len(types)} types of {len(tokens)} tokens")
    by_bytes = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                "use_regex": True}
    return {
        "version": "1.0",
        "added_tokens": [{"id": i, "content": token, "single_word": False, "lstrip": False,
                          "rstrip": False, "normalized": False, "special": True}
                         for i, token in enumerate(tokens) if types[i] == CONTROL],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [*PRE_TOKENIZERS[model.value("tokenizer.ggml.pre")], by_bytes]},
        "post_processor": None,
        "decoder": by_bytes,
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
                  "byte_fallback": False,
                  "vocab": {token: i for i, token in enumerate(tokens)},
                  "merges": model.items("tokenizer.ggml.merges", str)},
    }


def read_specials(model):
    tokens = model.items("tokenizer.ggml.tokens", str)
    specials = {}
    for name, key in (("bos_token", "bos"), ("eos_token", "eos")):
        token = model.number(f"tokenizer.ggml.{key}_token_id", low=0)
        if token >= len(tokens):
            raise ConversionError(f"{model.path}: the {name} is number {token} of {len(tokens)}")
        specials[name] = tokens[token]
    return specials


def write_json(path, document):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False, indent=1)


def convert(path, folder):
    import torch
    place = output_place(folder, sources=[path])
    model = Model(path)
    model.expect("general.architecture", ["llama"])
    with whole_folder(place) as part:
        write_json(part / "params.json", read_params(model))
        write_json(part / "tokenizer.json", read_tokenizer(model))
        write_json(part / "tokenizer_config.json", read_specials(model))
        torch.save(read_weights(model), part / "consolidated.00.pth")
    print(f"{path} is {folder} now")


if __name__ == "__main__":
    if sys.argv[1:] == ["--help"]:
        print(__doc__)
        sys.exit()
    if len(sys.argv) != 3 or not all(sys.argv[1:]):
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    try:
        convert(*map(path_of, sys.argv[1:]))
    except (ConversionError, Refused, argparse.ArgumentTypeError) as problem:
        print(f"gguf2llama: {problem}", file=sys.stderr)
        sys.exit(2)
    except ImportError as problem:
        print(f"gguf2llama: {problem}: run `make deps` and `tools/deps.sh smollm`, and name their "
              "folders: PYTHONPATH=.deps/smollm:.deps/python", file=sys.stderr)
        sys.exit(2)
    except (OSError, RuntimeError) as problem:  # RuntimeError: torch.save's, of a full disk
        print(f"gguf2llama: {sys.argv[2]} cannot be written: {problem}", file=sys.stderr)
        sys.exit(1)
