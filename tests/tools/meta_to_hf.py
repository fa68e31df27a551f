"""Meta's tiny LLaMA as Hugging Face's folder: meta_to_hf.py FROM TO. Plain Python, to be an opinion
of its own: reads the .pth's zip and writes safetensors by hand."""
import io
import json
import pickle
import struct
import sys
import zipfile
from pathlib import Path

NAMES = {'attention_norm': 'input_layernorm', 'ffn_norm': 'post_attention_layernorm',
         'attention.wq': 'self_attn.q_proj', 'attention.wk': 'self_attn.k_proj',
         'attention.wv': 'self_attn.v_proj', 'attention.wo': 'self_attn.o_proj',
         'feed_forward.w1': 'mlp.gate_proj', 'feed_forward.w2': 'mlp.down_proj',
         'feed_forward.w3': 'mlp.up_proj', 'tok_embeddings': 'model.embed_tokens',
         'norm': 'model.norm', 'output': 'lm_head'}
FLOAT = 4


class Unpickler(pickle.Unpickler):
    """Tensors as (storage's key, offset, shape); only what torch.save writes for them."""

    def persistent_load(self, storage):
        kind, key = storage[1], storage[2]
        if kind != 'FloatStorage':
            sys.exit(f'{kind}: expected fp32')
        return key

    def find_class(self, module, name):
        return {'_rebuild_tensor_v2': lambda key, offset, shape, *_: (key, offset, shape),
                'OrderedDict': dict, 'FloatStorage': 'FloatStorage'}[name]


def read_tensors(path):
    """Name to (shape, list of rows as bytes)."""
    with zipfile.ZipFile(path) as archive:
        pickled = next(name for name in archive.namelist() if name.endswith('/data.pkl'))
        tensors = {}
        for name, (key, offset, shape) in Unpickler(
                io.BytesIO(archive.read(pickled))).load().items():
            values = archive.read(f'{pickled[:-len("data.pkl")]}data/{key}')[offset * FLOAT:]
            width = FLOAT * (shape[1] if len(shape) == 2 else 1)
            rows = [values[i * width:(i + 1) * width] for i in range(shape[0])]
            tensors[name] = (list(shape), rows)
        return tensors


def hf_name(name):
    name = name.removesuffix('.weight')
    if not name.startswith('layers.'):
        return f'{NAMES[name]}.weight'
    _, layer, part = name.split('.', 2)
    return f'model.layers.{layer}.{NAMES[part]}.weight'


def to_halves(rows, head_dim):
    """Pairs (0, 1), (2, 3), ... of each head's rows to its first and its second half."""
    heads = [rows[i:i + head_dim] for i in range(0, len(rows), head_dim)]
    return [row for head in heads for row in head[0::2] + head[1::2]]


def write_safetensors(path, tensors):
    header, values = {}, b''
    for name, (shape, rows) in tensors.items():
        data = b''.join(rows)
        header[name] = {'dtype': 'F32', 'shape': shape,
                        'data_offsets': [len(values), len(values) + len(data)]}
        values += data
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack('<Q', len(text)) + text + values)


def main(source, target):
    params = json.loads((Path(source) / 'params.json').read_text())
    head_dim = params['dim'] // params['n_heads']
    tensors = {}
    for name, (shape, rows) in read_tensors(Path(source) / 'consolidated.00.pth').items():
        if name == 'rope.freqs':
            continue
        if name.endswith(('wq.weight', 'wk.weight')):
            rows = to_halves(rows, head_dim)
        tensors[hf_name(name)] = (shape, rows)
    config = {'model_type': 'llama', 'hidden_size': params['dim'],
              'intermediate_size': tensors['model.layers.0.mlp.up_proj.weight'][0][0],
              'num_hidden_layers': params['n_layers'], 'num_attention_heads': params['n_heads'],
              'num_key_value_heads': params.get('n_kv_heads') or params['n_heads'],
              'rms_norm_eps': params['norm_eps'],
              'vocab_size': tensors['lm_head.weight'][0][0]}
    Path(target).mkdir()
    (Path(target) / 'config.json').write_text(json.dumps(config))
    write_safetensors(Path(target) / 'model.safetensors', tensors)


if __name__ == '__main__':
    main(*sys.argv[1:])
