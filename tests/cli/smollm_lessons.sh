#!/usr/bin/env bash
# tools/smollm_lessons.py on the demo's questions and frames, with a small table of embeddings.
. "$(dirname "$0")/helpers.bash"

python() { PYTHONPATH=$root/.deps/python PYTHONWARNINGS=ignore python3 "$@"; }
lessons() { python "$root/tools/smollm_lessons.py" "$@"; }
data=$root/input/demo/data/star

test_every_question_of_a_lesson_has_one_right_option() {
  exits 0 lessons questions "$data" out
  python3 - "$data" out <<'END'
import json, re, sys
data, out = sys.argv[1:]
named = {'Interaction': 'Shown is {}. ', 'Sequence': 'Shown last is {}. ',
         'Prediction': 'Shown first is {}. ', 'Feasibility': 'Never shown is {}. '}
right = {'Interaction': lambda shown, option: option in shown,
         'Sequence': lambda shown, option: option == shown[-1],
         'Prediction': lambda shown, option: option == shown[0],
         'Feasibility': lambda shown, option: option not in shown}
for split, count in (('train', 1600), ('val', 400)):
    read = lambda folder: json.load(open(f'{folder}/STAR_{split}.json'))
    demo, names, words = read(data), read(f'{out}/named'), read(f'{out}/words')
    assert len(demo) == len(names) == len(words) == count
    for question, name, word in zip(demo, names, words):
        kind = question['question_id'].split('_')[0]
        assert name['question'] == named[kind].format(question['answer']) + question['question']
        match = re.fullmatch(r'Shown are (\w+), (\w+), (\w+)\. (.*)', word['question'])
        *shown, asked = match.groups()
        assert asked == question['question'] and len(set(shown)) == 3
        options = [choice['choice'] for choice in question['choices']]
        assert [o for o in options if right[kind](shown, o)] == [question['answer']], word
        for lesson in (name, word):
            assert {**lesson, 'question': ''} == {**question, 'question': ''}
END
}

# learnt_model WIDTH: llama/ with embeddings so wide, learnt.pth with visual_proj as wide.
learnt_model() {
  mkdir -p llama
  python - "$1" <<'END'
import json, sys, torch
torch.manual_seed(0)
words = 'zero one two three four five six seven eight nine'.split()
json.dump({'model': {'vocab': {f'\u0120{word}': 3 + i for i, word in enumerate(words)}}},
          open('llama/tokenizer.json', 'w'))
torch.save({'tok_embeddings.weight': torch.randn(20, int(sys.argv[1])).half()},
           'llama/consolidated.00.pth')
torch.save({'model': {'visual_proj.weight': torch.randn(int(sys.argv[1]), 768),
                      'temporal_emb.weight': torch.randn(10, int(sys.argv[1])),
                      'adapter_query.weight': torch.randn(30, int(sys.argv[1]))}}, 'learnt.pth')
END
}

test_the_projection_puts_frames_that_no_training_video_has_near_their_words() {
  learnt_model 64
  exits 0 lessons projection "$data" llama learnt.pth start.pth
  says "fits 1632 frames of training videos to 10 words"
  python - "$data" "$root/tools" <<'END'
import json, sys, torch
data, tools = sys.argv[1:]
sys.path.insert(0, tools)
from smollm_lessons import DIGITS
start, learnt = (torch.load(f'{name}.pth', weights_only=True)['model'] for name in ('start', 'learnt'))
words = torch.load('llama/consolidated.00.pth', weights_only=True)['tok_embeddings.weight'][3:13].float()
features = torch.load(f'{data}/clipvitl14.pth', weights_only=True)
first = {q['video_id']: q['answer'] for q in json.load(open(f'{data}/STAR_val.json'))
         if q['question_id'].startswith('Prediction')}
frames = torch.stack([features[video][0].float() for video in first])
found = (frames @ start['visual_proj.weight'].T @ words.T / words.norm(dim=1)).argmax(1)
right = sum(DIGITS[i] == word for i, word in zip(found, first.values())) / len(first)
assert right > 0.7, right
assert not start['temporal_emb.weight'].any()
assert torch.equal(start['adapter_query.weight'], learnt['adapter_query.weight'])
END
}

test_what_is_there_is_not_written_over() {
  learnt_model 32
  cp learnt.pth before.pth
  exits 2 lessons projection "$data" llama learnt.pth learnt.pth
  says_once "learnt.pth is read from there, which is never replaced"
  echo thesis >start.pth
  exits 2 lessons projection "$data" llama learnt.pth start.pth
  says_once "start.pth is there already; name another one"
  cmp learnt.pth before.pth
  exits 0 lessons questions "$data" out
  exits 0 lessons questions "$data" out
  echo thesis >out/words/STAR_val.json
  exits 2 lessons questions "$data" out
  says_once "out/words/STAR_val.json: expected this lesson or nothing, something else is there"
  [[ $(<start.pth) == thesis && $(<out/words/STAR_val.json) == thesis ]]
}

test_wrong_files_are_named() {
  exits 0 lessons --help
  exits 2 lessons questions "$data" ""
  exits 2 env PYTHONPATH= python3 -S "$root/tools/smollm_lessons.py" projection "$data" a b c
  says_once "smollm_lessons.py: No module named 'torch'"
  exits 2 lessons
  says "smollm_lessons.py questions DATA FOLDER"
  exits 2 lessons questions nowhere out
  says_once "nowhere/STAR_train.json: expected the demo's annotations"
  learnt_model 64
  echo none >none.pth
  exits 2 lessons projection "$data" llama none.pth start.pth
  says_once "none.pth: expected a file of tensors"
  python -c 'import torch; torch.save({"optimizer": {}}, "none.pth")'
  exits 2 lessons projection "$data" llama none.pth start.pth
  says_once "none.pth: expected 'model' in it, got none"
  python -c 'import torch; torch.save({"model": {}}, "none.pth")'
  exits 2 lessons projection "$data" llama none.pth start.pth
  says_once "none.pth: expected 'visual_proj.weight' in it, got none"
  mv learnt.pth narrow.pth
  learnt_model 32
  exits 2 lessons projection "$data" llama narrow.pth start.pth
  says_once "narrow.pth: expected visual_proj.weight of [32, 768], got [64, 768]"
  echo '{"model": {"vocab": {"\u0120one": 3}}}' >llama/tokenizer.json
  exits 2 lessons projection "$data" llama learnt.pth start.pth
  says_once "llama: expected a token for each digit's word, got none for zero, two, three"
  local wrong
  for wrong in 'none' '[]' '{"model": {}}' '{"model": {"vocab": ["one"]}}'; do
    echo "$wrong" >llama/tokenizer.json
    exits 2 lessons projection "$data" llama learnt.pth start.pth
    says_once "llama/tokenizer.json: expected a Hugging Face tokenizer with a vocabulary"
  done
  rm llama/tokenizer.json
  exits 2 lessons projection "$data" llama learnt.pth start.pth
  says "llama/tokenizer.json: expected a Hugging Face tokenizer" "No such file"
  [[ ! -e start.pth && ! -e out ]]
}

run_tests "lessons in words"
