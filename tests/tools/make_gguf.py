"""A small LLaMA as a GGUF file, its matrices quantised, for tests/cli/gguf2llama.sh.

    make_gguf.py FILE TEXT_FILE [KEY=VALUE|without=TENSOR...]

Its byte-level tokenizer is trained on the text. KEY=VALUE replaces a text or number of the file.
Beside FILE: FILE.npz, the dequantised tensors, and FILE.tokenizer.json, what was trained.
"""
import json
import sys

import gguf
import numpy
from gguf.quants import dequantize, quantize
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

DIM, FFN, LAYERS, HEADS, KV_HEADS = 64, 96, 2, 4, 2
TYPES = gguf.GGMLQuantizationType


def train_tokenizer(text_file):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True),
         pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train([text_file], trainers.BpeTrainer(
        vocab_size=500, show_progress=False, special_tokens=["<|endoftext|>", "<|go|>", "<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return tokenizer


def tensors(vocab_size):
    random = numpy.random.default_rng(1)
    def values(*shape):
        return random.normal(0, 0.2, shape).astype(numpy.float32)
    yield "token_embd.weight", values(vocab_size, DIM), TYPES.Q8_0
    yield "output_norm.weight", 1 + values(DIM), TYPES.F32
    for layer in range(LAYERS):
        kv_dim = DIM // HEADS * KV_HEADS
        for name, shape, kind in (
                ("attn_norm", [DIM], TYPES.F32), ("ffn_norm", [DIM], TYPES.F32),
                ("attn_q", [DIM, DIM], TYPES.Q4_1), ("attn_k", [kv_dim, DIM], TYPES.Q4_0),
                ("attn_v", [kv_dim, DIM], TYPES.F16), ("attn_output", [DIM, DIM], TYPES.BF16),
                ("ffn_gate", [FFN, DIM], TYPES.Q5_1), ("ffn_up", [FFN, DIM], TYPES.Q8_0),
                ("ffn_down", [DIM, FFN], TYPES.Q5_0)):
            yield f"blk.{layer}.{name}.weight", values(*shape), kind


def main(path, text_file, *changes):
    changes = dict(change.split("=", 1) for change in changes)
    tokenizer = train_tokenizer(text_file)
    parts = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(parts["vocab"], key=parts["vocab"].get)
    values = {
        "llama.embedding_length": DIM, "llama.feed_forward_length": FFN,
        "llama.block_count": LAYERS, "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": KV_HEADS, "llama.rope.freq_base": 100000.0,
        "llama.attention.layer_norm_rms_epsilon": 1e-5, "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm", "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2}
    writer = gguf.GGUFWriter(path, changes.pop("general.architecture", "llama"))
    left_out = changes.pop("without", None)
    for key, value in (values | changes).items():
        add = {str: writer.add_string, int: writer.add_uint32, float: writer.add_float32}
        add[type(value)](key, value)
    writer.add_token_list(tokens)
    writer.add_token_types([3] * 3 + [1] * (len(tokens) - 3))
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge)
                             for merge in parts["merges"]])
    kept = {}
    for name, data, kind in tensors(len(tokens)):
        if name == left_out:
            continue
        packed = quantize(data, kind)
        writer.add_tensor(name, packed, raw_dtype=kind)
        kept[name] = dequantize(packed, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    numpy.savez(path + ".npz", **kept)
    tokenizer.save(path + ".tokenizer.json")


if __name__ == "__main__":
    main(*sys.argv[1:])
