#!/usr/bin/env python3
"""What llama2bovila stores in int8 and NF4, and reads of it, beside bitsandbytes: to the bit.

Called by tests/cli/quantised.sh: compare_quantised.py LLAMA2BOVILA TOKENIZER, in an empty folder.
Prints "ok NAME" for each check, or what differs and "FAILED NAME"; exits with 1 then.
"""

import json
import os
import shutil
import subprocess
import sys

import torch
from bitsandbytes import functional as bnb
from safetensors.torch import load_file, save_file

DIM, HIDDEN, LAYERS, HEADS, KV_HEADS, VOCAB = 128, 320, 2, 4, 2, 640
CONFIG = {
    "model_type": "llama",
    "hidden_size": DIM,
    "intermediate_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "vocab_size": VOCAB,
}
KV = DIM // HEADS * KV_HEADS
SHAPES = {
    "self_attn.q_proj": (DIM, DIM),
    "self_attn.k_proj": (KV, DIM),
    "self_attn.v_proj": (KV, DIM),
    "self_attn.o_proj": (DIM, DIM),
    "mlp.gate_proj": (HIDDEN, DIM),
    "mlp.up_proj": (HIDDEN, DIM),
    "mlp.down_proj": (DIM, HIDDEN),
}
ROTATED = {"self_attn.q_proj": HEADS, "self_attn.k_proj": KV_HEADS}
# bovila's matrices and the tensors that stand in each.
STACKS = {
    "attention.wqkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attention.wo": ("self_attn.o_proj",),
    "feed_forward.w13": ("mlp.gate_proj", "mlp.up_proj"),
    "feed_forward.w2": ("mlp.down_proj",),
}
FORMS = ("nf4", "nf4-dq", "int8")
NF4_STATE = ".quant_state.bitsandbytes__nf4"


def hf_name(layer, part):
    return f"model.layers.{layer}.{part}.weight"


def random_llama(dtype):
    torch.manual_seed(3)
    tensors = {
        "model.embed_tokens.weight": torch.randn(VOCAB, DIM),
        "model.norm.weight": torch.rand(DIM),
        "lm_head.weight": torch.randn(VOCAB, DIM),
    }
    for layer in range(LAYERS):
        for norm in ("input_layernorm", "post_attention_layernorm"):
            tensors[hf_name(layer, norm)] = torch.rand(DIM)
        for part, shape in SHAPES.items():
            weight = torch.randn(shape) * 0.02
            weight[:, 7] *= 10  # some columns are larger, as in real models
            weight[3, :64] = 0
            tensors[hf_name(layer, part)] = weight
    return {name: tensor.to(dtype) for name, tensor in tensors.items()}


def to_pairs(rows, heads):
    """Hugging Face's rotary layout to Meta's."""
    return rows.unflatten(0, (heads, 2, -1)).transpose(1, 2).flatten(0, 2).contiguous()


def stacked(tensors, layer, name):
    """The matrix of bovila's, of Hugging Face's tensors."""
    parts = []
    for part in STACKS[name]:
        weight = tensors[hf_name(layer, part)]
        parts.append(to_pairs(weight, ROTATED[part]) if part in ROTATED else weight)
    return torch.cat(parts)


def write_folder(folder, tensors, **config):
    os.mkdir(folder)
    with open(f"{folder}/config.json", "w") as file:
        json.dump(CONFIG | config, file)
    shutil.copy(sys.argv[2], f"{folder}/tokenizer.model")
    save_file(tensors, f"{folder}/model.safetensors")


def convert(folder, target, *options):
    subprocess.run([sys.argv[1], folder, target, *options], check=True, stderr=subprocess.DEVNULL)
    return load_file(f"{target}/bovila.safetensors")


def quantise(weight, form):
    """A weight's tensors as transformers saves them, by their names behind the layer's."""
    if form == "int8":
        stored, scales, _ = bnb.int8_vectorwise_quant(weight.to(torch.float32))
        return {".weight": stored, ".SCB": scales, ".weight_format": torch.tensor(0, dtype=torch.uint8)}
    stored, state = bnb.quantize_4bit(
        weight, blocksize=64, quant_type="nf4", compress_statistics=form == "nf4-dq"
    )
    parts = {".weight": stored}
    parts |= {f".weight.{name}": part for name, part in state.as_dict(packed=True).items()}
    return parts


def expand(parts, dtype):
    """bitsandbytes' own values of what quantise() or llama2bovila gave."""
    if ".SCB" in parts:
        return bnb.int8_vectorwise_dequant(parts[".weight"], parts[".SCB"]).to(dtype)
    prefix = ".weight."
    state = bnb.QuantState.from_dict(
        {name: part for name, part in parts.items() if name.startswith(prefix)}, torch.device("cpu")
    )
    state.dtype = dtype
    return bnb.dequantize_4bit(parts[".weight"], state)


