"""Compares our tokens with those of the libraries that the models' authors used.

  compare_tokenizers.py TOKENIZE CASE [NUMBER_OF_TEXTS]

TOKENIZE is the program of tests/tools/tokenize.cpp; the cases are the functions case_... below.
Each writes a tokenizer file, has both sides encode the same texts, and ends with exit code 1 at the
first difference. The texts are random, from fixed seeds. Works in the current folder.
"""
import base64
import json
import random
import subprocess
import sys
import unicodedata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MINI = ROOT / 'tests/golden/mini/llama/tokenizer.model'
LLAMA3_PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
                  r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2_PATTERN = LLAMA3_PATTERN.replace('{1,3}', '')

# --- texts --------------------------------------------------------------------------------------

# Words, contractions, parts of words in other scripts, and what looks like special tokens.
WORDS = """
    the a of Question Answer Choices Instruction What is why does person man woman hold put down
    table after before while Predict video dialogue based on and I don't you're he'll we've it's
    I'm she'd DON'T YOU'RE HE'LL na\u00efve caf\u00e9 \u00dcn\u00efc\u00f6d\u00e9 Stra\u00dfe
    \u0130stanbul \u01c5 \ufb01sh word2vec GPT-4 C++ e.g. <s> </s> <unk> <|begin_of_text|>
    <|endoftext|> [INST] <0x0A> \u2581 \u0120 http://example.org/?q=1&r=2 \u65e5\u672c\u8a9e
    \u4e2d\u6587\u5b57\u7b26 \ud55c\uad6d\uc5b4 \u0e44\u0e17\u0e22
    \u0939\u093f\u0928\u094d\u0926\u0940 \u05e2\u05d1\u05e8\u05d9\u05ea
    \u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u03b5\u03bb\u03bb\u03b7\u03bd\u03b9\u03ba\u03ac
    \u0440\u0443\u0441\u0441\u043a\u0438\u0439 \u044f\u0437\u044b\u043a
    \u10e5\u10d0\u10e0\u10d7\u10e3\u10da\u10d8 \u12a0\u121b\u122d\u129b
""".split()
SPACES = [' ', ' ', ' ', '  ', '   ', '\n', '\n\n', ' \n', '\n ', '\r\n', '\t', '\v', '\f', '\x1c',
          '\x85', '\xa0', '\u1680', '\u2003', '\u2028', '\u2029', '\u202f', '\u3000', '\u200b',
          '\u180e', '\ufeff', ' ' * 20, '\n' * 5]
EMOJI = ['\U0001f600', '\U0001f44d\U0001f3fd', '\U0001f1e9\U0001f1ea', '1\ufe0f\u20e3', '\u263a',
         '\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466', '\u2764\ufe0f',
         '\U0001f3f3\ufe0f\u200d\U0001f308', '\U0001f9d1\U0001f3ff\u200d\U0001f680']
MARKS = ['\u0301', '\u0308', '\u0323', '\u20dd', '\u0e34', '\u093f', '\u05b0', '\u064b', '\u200d',
         '\ufe0f', '\u202e', '\u2066']
CONTRACTIONS = ["'s", "'S", "'t", "'re", "'VE", "'m", "'ll", "'LL", "'d", "'lL",
                "'\u017f", "\u2019s", "''s"]
DIGITS = ('0123456789\u0660\u0661\u0662\u0663'
          '\u096a\u096b\u096c\u2167\u00bd\u00b2\u2460\U0001d7d8\U0001d7d9\u3007')


def assigned(code_point):
    """Not a surrogate and known to Python's Unicode: the libraries' classes of others differ."""
    return unicodedata.category(chr(code_point)) not in ('Cs', 'Cn')


def any_character(rng):
    ranges = [(0, 0x80), (0x80, 0x800), (0x800, 0x10000), (0x10000, 0x20000), (0x20000, 0x30000),
              (0x30000, 0x110000)]
    while True:
        code_point = rng.randrange(*rng.choice(ranges))
        if assigned(code_point):
            return chr(code_point)


