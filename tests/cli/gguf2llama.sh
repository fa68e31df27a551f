#!/usr/bin/env bash
# tools/gguf2llama.py on small GGUF files: exact values, the tokenizer's tokens, and the program on
# what it makes. And tools/perplexity, which the SmolLM2 demo checks its conversion with.
. "$(dirname "$0")/helpers.bash"

python() {
  PYTHONPATH=$root/.deps/test-python:$root/.deps/python PYTHONWARNINGS=ignore python3 "$@"
}
gguf2llama() { python "$root/tools/gguf2llama.py" "$@"; }
corpus=$mini/data/star/STAR_train.json
make() { python "$root/tests/tools/make_gguf.py" "$1" "$corpus" "${@:2}"; }

# converted: small.gguf and the folder `llama`, made once a script.
converted() {
  [[ -d $work/llama ]] && return
  make "$work/small.gguf"
  exits 0 gguf2llama "$work/small.gguf" "$work/llama"
}

test_tensors_are_the_dequantised_ones_under_their_names_in_meta() {
  converted
  python - "$work/small.gguf.npz" "$work/llama/consolidated.00.pth" <<'END'
import sys
import numpy, torch
expected, weights = numpy.load(sys.argv[1]), torch.load(sys.argv[2], weights_only=True)
names = {'token_embd': 'tok_embeddings', 'output_norm': 'norm', 'blk.1.attn_q': 'layers.1.attention.wq',
         'blk.0.attn_k': 'layers.0.attention.wk', 'blk.1.attn_v': 'layers.1.attention.wv',
         'blk.0.attn_output': 'layers.0.attention.wo', 'blk.1.ffn_gate': 'layers.1.feed_forward.w1',
         'blk.0.ffn_up': 'layers.0.feed_forward.w3', 'blk.1.ffn_down': 'layers.1.feed_forward.w2',
         'blk.0.attn_norm': 'layers.0.attention_norm', 'blk.1.ffn_norm': 'layers.1.ffn_norm'}
for ours, metas in names.items():
    value = torch.from_numpy(expected[ours + '.weight']).half()
    assert torch.equal(weights[metas + '.weight'], value), ours
assert len(weights) == len(expected.files) + 1
assert torch.equal(weights['output.weight'], weights['tok_embeddings.weight'])  # tied
END
  holds "load('$work/llama/params.json')['n_kv_heads'] == 2"
  holds "load('$work/llama/params.json')['rope_theta'] == 100000"
}

test_the_tokenizer_gives_the_tokens_of_the_one_in_the_file() {
  converted
  python - "$bin/tokenize" "$work" <<'END'
import json, subprocess, sys
from tokenizers import Tokenizer
library = Tokenizer.from_file(f'{sys.argv[2]}/small.gguf.tokenizer.json')
texts = ['Which object was taken by the person?', ' 12345 6', "it's\n\n  two", '\u00e9\u4e2d <|go|>', '']
said = subprocess.run([sys.argv[1], f'{sys.argv[2]}/llama/tokenizer.json'], check=True, text=True,
                      input=''.join(json.dumps(text) + '\n' for text in texts), capture_output=True)
about, *lines = map(json.loads, said.stdout.splitlines())
assert (about['bos'], about['eos']) == (1, 2), about
for text, line in zip(texts, lines, strict=True):
    ids = [id for part in text.split('<|go|>') for id in library.encode(part).ids]
    expected = ids if '<|go|>' not in text else line['ids']
    assert line['ids'] == expected, (text, line)
    assert 1 not in line['ids']
END
}

test_the_program_runs_on_what_it_makes() {
  converted
  inputs star
  exits 0 bovila "${deck[@]}" --eval --set "model.llama=$work/llama" --set model.adapter_layers=2
  says "accuracy"
}

