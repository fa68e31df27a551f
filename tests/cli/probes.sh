#!/usr/bin/env bash
# Questions asked otherwise (eval.video, eval.options): what is shown, the same on any number of
# ranks; what they are refused for; what becomes of the files of another evaluation; and that a model
# that has learned to read digits off videos guesses without them.
. "$(dirname "$0")/helpers.bash"
export PYTHONPATH=$root/.deps/test-python # SciPy, scikit-learn: from `make test-deps`

# trained: sets `deck`, and trains an epoch of the tiny STAR into `run`.
trained() {
  inputs star
  exits 0 bovila "${deck[@]}" --set train.epochs=1 --output run
}
# scored RANKS OUT [KEY=VALUE...]
scored() {
  local number=$1 out=$2 settings=() key
  for key in "${@:3}"; do settings+=(--set "$key"); done
  exits 0 ranks "$number" "${deck[@]}" --eval --resume run --output "$out" "${settings[@]}"
}

test_videos_are_shown_as_asked_and_the_same_on_any_number_of_ranks() {
  local video
  trained
  scored 1 true
  for video in none shuffled other; do
    scored 1 "$video" "eval.video=$video" eval.ask=true
    says "eval.video = \"$video\": " " of 12 questions are right; guessing gives 3.0, give or take 3.0"
    lacks "is what guessing gives ("
    scored 2 two "eval.video=$video" eval.ask=true
    cmp "$video/eval.json" two/eval.json
    cmp "$video/questions.jsonl" two/questions.jsonl
    holds "load('$video/eval-record.json')['settings']['eval.video'] == '\"$video\"'"
    holds "load('$video/eval-record.json')['result']['probes'][0].startswith('eval.video = ')"
    rm -r two
  done
  cat >shown.py <<'END'
import json
def rows(name): return [json.loads(line) for line in open(f"{name}/questions.jsonl")]
def frames(row): return [(one["video"], at) for one in row["frames"] for at in one["rows"]]
changed = 0
for true, none, shuffled, other in zip(*map(rows, ("true", "none", "shuffled", "other")), strict=True):
    own = frames(true)
    assert own == sorted(own) and len(own) <= 6, own
    assert none["frames"] == []
    assert sorted(frames(shuffled)) == own
    changed += frames(shuffled) != own
    assert not {video for video, _ in frames(other)} & {one["video"] for one in true["frames"]}
    for row in (none, shuffled, other): assert row["question"] == true["question"]
assert changed >= 6, changed
losses = [[row["loss"] for row in rows(name)] for name in ("true", "none", "shuffled", "other")]
assert all(a != b for at, a in enumerate(losses) for b in losses[:at])
END
  python3 shown.py
  scored 1 again eval.video=other
  cmp other/eval.json again/eval.json
  scored 1 another eval.video=other train.seed=1
  holds "([r['frames'] for r in lines('other/questions.jsonl')] !=
          [r['frames'] for r in lines('another/questions.jsonl')])"
}

test_options_are_turned_and_the_order_that_is_given_stays_the_answer() {
  trained
  scored 1 given eval.batch_size=1
  scored 1 turned eval.options=rotations eval.batch_size=1
  says "eval.options = \"rotations\": " "% right by the majority of orders" \
    "the same answer in all orders of the options to" "of 12 questions; letters chosen, in %: A "
  scored 2 two eval.options=rotations eval.batch_size=1
  cmp turned/eval.json two/eval.json
  holds "all(a['pre'] == b['pre'] == b['turns'][0] and len(b['turns']) == 4 and 'turns' not in a and
             b['majority'] in b['turns'] and abs(a['u'] - b['u']) < 1e-5 and
             b['turns'].count(b['majority']) == max(map(b['turns'].count, 'ABCD'))
             for a, b in zip(load('given/eval.json'), load('turned/eval.json'), strict=True))"
  holds "(lambda t, e: t['questions'] == 12 and sum(l['chosen'] for l in t['letters']) == 48 and
          all(l['asked'] == 12 for l in t['letters']) and
          t['consistent'] == sum(len(set(r['turns'])) == 1 for r in e) and
          t['majority_right'] == sum(r['majority'] == r['ans'] for r in e))(
         load('turned/eval-record.json')['result']['turned'], load('turned/eval.json'))"
  # A turn is what the question is with its options in that order: the first one, asked so.
  python3 - "$mini/data/star" <<'END'
import json, os, shutil, sys
shutil.copytree(sys.argv[1], "data")
path = "data/STAR_val.json"
questions = json.load(open(path))
for question in questions:
    choices = sorted(question["choices"], key=lambda choice: choice["choice_id"])
    texts = [choice["choice"] for choice in choices]
    for choice, text in zip(choices, texts[1:] + texts[:1]): choice["choice"] = text
json.dump(questions, open(path, "w"))
END
  deck+=(--set data.folder=data --despite-differences)
  scored 1 moved eval.batch_size=1
  holds "all('ABCD'[('ABCD'.index(b['pre']) + 1) % 4] == a['turns'][1]
             for a, b in zip(load('turned/eval.json'), load('moved/eval.json'), strict=True))"
}