def some_text(rng):
    """One piece of a text."""
    kind = rng.randrange(12)
    if kind < 4:
        return ' '.join(rng.choices(WORDS, k=rng.randrange(1, 8)))
    if kind == 4:
        return ''.join(rng.choices(SPACES, k=rng.randrange(1, 4)))
    if kind == 5:
        return ''.join(rng.choices(DIGITS, k=rng.randrange(1, 9)))
    if kind == 6:
        return rng.choice(WORDS) + rng.choice(CONTRACTIONS) + rng.choice(['', 'x', ' y'])
    if kind == 7:
        return ''.join(rng.choices(EMOJI, k=rng.randrange(1, 4)))
    if kind == 8:
        marked = [rng.choice('aeou\u05db\u0e01\u0905') + rng.choice(MARKS) for _ in range(3)]
        return ''.join(marked[:rng.randrange(1, 4)])
    if kind == 9:
        return ''.join(chr(rng.randrange(0x80)) for _ in range(rng.randrange(1, 12)))
    return ''.join(any_character(rng) for _ in range(rng.randrange(1, 12)))


def random_texts(seed, number):
    rng = random.Random(seed)
    texts = ['', ' ', '\n', '\0', "'", 'a' * 3000, ' ' * 3000, '\n' * 300, '0' * 100,
             '\u00e9' * 100]
    while len(texts) < number:
        glue = rng.choice(['', '', ' '])
        texts.append(glue.join(some_text(rng) for _ in range(rng.randrange(1, 8))))
    return texts[:number]


# --- comparison ---------------------------------------------------------------------------------

def our_tokens(path, texts):
    """What tokenize says about the tokenizer, and for each text."""
    lines = ''.join(json.dumps(text) + '\n' for text in texts)
    done = subprocess.run([TOKENIZE, str(path)], input=lines, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f'{TOKENIZE} {path}: exit code {done.returncode}\n{done.stderr}')
    about, *results = [json.loads(line) for line in done.stdout.rstrip('\n').split('\n')]
    if len(results) != len(texts):
        sys.exit(f'{len(results)} results for {len(texts)} texts')
    return about, results


def expect(what, ours, theirs, text=None):
    if ours != theirs:
        sys.exit(f'{what} differ{"" if text is None else f" for {text!r}"}\n'
                 f'ours:   {ours}\ntheirs: {theirs}')


def check_ranges(text, result):
    """The ranges cover the text in order."""
    begin = result['begin']
    expect('number of begins', len(begin), len(result['ids']) + 1, text)
    expect('end', begin[-1], len(text.encode()), text)
    expect('order', begin, sorted(begin), text)


def compare(path, encode, about, token_bytes=None, offsets=None):
    """encode(text) gives the library's ids, token_bytes(id) the bytes that a token must stand for,
    offsets(text) where the library says that tokens begin, in characters."""
    texts = random_texts(7, NUMBER)
    ours_about, results = our_tokens(path, texts)
    expect('vocabulary, begin, end, line feed', ours_about, about)
    for text, result in zip(texts, results):
        expect('ids', result['ids'], list(encode(text)), text)
        check_ranges(text, result)
        data, begin = text.encode(), result['begin']
        if token_bytes is not None:
            parts = [data[begin[i]:begin[i + 1]] for i in range(len(result['ids']))]
            expect('bytes', parts, [token_bytes(i) for i in result['ids']], text)
            expect('decoded text', result['text'], text)
        if offsets is not None:
            characters = [len(data[:at].decode(errors='ignore')) for at in begin[:-1]]
            expect('begins', characters, offsets(text), text)
    print(f'{len(texts)} texts, {sum(len(result["ids"]) for result in results)} tokens: equal')


# --- SentencePiece --------------------------------------------------------------------------------

def case_sentencepiece():
    import sentencepiece
    library = sentencepiece.SentencePieceProcessor(model_file=str(MINI))
    compare(MINI, library.encode, {'vocab_size': 640, 'bos': 1, 'eos': 2, 'newline': 13})