test_perplexity_is_that_of_the_definition() {
  converted
  local text="Which object was taken?"
  python - "$work/llama" "$text" >expected <<'END'
import json, math, sys
import torch
from tokenizers import Tokenizer
folder, text = sys.argv[1:]
p = json.load(open(f'{folder}/params.json'))
w = {k: v.double() for k, v in torch.load(f'{folder}/consolidated.00.pth', weights_only=True).items()}
ids = [1, *Tokenizer.from_file(f'{folder}/tokenizer.json').encode(text).ids]
n, H, K = len(ids), p['n_heads'], p['n_kv_heads']
d = p['dim'] // H
def turn(x):  # pairs side by side
    angle = torch.arange(n)[:, None, None] * p['rope_theta'] ** (-torch.arange(0, d, 2) / d)
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()],
                       -1).flatten(-2)
def norm(x, g): return x * (x.pow(2).mean(-1, keepdim=True) + p['norm_eps']).rsqrt() * g
h = w['tok_embeddings.weight'][ids]
for l in range(p['n_layers']):
    get = lambda name: w[f'layers.{l}.{name}.weight'].T
    x = norm(h, get('attention_norm'))
    q = turn((x @ get('attention.wq')).view(n, H, d))
    k = turn((x @ get('attention.wk')).view(n, K, d)).repeat_interleave(H // K, 1)
    v = (x @ get('attention.wv')).view(n, K, d).repeat_interleave(H // K, 1)
    s = torch.einsum('qhd,khd->hqk', q, k) / d ** 0.5 + torch.full((n, n), -math.inf).triu(1)
    h = h + torch.einsum('hqk,khd->qhd', s.softmax(-1), v).flatten(1) @ get('attention.wo')
    x = norm(h, get('ffn_norm'))
    gate = torch.nn.functional.silu(x @ get('feed_forward.w1'))
    h = h + (gate * (x @ get('feed_forward.w3'))) @ get('feed_forward.w2')
logits = norm(h, w['norm.weight']) @ w['output.weight'].T
print(math.exp(torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(ids[1:]))))
END
  printf %s "$text" | "$bin/perplexity" "$work/llama" >said
  holds "abs(load('said') - load('expected')) < 0.02"
  printf %s "$text" | "$bin/perplexity" "$work/llama" bf16 >said
  holds "abs(load('said') / load('expected') - 1) < 0.02"
  exits 2 "$bin/perplexity" "$work/llama" int7
  says_once "'int7' is no form of weights, expected computed, bf16, fp16, int8, nf4, nf4-dq"
  exits 2 "$bin/perplexity" "$work/llama"
  says_once "expected a text on standard input"
  exits 2 "$bin/perplexity" nowhere
  exits 2 "$bin/perplexity"
}

test_help_needs_no_packages_and_what_is_missing_is_said() {
  exits 0 env PYTHONPATH= python3 -S "$root/tools/gguf2llama.py" --help
  says_once "gguf2llama.py MODEL.gguf FOLDER"
  exits 2 env PYTHONPATH= python3 -S "$root/tools/gguf2llama.py" model.gguf out
  says_once "run \`make deps\` and \`tools/deps.sh smollm\`"
  exits 2 gguf2llama model.gguf ""
  exits 2 gguf2llama model.gguf
  converted
  exits 1 bash -c 'ulimit -f 4; exec "$@"' - \
    env PYTHONPATH="$root/.deps/test-python:$root/.deps/python" \
    python3 "$root/tools/gguf2llama.py" "$work/small.gguf" out
  says "gguf2llama: out cannot be written: "
  [[ $(ls -A) == said ]]
}

