#!/usr/bin/env bash
# A trained model is asked under the settings, and with the files, that it was trained with: what
# --eval and `bovila answer` take from the checkpoint, what they refuse, and what a result is of.
. "$(dirname "$0")/helpers.bash"

# trained DATASET [ARGUMENT...]: sets `deck`, and trains an epoch with it into `run`.
trained() {
  inputs "$1"
  shift
  exits 0 bovila "${deck[@]}" --set train.epochs=1 --output run "$@"
}
# scored OUT [ARGUMENT...]
scored() {
  local out=$1
  shift
  exits 0 bovila "${deck[@]}" --eval --resume run --output "$out" "$@"
}
# asked STATUS [ARGUMENT...]: one question, whose answer is in `said`.
asked() {
  local status=$1
  shift
  exits "$status" bovila answer "${deck[@]}" --resume run --video S0 --question "what is it" \
    --option a --option b "$@"
}
no_difference() { ! grep -q "other answers than" said; }

test_dialogues_that_are_left_out_are_refused_and_scored_only_when_that_is_said() {
  trained tvqa --set data.subtitles=true
  exits 2 ranks 2 "${deck[@]}" --eval --resume run
  says_once "run/checkpoints/step-00000006: with other settings or files than it was trained with"
  says_once "  data.subtitles: true in the checkpoint, false now"
  says_once "  data.val_split (contents): 12 questions, SHA-256 "
  says_once "say --despite-differences"
  [[ ! -e out/eval.json ]]
  exits 2 bovila answer "${deck[@]}" --resume run </dev/null
  says_once "  data.subtitles: true in the checkpoint, false now"
  scored with --set data.subtitles=true
  no_difference
  holds "load('with/eval-record.json')['differences'] == []"
  scored without --despite-differences
  says_once "other answers than those of the run: data.subtitles: true in the checkpoint, false now"
  ! cmp -s with/eval.json without/eval.json
  holds "load('without/eval-record.json')['differences'][0].startswith('data.subtitles: true in')"
}

test_other_weights_of_the_same_shapes_are_refused() {
  trained star
  cp -r "$mini/llama" .
  python3 - "$mini/llama/mini/consolidated.00.pth" llama/mini/consolidated.00.pth <<'END'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as whole, zipfile.ZipFile(sys.argv[2], 'w') as other:
    for name in whole.namelist():
        data = whole.read(name)
        if name.endswith('/data/0'): data = data[4:] + data[:4]  # its values in another order
        other.writestr(name, data)
END
  exits 2 ranks 2 "${deck[@]}" --eval --resume run --set model.llama=llama/mini
  says_once "  model.llama (contents): "
  asked 2 --set model.llama=llama/mini
  says_once "  model.llama (contents): "
  asked 0 --set model.llama=llama/mini --despite-differences
  says_once "warning: other answers than those of the run: model.llama (contents): "
  [[ ! -e out/eval.json ]]
  exits 0 "$bin/ckpt2pth" run ours.pth
  exits 0 bovila "${deck[@]}" --set model.llama=llama/mini --set train.start=ours.pth --output new
  says_once "warning: ours.pth was trained with another model.llama: "
  exits 2 bovila "${deck[@]}" --despite-differences
  says "--despite-differences requires --eval"
}

test_other_features_and_a_changed_tokenizer_are_refused() {
  trained star
  "$bin/pth2h5" "$mini/data/tvqa/clipvitl14.pth" features --shards 1 >/dev/null 2>&1
  exits 2 bovila "${deck[@]}" --eval --resume run --set data.features=features
  says_once "  data.features (contents): "
  asked 2 --set data.features=features
  says_once "  data.features (contents): "
  cp "$mini/llama/tokenizer.model" t.model
  printf '\x12\x02\x18\x01' >>t.model # a field that says what is so anyway
  exits 2 bovila "${deck[@]}" --eval --resume run --set model.tokenizer=t.model
  says_once "  model.tokenizer (contents): "
}

test_what_the_deck_leaves_open_is_as_the_checkpoint_was_trained() {
  # No size by --set but for the training; the deck's are 10 and 10, in the file.
  deck=("$root/input/star.toml" --set "model.llama=$mini/llama/mini" --set "data.folder=$mini/data/star"
    --set "data.features=$(features star)" --set output.folder=out --set run.threads_per_rank=1)
  sed '/^precision/d' "$root/input/star.toml" >open.toml
  exits 0 bovila "${deck[@]}" --set train.epochs=3 --set train.batch_size=12 --set train.accum_iter=1 \
    --output run --set model.adapter_len=5 --set model.max_feats=6 --set model.adapter_layers=2 \
    --set model.precision=fp32 --set model.max_seq_len=256 --set train.lr=0.01
  deck[0]=open.toml
  exits 0 ranks 2 "${deck[@]}" --eval --resume run --output scored
  says_once "as the checkpoint was trained: model.adapter_len = 5 (the deck: 10)"
  says_once "as the checkpoint was trained: model.max_feats = 6 (the deck: 10)"
  says_once "as the checkpoint was trained: model.adapter_layers = 2 (the deck: 0)"
  says_once "as the checkpoint was trained: model.precision = \"fp32\" (the deck: \"auto\")"
  cmp run/epoch2.json scored/eval.json
  asked 0
  says_once "model.adapter_len = 5"
  # The file's word is not passed over in silence, and --set is no purpose.
  deck[0]=$root/input/star.toml
  exits 2 bovila "${deck[@]}" --eval --resume run
  says_once "  model.precision: 'fp32' in the checkpoint, 'bf16' now"
  asked 2 --set model.adapter_len=4 --set model.precision=fp32
  says_once "  model.adapter_len: 5 in the checkpoint, 4 now"
}

