#!/usr/bin/env bash
# Every data set's own deck under mpirun, as a user types it, and splits that hide their answers.
. "$(dirname "$0")/helpers.bash"

# two_steps DATASET OPTIONS [ARGUMENT...]: --check, then an epoch of two steps on two ranks.
two_steps() {
  local dataset=$1 letters=$2
  shift 2
  inputs "$dataset"
  exits 0 bovila "${deck[@]}" "$@" --check
  exits 0 ranks 2 "${deck[@]}" --set train.epochs=1 --set train.batch_size=6 "$@"
  says "epoch 1 step 2 (24 of 24 questions)"
  holds "[q['qid'] for q in load('out/epoch0.json')] == list(range(12))"
  holds "all(q['pre'] in '$letters' and q['ans'] in '$letters' for q in load('out/epoch0.json'))"
  holds "0 <= lines('out/log.txt')[0]['val_acc'] <= 1"
  holds "len(lines('out/log.txt')) == 1"
}

test_star_trains() { two_steps star ABCD; }
test_dramaqa_trains() { two_steps dramaqa ABCDE; }
test_vlep_trains_with_its_subtitles() { two_steps vlep AB; }
test_tvqa_trains() { two_steps tvqa ABCDE; }
test_tvqa_trains_with_subtitles() { two_steps tvqa ABCDE --set data.subtitles=true; }
test_how2qa_trains() { two_steps how2qa ABCD; }

# hide_answers DATASET KEY FROM TO: a copy of the annotations, with one split without the key.
hide_answers() {
  cp -r "$mini/data/$1" data
  python3 - "$mini/data/$1/$3" "data/$4" "$2" <<'END'
import json, sys
with open(sys.argv[2], 'w') as out:
    for line in open(sys.argv[1]):
        question = json.loads(line)
        del question[sys.argv[3]]
        print(json.dumps(question), file=out)
END
}

test_tvqa_test_split_without_answers_is_scored() {
  inputs tvqa
  hide_answers tvqa answer_idx tvqa_val.jsonl tvqa_test_public.jsonl
  deck+=(--set data.folder=data --set data.val_split=test_public)
  exits 0 ranks 2 "${deck[@]}" --eval
  says_once "accuracy unknown (the split hides its answers)"
  holds "len(load('out/eval.json')) == 12"
  holds "not any('ans' in q for q in load('out/eval.json'))"
  # The same predictions as for the split with answers.
  exits 0 bovila "${deck[@]}" --set data.val_split=val --eval --output known
  holds "[q['pre'] for q in load('out/eval.json')] == [q['pre'] for q in load('known/eval.json')]"
  holds "all('ans' in q for q in load('known/eval.json'))"
}

test_vlep_test_split_without_answers_is_scored() {
  inputs vlep
  hide_answers vlep answer vlep_dev_release.jsonl vlep_test_release.jsonl
  exits 0 bovila "${deck[@]}" --set data.folder=data --set data.val_split=test --eval
  says "accuracy unknown (the split hides its answers)"
  holds "not any('ans' in q for q in load('out/eval.json'))"
}

test_training_on_a_split_without_answers_is_refused() {
  inputs tvqa
  hide_answers tvqa answer_idx tvqa_train.jsonl tvqa_train.jsonl
  exits 2 ranks 2 "${deck[@]}" --set data.folder=data
  says_once "a split that hides its answers can be scored with --eval, not trained on"
}

test_validation_on_a_split_without_answers_records_no_accuracy() {
  inputs tvqa
  hide_answers tvqa answer_idx tvqa_val.jsonl tvqa_val.jsonl
  exits 0 bovila "${deck[@]}" --set data.folder=data --set train.epochs=1
  holds "'val_acc' not in lines('out/log.txt')[0]"
  holds "'train_loss' in lines('out/log.txt')[0]"
}

run_tests "data sets"