test_only_evaluations_ask_otherwise() {
  local word
  trained
  for word in "" --check; do
    exits 2 bovila "${deck[@]}" --set eval.video=none $word
    says_once 'eval.video = "none" asks other questions than the data set'\''s: expected with --eval'
    says "this is a training"
  done
  exits 2 ranks 2 "${deck[@]}" --set eval.options=rotations
  says_once 'eval.options = "rotations" asks other questions'
  exits 2 bovila answer "${deck[@]}" --resume run --set eval.video=other </dev/null
  says_once "this is \`bovila answer\`"
  exits 2 bovila "${deck[@]}" --eval --set eval.video=nothing
  says "eval.video: expected a string (true, none, shuffled, other), got string \"nothing\""
  [[ ! -e out ]]
  python3 - "$mini/data/star" <<'END'
import json, shutil, sys
shutil.copytree(sys.argv[1], "data")
questions = json.load(open("data/STAR_val.json"))
one = [q for q in questions if q["video_id"] == questions[0]["video_id"]]
json.dump(one, open("data/STAR_val.json", "w"))
END
  exits 2 bovila "${deck[@]}" --eval --resume run --set data.folder=data --set eval.video=other \
    --despite-differences
  says_once "every question of the split is about a video of question '"
}

test_a_probe_is_another_evaluation_and_no_threshold_is_taken_from_it() {
  local asked
  trained
  asked=(answer "${deck[@]}" --resume run --video S0 --question - --option a --option b --abstain 1)
  deck+=(--output run)
  cp run/calibration.json of-training.json
  exits 0 bovila "${asked[@]}"
  exits 0 bovila "${deck[@]}" --eval
  cmp of-training.json run/calibration.json # the newest checkpoint's, as training's last evaluation
  exits 0 bovila "${deck[@]}" --eval --set eval.video=none
  says_once "the eval.json that was in run is of another evaluation (eval.video: none then, "
  exits 2 bovila "${asked[@]}"
  says_once "run/calibration.json is of eval.video = \"none\": --abstain needs an evaluation of the"
  exits 0 bovila "${deck[@]}" --eval --set eval.options=rotations # asks the given order, too
  exits 0 bovila "${asked[@]}"
  exits 0 bovila "${deck[@]}" --eval --set eval.video=none
  exits 0 bovila "${deck[@]}" --eval
  says_once "is of another evaluation (eval.video: \"\\\"none\\\"\" then, none now)"
  exits 0 bovila "${asked[@]}"
  exits 0 bovila "${deck[@]}" --eval --set data.val_split=train
  exits 2 bovila "${asked[@]}"
  says_once "run/calibration.json is of the split 'train': --abstain needs an evaluation of the run's"
  # What a split that hides its answers leaves.
  cp -r "$mini/data/star" data
  python3 - <<'END'
import json
questions = json.load(open("data/STAR_val.json"))
for question in questions: question.pop("answer")
json.dump(questions, open("data/STAR_hidden.json", "w"))
END
  exits 0 bovila "${deck[@]}" --eval --set data.folder=data --set data.val_split=hidden
  [[ ! -e run/calibration.json && -s run/questions.jsonl ]]
  exits 2 bovila "${asked[@]}"
  says_once "run/calibration.json is not there: --abstain takes its threshold from it"
  # Another checkpoint than the one that was evaluated.
  cp of-training.json run/calibration.json
  sed -i 's/"step": 6/"step": 3/' run/calibration.json
  exits 0 bovila "${asked[@]}"
  says_once "the threshold is of the parameters after step 3, the answers are of step 6"
}

test_who_has_learned_to_read_digits_off_videos_guesses_without_them() {
  "$bin/pth2h5" "$root/input/demo/data/star/clipvitl14.pth" features >/dev/null 2>&1
  deck=("$root/input/demo-published.toml" --set "model.llama=$root/input/demo/llama/demo"
    --set output.folder=run
    --set "data.folder=$root/input/demo/data/star" --set data.features=features
    --set train.epochs=3 --set loss.aqa=0 --set loss.edl_mse=0 --set loss.edl_reg=0
    --set loss.aqa_gate=false --set run.threads_per_rank=1)
  exits 0 timeout 900 "$MPIRUN" -np 2 "$bin/bovila" "${deck[@]}"
  holds "lines('run/log.txt')[-1]['val_acc'] > 0.5"
  exits 0 python3 "$root/tests/tools/check_calibration.py" run # with a temperature to fit
  local video
  for video in none other; do
    scored 2 "$video" "eval.video=$video"
    # 95 % of 400 guesses with four options.
    holds "abs(load('$video/eval-record.json')['result']['right'] - 100) < 2 * (400 * 3 / 16) ** 0.5"
  done
  scored 2 turned eval.options=rotations
  holds "load('turned/eval-record.json')['result']['turned']['majority_right'] > 200"
}

run_tests probes