# --- tiktoken -------------------------------------------------------------------------------------

def llama3_file():
    """Meta's own file, from its package llama-models."""
    import importlib.util
    package = Path(importlib.util.find_spec('llama_models').submodule_search_locations[0])
    return package / 'llama3/tokenizer.model'


def llama3_ranks():
    lines = llama3_file().read_bytes().splitlines()
    return {base64.b64decode(line.split()[0]): int(line.split()[1]) for line in lines}


LLAMA3_ABOUT = {'vocab_size': 128256, 'bos': 128000, 'eos': 128001, 'newline': 198}


def case_tiktoken():
    import tiktoken
    library = tiktoken.Encoding('llama3', pat_str=LLAMA3_PATTERN, mergeable_ranks=llama3_ranks(),
                                special_tokens={})
    compare(llama3_file(), library.encode_ordinary, LLAMA3_ABOUT,
            token_bytes=library.decode_single_token_bytes)


# --- tokenizer.json -------------------------------------------------------------------------------

def byte_alphabet():
    """The character of each byte in GPT-2's alphabet."""
    visible = [*range(0x21, 0x7f), *range(0xa1, 0xad), *range(0xae, 0x100)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return {**{byte: chr(byte) for byte in visible},
            **{byte: chr(256 + i) for i, byte in enumerate(hidden)}}


def load_library(tokenizer, path):
    """Saves the tokenizer; the library's own reading of the file, with special names as text."""
    from tokenizers import Tokenizer
    tokenizer.save(str(path))
    library = Tokenizer.from_file(str(path))
    library.encode_special_tokens = True
    return library


def compare_json(library, path, about, **checks):
    def encode(text):
        return library.encode(text, add_special_tokens=False).ids

    compare(path, encode, {'vocab_size': library.get_vocab_size(), **about}, **checks)


def first_characters(library):
    def begins(text):
        return [begin for begin, _ in library.encode(text, add_special_tokens=False).offsets]

    return begins


def token_bytes_of(library):
    byte_of = {character: byte for byte, character in byte_alphabet().items()}
    return lambda token: bytes(byte_of[c] for c in library.id_to_token(token))


def case_llama3_json():
    """LLaMA-3's ranks as the merges of a tokenizer.json: what Hugging Face's folders hold."""
    from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers,
                            processors)
    ranks = llama3_ranks()
    names = byte_alphabet()
    text_of = {token: ''.join(names[byte] for byte in token) for token in ranks}
    merges = []
    for token in ranks:
        pairs = [(token[:i], token[i:]) for i in range(1, len(token))]
        known = [pair for pair in pairs if pair[0] in ranks and pair[1] in ranks]
        known.sort(key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))
        merges += [(text_of[left], text_of[right]) for left, right in known]
    vocabulary = {text_of[token]: rank for token, rank in ranks.items()}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3_PATTERN), 'isolated'),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    specials = ['<|begin_of_text|>', '<|end_of_text|>', *(f'<|reserved_{i}|>' for i in range(254))]
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in specials])
    tokenizer.post_processor = processors.TemplateProcessing(
        single='<|begin_of_text|> $A', special_tokens=[('<|begin_of_text|>', 128000)])
    library = load_library(tokenizer, 'tokenizer.json')
    about = {key: LLAMA3_ABOUT[key] for key in ('bos', 'eos', 'newline')}
    compare_json(library, 'tokenizer.json', about, token_bytes=token_bytes_of(library),
                 offsets=first_characters(library))


def train(tokenizer, **settings):
    from tokenizers import trainers
    trainer = trainers.BpeTrainer(show_progress=False, min_frequency=2, **settings)
    # Without '<': a trained token must not spell a special one.
    texts = [text.replace('<', '') for text in random_texts(1, 5000)]
    tokenizer.train_from_iterator(texts, trainer)