def parts_of(tensors, prefix):
    return {name[len(prefix) :]: part for name, part in tensors.items() if name.startswith(prefix)}


def matrices(tensors=None):
    for layer in range(LAYERS):
        for name in STACKS:
            yield layer, name, f"layers.{layer}.{name}"


def require_equal(got, expected, what):
    if got.dtype != expected.dtype or got.shape != expected.shape:
        raise AssertionError(f"{what}: {got.dtype} {got.shape}, expected {expected.dtype} {expected.shape}")
    if not torch.equal(got, expected):
        raise AssertionError(f"{what}: {int((got != expected).sum())} of {got.numel()} differ")


def check_stores_what_bitsandbytes_stores(form, dtype):
    folder = f"plain-{dtype}".replace("torch.", "")
    tensors = random_llama(dtype)
    if not os.path.exists(folder):
        write_folder(folder, tensors)
    own = convert(folder, f"{folder}-{form}", "--precision", "fp32", "--weights", form)
    for layer, name, prefix in matrices():
        weight = stacked(tensors, layer, name)
        got, expected = parts_of(own, prefix), quantise(weight, form)
        for part in (".weight", ".SCB", ".weight.quant_map", ".weight.nested_quant_map"):
            if part in expected:
                require_equal(got[part], expected[part], prefix + part)
        # Its kernel for CPUs looks codes of scales up in a table of rounded numbers, where its
        # kernels for GPUs, and bovila, take the nearest: now and then the one beside it.
        if form == "nf4-dq":
            scale = ".weight.absmax"
            apart = (got[scale].int() - expected[scale].int()).abs()
            if apart.max() > 1 or (apart > 0).float().mean() > 0.05:
                raise AssertionError(f"{prefix}{scale}: {apart.tolist()} apart")
        elif form == "nf4":
            require_equal(got[".weight.absmax"], expected[".weight.absmax"], prefix + ".absmax")


def check_bitsandbytes_reads_what_is_stored(form, dtype):
    name = str(dtype).replace("torch.", "")
    own = load_file(f"plain-{name}-{form}/bovila.safetensors")
    tensors = random_llama(dtype)
    for layer, matrix, prefix in matrices():
        weight = stacked(tensors, layer, matrix).float()
        values = expand(parts_of(own, prefix), torch.float32)
        expected = expand(quantise(weight, form), torch.float32)
        if form != "nf4-dq":
            require_equal(values, expected, prefix)
            continue
        # Some codes of scales are the ones beside bitsandbytes' (see above), no worse as a whole.
        error, its_error = ((read - weight).norm().item() for read in (values, expected))
        if values.shape != weight.shape or abs(error / its_error - 1) > 0.02:
            raise AssertionError(f"{prefix}: error {error}, bitsandbytes' own {its_error}")


def check_reads_what_bitsandbytes_quantised(form, dtype):
    tensors, values = {}, {}
    for name, tensor in random_llama(dtype).items():
        layer = name.removesuffix(".weight")
        if not name.endswith("_proj.weight"):
            tensors[name] = tensor
            continue
        parts = quantise(tensor, form)
        tensors |= {layer + part: value.contiguous() for part, value in parts.items()}
        values[name] = parts
    method = {"quant_method": "bitsandbytes", "load_in_8bit": form == "int8"}
    if form != "int8":
        method |= {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    folder = f"quantised-{form}"
    write_folder(folder, tensors, quantization_config=method)
    for precision, wide in (("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)):
        own = convert(folder, f"{folder}-{precision}", "--precision", precision)
        expected = {name: expand(parts, wide) for name, parts in values.items()}
        for layer, name, prefix in matrices():
            require_equal(own[prefix + ".weight"], stacked(expected, layer, name), prefix)
    # Stored again in its own form, it is the same values.
    kept = "int8" if form == "int8" else "nf4"
    own = convert(folder, f"{folder}-kept", "--precision", "fp32", "--weights", kept)
    expected = {name: expand(parts, torch.float32) for name, parts in values.items()}
    for layer, name, prefix in matrices():
        got = expand(parts_of(own, prefix), torch.float32)
        require_equal(got, stacked(expected, layer, name), prefix)


def main():
    failed = 0
    checks = (
        check_stores_what_bitsandbytes_stores,
        check_bitsandbytes_reads_what_is_stored,
        check_reads_what_bitsandbytes_quantised,
    )
    for check in checks:
        for form in FORMS:
            name = f"quantised: {check.__name__.removeprefix('check_')}, {form}"
            try:
                check(form, torch.bfloat16 if form == "nf4-dq" else torch.float32)
                print(f"ok {name}", flush=True)
            except (AssertionError, subprocess.CalledProcessError) as error:
                print(f"{error}\nFAILED {name}", flush=True)
                failed = 1
    sys.exit(failed)


if __name__ == "__main__":
    main()