test_files_that_cannot_be_converted_are_refused_and_leave_nothing() {
  converted
  exits 2 gguf2llama "$work/small.gguf" "$work/llama"
  says_once "is there already; name another one"
  mkdir -p out.part home
  touch out.part/thesis.txt home/thesis.txt
  exits 2 gguf2llama "$work/small.gguf" home
  ln -s disk-full/out linked
  exits 0 gguf2llama "$work/small.gguf" linked
  says_once "linked is a link: $(realpath .)/disk-full/out is written"
  diff -r disk-full/out "$work/llama"
  [[ -e out.part/thesis.txt && $(ls home) == thesis.txt && $(ls -A disk-full) == out ]]
  rm -r out.part home linked disk-full
  echo "no gguf" >bad.gguf
  exits 2 gguf2llama bad.gguf out
  says_once "bad.gguf: expected a GGUF file"
  exits 2 gguf2llama nowhere.gguf out
  says_once "nowhere.gguf"
  local change text
  while IFS='|' read -r change text; do
    make other.gguf "$change"
    exits 2 gguf2llama other.gguf out
    says_once "$text"
  done <<'END'
general.architecture=qwen2|general.architecture is 'qwen2', expected one of 'llama'
tokenizer.ggml.model=llama|tokenizer.ggml.model is 'llama', expected one of 'gpt2'
tokenizer.ggml.pre=qwen2|tokenizer.ggml.pre is 'qwen2', expected one of 'smollm', 'gpt-2'
llama.rope.scaling.type=linear|rotary embeddings with scaling are not converted
without=token_embd.weight|the tensor token_embd.weight is missing
END
  [[ ! -e out ]]
}

test_damaged_files_are_refused_with_a_message_or_converted() {
  converted
  PYTHONPATH=$root/tools:$root/.deps/test-python:$root/.deps/python python3 - "$work/small.gguf" <<'END'
import random, shutil, struct, sys
import gguf2llama
whole = open(sys.argv[1], 'rb').read()

def said(damaged):
    """What the converter says of these bytes; "" when it takes them. Anything else is thrown."""
    with open('damaged.gguf', 'wb') as file:
        file.write(damaged)
    shutil.rmtree('out', ignore_errors=True)
    try:
        gguf2llama.convert('damaged.gguf', 'out')
    except gguf2llama.ConversionError as problem:
        return str(problem)
    return ''

def changed(key, value, skip=0):
    """The file with these bytes behind a key's name."""
    at = whole.index(key.encode()) + len(key) + skip
    return whole[:at] + value + whole[at + len(value):]

def number(kind, form, value):
    return struct.pack('<I' + form, kind, value)

assert said(whole) == ''
for damaged, expected in [
        (whole[:100], 'it is cut short or damaged'),
        (whole[:4] + struct.pack('>I', 3) + whole[8:], 'its version is 50331648, expected 2 or 3'),
        (whole[:16] + b'\xff' * 8 + whole[24:], 'expected a GGUF file'),
        (changed('tokenizer.ggml.tokens', struct.pack('<Q', 1 << 60), 8), 'lists of 1152921504606846976'),
        (changed('tokenizer.ggml.token_type', struct.pack('<I', 9), 4), 'lists in lists'),
        (changed('tokenizer.ggml.merges', struct.pack('<Q', 3), 8), 'expected a GGUF file'),
        (changed('tokenizer.ggml.pre', struct.pack('<Q', 1 << 62), 4), 'it is cut short or damaged'),
        (changed('llama.block_count', number(77, 'I', 0)), 'a value of the unknown type 77'),
        (changed('llama.block_count', number(6, 'f', 2)), 'llama.block_count is 2.0, expected a number'),
        (changed('llama.embedding_length', number(4, 'I', 0)), 'llama.embedding_length is 0, expected'),
        (changed('llama.attention.head_count', number(5, 'i', -4)), 'head_count is -4, expected'),
        (changed('tokenizer.ggml.bos_token_id', number(4, 'I', 500)), 'the bos_token is number 500'),
        (changed('blk.0.attn_', b'x'), 'is none of a LLaMA'),
        (whole.replace(b'blk.0.attn_q', b'blk.z.attn_q'), 'is none of a LLaMA'),
        (whole.replace(b'smollm', b'smol\xff\xff'), 'tokenizer.ggml.pre is no text')]:
    assert expected in said(damaged), (expected, said(damaged))
random.seed(1)
outcomes = set()
for _ in range(300):
    damaged = bytearray(whole[:random.randrange(len(whole))] if random.random() < 0.1 else whole)
    for _ in range(random.choice([1, 1, 2, 8])):
        damaged[random.randrange(min(len(damaged), random.choice([64, 1500, 30000])))] = \
            random.choice([0, 1, 7, 127, 255, random.randrange(256)])
    outcomes.add(said(bytes(damaged)) == '')
assert outcomes == {True, False}
END
}

run_tests gguf2llama