def trained_by_bytes(pre_tokenizer, normalizer=None, specials=('<|endoftext|>',)):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    train(tokenizer, vocab_size=3000, special_tokens=list(specials),
          initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    return tokenizer


def id_of_newline(library):
    return library.token_to_id('\u010a')


def case_smollm2_json():
    from tokenizers import pre_tokenizers
    tokenizer = trained_by_bytes(pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True)]))
    library = load_library(tokenizer, 'tokenizer.json')
    compare_json(library, 'tokenizer.json',
                 {'bos': 0, 'eos': 0, 'newline': id_of_newline(library)},
                 token_bytes=token_bytes_of(library), offsets=first_characters(library))


def case_gpt2_json():
    """With a space before the text, merges as one string each, and a configuration beside it."""
    from tokenizers import AddedToken, pre_tokenizers
    tokenizer = trained_by_bytes(pre_tokenizers.ByteLevel(add_prefix_space=True),
                                 specials=['<|endoftext|>', '<|start|>'])
    tokenizer.add_tokens([AddedToken('GPT-4', normalized=False), AddedToken(' holds'),
                          AddedToken('<|start|>dialogue'), AddedToken('\u65e5\u672c')])
    library = load_library(tokenizer, 'tokenizer.json')
    document = json.loads(Path('tokenizer.json').read_text())
    document['model']['merges'] = [' '.join(merge) for merge in document['model']['merges']]
    Path('tokenizer.json').write_text(json.dumps(document))
    Path('tokenizer_config.json').write_text(json.dumps(
        {'bos_token': {'content': '<|start|>'}, 'eos_token': '<|endoftext|>'}))
    compare_json(library, 'tokenizer.json', {'bos': 1, 'eos': 0, 'newline': id_of_newline(library)},
                 offsets=first_characters(library))


def case_qwen2_json():
    from tokenizers import Regex, normalizers, pre_tokenizers
    tokenizer = trained_by_bytes(
        pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(QWEN2_PATTERN), 'removed', invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
        normalizer=normalizers.NFC())
    library = load_library(tokenizer, 'tokenizer.json')
    compare_json(library, 'tokenizer.json', {'bos': 0, 'eos': 0, 'newline': id_of_newline(library)})


def trained_by_characters(normalizer, pre_tokenizer, decoder):
    from tokenizers import Tokenizer, models
    tokenizer = Tokenizer(models.BPE(unk_token='<unk>', fuse_unk=True, byte_fallback=True))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoder
    names = ['<unk>', '<s>', '</s>', *(f'<0x{byte:02X}>' for byte in range(256))]
    train(tokenizer, vocab_size=2500, limit_alphabet=400, special_tokens=names)
    document = json.loads(tokenizer.to_str())
    document['added_tokens'] = document['added_tokens'][:3]  # those of bytes are found by BPE alone
    return Tokenizer.from_str(json.dumps(document))


def compare_by_characters(tokenizer):
    library = load_library(tokenizer, 'tokenizer.json')
    vocabulary = library.get_vocab()
    newline = vocabulary.get('\n', vocabulary['<0x0A>'])
    compare_json(library, 'tokenizer.json', {'bos': 1, 'eos': 2, 'newline': newline})


def case_llama2_json():
    from tokenizers import decoders, normalizers
    normalizer = normalizers.Sequence([normalizers.Prepend('\u2581'),
                                       normalizers.Replace(' ', '\u2581')])
    decoder = decoders.Sequence([decoders.Replace('\u2581', ' '), decoders.ByteFallback(),
                                 decoders.Fuse(), decoders.Strip(' ', 1, 0)])
    compare_by_characters(trained_by_characters(normalizer, None, decoder))


def case_metaspace_json():
    from tokenizers import decoders, normalizers, pre_tokenizers
    compare_by_characters(trained_by_characters(
        normalizers.NFKC(), pre_tokenizers.Metaspace(prepend_scheme='first'), decoders.Metaspace()))


if __name__ == '__main__':
    TOKENIZE = sys.argv[1]
    NUMBER = int(sys.argv[3]) if len(sys.argv) > 3 else 10000
    globals()[f'case_{sys.argv[2]}']()