test_what_cannot_change_an_answer_is_no_difference() {
  trained star --set run.threads_per_rank=1
  cp -r "$(features star)" features
  cp -r "$mini/data/star" data
  cp -r "$mini/llama" .
  exits 0 ranks 2 "${deck[@]}" --eval --resume run --output scored --set data.features=features \
    --set data.folder=data --set model.llama=llama/mini --set run.prefetch_batches=9 \
    --set output.log_every_steps=7 --set train.lr=0.5 --set train.epochs=9 --set loss.vaq=0 \
    --set run.threads_per_rank=1 --set model.recompute_activations=true --set train.batch_size=2 \
    --set model.max_seq_len=300 --set checkpoint.keep=5 --set model.attention_bias=1
  no_difference
  cmp run/epoch0.json scored/eval.json
}

test_another_split_is_asked_for_by_name_and_another_data_set_by_a_flag() {
  trained star
  scored other --set data.val_split=train
  no_difference
  says_once "scoring the split 'train', in the run it was 'val'"
  holds "load('other/eval-record.json')['settings']['data.val_split'] == \"'train'\""
  cp -r "$mini/data/star" data
  sed -i '0,/what/s//which/' data/STAR_val.json
  exits 2 bovila "${deck[@]}" --eval --resume run --set data.folder=data
  says_once "  data.val_split (contents): 12 questions, SHA-256 "
  inputs dramaqa
  exits 2 bovila "${deck[@]}" --eval --resume run
  says_once "  data.dataset: 'star' in the checkpoint, 'dramaqa' now"
  scored transfer --despite-differences
  says "other answers than those of the run: data.dataset: 'star' in the checkpoint, 'dramaqa' now"
}

test_a_result_says_what_it_is_of_and_is_not_overwritten_by_another() {
  trained star
  scored out
  holds "set(load('out/eval-record.json')) == {'result', 'checkpoint', 'settings', 'contents',
      'differences', 'ranks', 'build', 'deck'}"
  holds "load('out/eval-record.json')['result']['right'] == sum(q['pre'] == q['ans']
      for q in load('out/eval.json'))"
  holds "load('out/eval-record.json')['contents'] == {k: v for k, v in
      load('run/checkpoints/step-00000006/progress.json')['identity'].items() if k != 'data.train_split'}"
  holds "(load('out/eval-record.json')['checkpoint']['path'] == 'run/checkpoints/step-00000006'
      and load('out/eval-record.json')['checkpoint']['step'] == 6)"
  holds "load('out/eval-record.json')['build'] == load('out/build.json')"
  cp out/eval.json out/eval-record.json .
  scored out
  cmp eval-record.json out/eval-record.json
  [[ ! -e out/previous-1 ]]
  scored out --set data.val_split=train
  says_once "the eval.json that was in out is of another evaluation (data.val_split: "
  says_once "it is in out/previous-1 now"
  cmp eval.json out/previous-1/eval.json
  cmp eval-record.json out/previous-1/eval-record.json
  holds "len(load('out/eval.json')) == 24"
  rm out/eval-record.json # as bovila before 0.2 leaves it
  scored out
  says_once "has no eval-record.json that says what it is of): it is in out/previous-2 now"
  cmp eval.json out/eval.json
}

test_our_own_pth_is_compared_as_a_checkpoint_is() {
  trained star
  exits 0 "$bin/ckpt2pth" run ours.pth
  PYTHONPATH=$root/.deps/python:$root/.deps/test-python python3 -W ignore -c 'import torch
file = torch.load("ours.pth", weights_only=True)
assert file["identity"]["model.llama"] and "SHA-256" in file["identity"]["data.features"], file
del file["identity"]
torch.save(file, "older.pth")'
  "$bin/pth2h5" "$mini/data/tvqa/clipvitl14.pth" features --shards 1 >/dev/null 2>&1
  exits 2 ranks 2 "${deck[@]}" --eval --resume ours.pth --set data.features=features \
    --set model.precision=bf16
  says_once "  data.features (contents): "
  says_once "  model.precision: 'fp32' in the checkpoint, 'bf16' now"
  exits 2 bovila answer "${deck[@]}" --resume older.pth --set model.precision=bf16 </dev/null
  says_once "older.pth: with other settings or files than it was trained with"
  exits 0 bovila "${deck[@]}" --eval --resume older.pth
  no_difference
}

test_an_accuracy_like_guessing_is_said_of_a_checkpoint() {
  trained star
  scored out
  local like='12 / 4 + 2 * (12 * 0.25 * 0.75) ** 0.5 >= load("out/eval-record.json")["result"]["right"]'
  if holds "$like"; then
    says_once "of 12 right is what guessing gives (3.0, give or take 3.0). If run/checkpoints/step-"
  else
    ! grep -q "what guessing gives" said
  fi
}

run_tests "same answers"
