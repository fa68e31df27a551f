"""A language model in a GGUF file as a folder that model.llama takes: params.json,
consolidated.00.pth (fp16, Meta's names), tokenizer.json and tokenizer_config.json.

    gguf2llama.py MODEL.gguf FOLDER

Reads models of the architecture "llama" with a byte-level tokenizer, in any of GGUF's types: they
are dequantised. Needs the packages of tools/smollm-requirements.txt and PyTorch (tools/deps.sh
smollm). GGUF keeps wq and wk in Meta's order of rotary pairs, so tensors only change their names.
"""
import json
import os
import shutil
import sys
from collections import OrderedDict

import torch
from gguf import GGUFReader
from gguf.quants import dequantize

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


class ConversionError(Exception):
    """Of the file or the folder: said without a traceback."""


class Model:
    """A GGUF file's values and tensors by name."""

    def __init__(self, path):
        try:
            reader = GGUFReader(path)
        except (OSError, ValueError, IndexError, KeyError) as error:
            raise ConversionError(f"{path}: expected a GGUF file: {error}") from error
        self.path = path
        self.fields = reader.fields
        self.tensors = {tensor.name: tensor for tensor in reader.tensors}

    def value(self, key, default=None):
        field = self.fields.get(key)
        if field is not None:
            return field.contents()
        if default is None:
            raise ConversionError(f"{self.path}: the key {key} is missing")
        return default

    def expect(self, key, expected):
        if self.value(key) not in expected:
            raise ConversionError(f"{self.path}: {key} is {self.value(key)!r}, expected one of "
                                  f"{', '.join(map(repr, expected))}")


def read_params(model):
    dim, ffn = model.value("llama.embedding_length"), model.value("llama.feed_forward_length")
    heads = model.value("llama.attention.head_count")
    if any(key.startswith("llama.rope.scaling.") for key in model.fields):
        raise ConversionError(f"{model.path}: rotary embeddings with scaling are not converted")
    if model.value("llama.rope.dimension_count", dim // heads) != dim // heads:
        raise ConversionError(f"{model.path}: expected rotary embeddings over whole heads")
    return {
        "dim": dim,
        "n_layers": model.value("llama.block_count"),
        "n_heads": heads,
        "n_kv_heads": model.value("llama.attention.head_count_kv", heads),
        # Meta's rule for the hidden width, multiple_of * ceil(multiplier * (8 dim // 3) /
        # multiple_of), gives exactly ffn with these.
        "multiple_of": ffn,
        "ffn_dim_multiplier": min(1.0, ffn / (8 * dim // 3)),
        "norm_eps": float(f'{model.value("llama.attention.layer_norm_rms_epsilon"):.6g}'),
        "rope_theta": float(model.value("llama.rope.freq_base", 10000.0)),
        "vocab_size": len(model.value("tokenizer.ggml.tokens")),
    }


def meta_name(model, name):
    stem, _, suffix = name.rpartition(".")
    if suffix == "weight" and stem in NAMES:
        return f"{NAMES[stem]}.weight"
    block, _, part = stem.removeprefix("blk.").partition(".")
    if suffix == "weight" and stem.startswith("blk.") and part in LAYER_NAMES:
        return f"layers.{int(block)}.{LAYER_NAMES[part]}.weight"
    raise ConversionError(f"{model.path}: the tensor {name} is none of a LLaMA's")


def read_weights(model):
    weights = OrderedDict()
    for name, tensor in model.tensors.items():
        values = dequantize(tensor.data, tensor.tensor_type)
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
    tokens = model.value("tokenizer.ggml.tokens")
    types = model.value("tokenizer.ggml.token_type", [1] * len(tokens))
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
                  "merges": model.value("tokenizer.ggml.merges")},
    }


def read_specials(model):
    tokens = model.value("tokenizer.ggml.tokens")
    return {name: tokens[model.value(f"tokenizer.ggml.{key}_token_id")]
            for name, key in (("bos_token", "bos"), ("eos_token", "eos"))}


def write_json(path, document):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False, indent=1)


def convert(path, folder):
    if os.path.exists(folder):
        raise ConversionError(f"{folder} is there already; remove it to convert again")
    model = Model(path)
    model.expect("general.architecture", ["llama"])
    part = folder.rstrip("/") + ".part"
    shutil.rmtree(part, ignore_errors=True)
    os.makedirs(part)
    write_json(f"{part}/params.json", read_params(model))
    write_json(f"{part}/tokenizer.json", read_tokenizer(model))
    write_json(f"{part}/tokenizer_config.json", read_specials(model))
    torch.save(read_weights(model), f"{part}/consolidated.00.pth")
    os.rename(part, folder)  # whole or not there
    print(f"{path} is {folder} now")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        convert(*sys.argv[1:])
    except ConversionError as problem:
        print(f"gguf2llama: {problem}", file=sys.stderr)
        sys.exit(2)
