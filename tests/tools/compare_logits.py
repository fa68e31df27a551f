"""Compares our logits with those of Hugging Face's transformers, for small random models.

  compare_logits.py LOGITS CONVERTER

LOGITS is the program of tests/tools/logits.cpp, CONVERTER is llama2bovila. Each of CASES is saved by
transformers and read by ours, some once more from the file that the converter makes. A case fails
when a logit differs by more than 1e-4, and when a plain model would give the same. Prints "ok
logits: CASE" or the reason and "FAILED logits: CASE"; exits 1 when one failed. Works in the current
folder.
"""
import shutil
import subprocess
import sys
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

ROOT = Path(__file__).resolve().parents[2]
TOKENIZER = ROOT / 'tests/golden/mini/llama/tokenizer.model'
VOCABULARY = 640
TOLERANCE = 1e-4
LLAMA3 = {'rope_type': 'llama3', 'rope_theta': 500.0, 'factor': 8.0, 'low_freq_factor': 1.0,
          'high_freq_factor': 4.0, 'original_max_position_embeddings': 64}

# What differs from a plain model of 4 heads, and how it is saved.
CASES = {
    'plain': {},
    'grouped_heads': {'num_key_value_heads': 2},
    'tied_embeddings': {'tie_word_embeddings': True},
    'llama3_scaling': {'rope_parameters': LLAMA3},
    'linear_scaling': {'rope_parameters': {'rope_type': 'linear', 'rope_theta': 1e4, 'factor': 4.0}},
    'bf16_file': {'save_type': torch.bfloat16},
    'shards': {'num_key_value_heads': 1, 'max_shard_size': '200KB'},
    'mistral': {'num_key_value_heads': 2, 'sliding_window': None},
}

CONVERTED = ('tied_embeddings', 'llama3_scaling')


def make_model(case):
    settings = {'vocab_size': VOCABULARY, 'hidden_size': 64, 'intermediate_size': 96,
                'num_hidden_layers': 3, 'num_attention_heads': 4, 'initializer_range': 0.2,
                'rms_norm_eps': 1e-5}
    settings.update(case)
    kind = 'mistral' if 'sliding_window' in case else 'llama'
    config, model = {'llama': (LlamaConfig, LlamaForCausalLM),
                     'mistral': (MistralConfig, MistralForCausalLM)}[kind]
    torch.manual_seed(3)
    model = model(config(**settings)).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if 'norm' in name:
                weight.add_(0.1 * torch.randn_like(weight))
    return model


def our_logits(program, folder, tokens):
    command = [program, str(folder), str(VOCABULARY), *map(str, tokens)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f'{" ".join(command[:3])}: exit code {done.returncode}\n{done.stderr}')
    rows = [[float(value) for value in line.split()] for line in done.stdout.splitlines()]
    return torch.tensor(rows)


def compare(what, ours, theirs):
    if ours.shape != theirs.shape:
        sys.exit(f'{what}: shape {tuple(ours.shape)}, expected {tuple(theirs.shape)}')
    difference = (ours - theirs).abs().max().item()
    print(f'{what}: {ours.numel()} logits up to {theirs.abs().max():.1f}, '
          f'largest difference {difference:.1e}')
    if not difference <= TOLERANCE:
        sys.exit(f'more than {TOLERANCE}')


def theirs_of(model, tokens):
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0]


def check(name, program, converter):
    """In a folder of the case's own, which it leaves behind."""
    case = dict(CASES[name])
    save_type = case.pop('save_type', torch.float32)
    shard_size = case.pop('max_shard_size', '1GB')
    model = make_model(case)
    model.to(save_type).save_pretrained(f'{name}/model', max_shard_size=shard_size)
    files = sorted(path.name for path in Path(name).glob('model/*.safetensors'))
    if (len(files) > 1) != (name == 'shards'):
        sys.exit(f'saved as {files}')
    tokens = [int(token) for token in torch.randint(0, VOCABULARY, (100,))]
    # Read again by the library: casting a model casts its rotary frequencies too.
    theirs = theirs_of(type(model).from_pretrained(f'{name}/model', dtype=torch.float32), tokens)
    compare(name, our_logits(program, f'{name}/model', tokens), theirs)
    if name != 'plain' and (theirs_of(make_model({}), tokens) - theirs).abs().max() < 0.01:
        sys.exit('a plain model gives the same: this case proves nothing')
    if name in CONVERTED:
        shutil.copy(TOKENIZER, f'{name}/model/tokenizer.model')
        command = [converter, f'{name}/model', f'{name}/own', '--precision', 'fp32']
        subprocess.run(command, check=True)
        compare(f'{name}, converted', our_logits(program, f'{name}/own', tokens), theirs)


def main(program, converter):
    failed = False
    for name in CASES:
        try:
            check(name, program, converter)
            print(f'ok logits: {name.replace("_", " ")}', flush=True)
        except SystemExit as problem:
            print(f'{problem}\nFAILED logits: {name.replace("_", " ")}', flush=True)
            failed = True
    sys.exit(failed)


if __name__ == '__main__':
    main(*sys.argv[1:])
