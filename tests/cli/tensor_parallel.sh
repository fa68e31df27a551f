#!/usr/bin/env bash
# run.tensor_parallel: ranks that hold the model together train, stop, go on, score and answer as one
# rank does, and what cannot be shared out is refused before anything is read.
. "$(dirname "$0")/helpers.bash"
export PYTHONPATH=$root/.deps/test-python # TensorBoard, from `make test-deps`

# together T [ARGUMENT...]: T ranks that hold the model together, and nobody else.
together() {
  local parts=$1
  shift
  if ((parts == 1)); then
    bovila "${deck[@]}" "$@"
  else
    ranks "$parts" "${deck[@]}" --set "run.tensor_parallel=$parts" "$@"
  fi
}

# alike ONE TWO: of two checkpoints the progress is the same but for sums of losses and for scores, which
# like the parameters agree to 1e-6 of the largest.
alike() {
  python3 - "$1" "$2" <<'END'
import array, json, subprocess, sys

def close(what, a, b):
    assert len(a) == len(b), what
    worst = max((abs(x - y) for x, y in zip(a, b)), default=0)
    assert worst <= 1e-6 * max([1] + [abs(x) for x in a]), (what, worst)

def numbers(folder, name):
    path = name if "/" in name else "parameters/" + name
    subprocess.run(["h5dump", "-d", path, "-b", "NATIVE", "-o", "numbers", folder + "/state.h5"],
                   check=True, stdout=subprocess.DEVNULL)
    return array.array("f", open("numbers", "rb").read())

one, two = sys.argv[1:]
a, b = (json.load(open(folder + "/progress.json")) for folder in (one, two))
close("loss_sums", a.pop("loss_sums"), b.pop("loss_sums"))
for x, y in zip(a["scores"], b["scores"], strict=True):
    close("scores", x.pop("loss"), y.pop("loss"))
    close("uncertainty", x.pop("uncertainty"), y.pop("uncertainty"))
assert json.dumps(a) == json.dumps(b), (a, b)
assert len(a["arrays"]) >= 13
for entry in a["arrays"]:
    close(entry["name"], numbers(one, entry["name"]), numbers(two, entry["name"]))
END
}

# from STEP PARTS: the run in out goes on with so many ranks from the checkpoint of this step.
from() {
  local folder
  for folder in out/checkpoints/step-*; do
    ((10#${folder##*-} <= $1)) || rm -r "$folder"
  done
  exits 0 together "$2" "${keep[@]}"
  says_once "going on from $PWD/out/checkpoints/step-$(printf %08d "$1")"
}
keep=(--set checkpoint.every_steps=3 --set checkpoint.keep=100 --set checkpoint.every_minutes=0)

test_a_run_goes_on_with_one_two_and_four_ranks_a_model_and_back() {
  inputs star
  exits 0 bovila "${deck[@]}" "${keep[@]}" --output alone
  exits 0 together 2 "${keep[@]}"
  says_once "each 2 ranks hold the model together: 0-1; of every layer the i-th of them has part i of 2"
  alike alone/checkpoints/step-00000012 out/checkpoints/step-00000012
  from 3 4
  says_once "changed since the checkpoint: run.tensor_parallel: 2 in the checkpoint, 4 now"
  alike alone/checkpoints/step-00000012 out/checkpoints/step-00000012
  from 6 1
  alike alone/checkpoints/step-00000012 out/checkpoints/step-00000012
  from 9 2
  alike alone/checkpoints/step-00000012 out/checkpoints/step-00000012
  holds "([(a['epoch'], a['val_acc']) for a in lines('alone/log.txt')] ==
    [(a['epoch'], a['val_acc']) for a in lines('out/log.txt')])"
}

test_two_groups_of_two_ranks_train_as_two_ranks_do() {
  inputs star
  exits 0 ranks 2 "${deck[@]}" --output alone
  exits 0 ranks 4 "${deck[@]}" --set run.tensor_parallel=2
  says_once "2 epochs of 3 steps of 8 questions"
  alike alone/checkpoints/step-00000006 out/checkpoints/step-00000006
  holds "[a['pre'] for a in load('alone/epoch1.json')] == [a['pre'] for a in load('out/epoch1.json')]"
}

test_recomputed_layers_small_forms_and_other_passes_are_shared_out_too() {
  inputs star
  more=(--set model.recompute_activations=true --set model.weights=int8 --set loss.qav=0.5
    --set eval.ask=true --set train.epochs=1 --set run.profile_steps=1)
  exits 0 bovila "${deck[@]}" "${more[@]}" --output alone
  exits 0 together 2 "${more[@]}"
  alike alone/checkpoints/step-00000006 out/checkpoints/step-00000006
  [[ -e out/profile-rank1.json ]]
  grep -q "group sum" out/profile-rank1.json
  holds "[a['asked'] for a in lines('alone/questions.jsonl')] == [a['asked'] for a in lines('out/questions.jsonl')]"
}

test_a_rank_that_rounds_otherwise_than_its_group_says_so_once() {
  local other
  inputs star
  other=("${deck[@]}" --set run.tensor_parallel=2 --output other)
  exits 0 together 2
  [[ $(grep -c "other last bits" said) == 0 ]]
  exits 0 "$MPIRUN" -np 1 "$bin/bovila" "${other[@]}" : \
    -np 1 env ATEN_CPU_CAPABILITY=default "$bin/bovila" "${other[@]}"
  says_once "its gradient has other last bits than that of the group's first rank, which is taken"
}

test_a_stopped_group_saves_and_goes_on_to_what_an_undisturbed_one_leaves() {
  inputs star
  python3 "$root/tests/cli/interrupt.py" stopped 3 "$MPIRUN" -np 2 "$bin/bovila" "${deck[@]}" \
    --set run.tensor_parallel=2 --set train.batch_size=2 --set train.accum_iter=4 --set eval.batch_size=1 \
    --set eval.ask=true
}

test_a_killed_group_goes_on_to_what_an_undisturbed_one_leaves() {
  inputs star
  python3 "$root/tests/cli/interrupt.py" killed 3 "$MPIRUN" -np 2 "$bin/bovila" "${deck[@]}" \
    --set run.tensor_parallel=2 --set checkpoint.every_steps=1 --set train.batch_size=2
}

test_a_trained_model_is_scored_and_asked_by_several_ranks() {
  inputs star
  exits 0 bovila "${deck[@]}"
  exits 0 bovila "${deck[@]}" --eval --output alone --resume out
  exits 0 together 2 --eval --output eval --resume out
  holds "([(a['vid'], a['pre']) for a in load('alone/eval.json')] ==
    [(a['vid'], a['pre']) for a in load('eval/eval.json')])"
  for i in 0 1 2; do
    printf '{"id": %d, "video": "S%d", "question": "What?", "options": ["The bag.", "The cup."]}\n' $i $i
  done >asked
  echo "no JSON" >>asked
  answers() { "$@" <asked 2>said || [[ $? == 2 ]]; }
  answers bovila answer "${deck[@]}" >alone.jsonl
  answers ranks 2 answer "${deck[@]}" --set run.tensor_parallel=2 >together.jsonl
  says_once "1 of the lines could not be answered"
  holds "len(lines('alone.jsonl')) == 4 == len(lines('together.jsonl'))"
  holds "all(a.get('answer') == b.get('answer') and a.get('error') == b.get('error')
    for a, b in zip(lines('alone.jsonl'), lines('together.jsonl')))"
  ranks 2 answer "${deck[@]}" --set run.tensor_parallel=2 --video S0 --question "What?" \
    --option "The bag." --option "The cup." >one.jsonl 2>said
  holds "lines('one.jsonl')[0]['answer'] == lines('alone.jsonl')[0]['answer']"
}

test_questions_come_one_by_one_however_long_it_takes() {
  inputs star
  exits 0 bovila "${deck[@]}" --set train.epochs=1 --set train.warmup_epochs=0
  question='{"video": "S0", "question": "What?", "options": ["The bag.", "The cup."]}'
  slow() { # the pause is longer than the ranks wait for each other
    ranks 2 answer "${deck[@]}" --set run.tensor_parallel=2 --set run.collective_timeout_s=4
  }
  { sleep 14 && echo "$question" && sleep 7 && echo "$question"; } | slow >answers 2>said
  holds "len(lines('answers')) == 2 and lines('answers')[0] == lines('answers')[1]"
}

test_as_many_processes_answer_as_hold_the_model() {
  inputs star
  exits 0 bovila "${deck[@]}" --set train.epochs=1 --set train.warmup_epochs=0
  exits 2 bovila answer "${deck[@]}" --set run.tensor_parallel=2
  says_once "\`bovila answer\` with run.tensor_parallel = 2 is 2 processes, 1 was started: put \`mpirun -np 2\` before it"
  exits 2 ranks 3 answer "${deck[@]}" --set run.tensor_parallel=2
  says_once "is 2 processes, 3 were started"
  exits 2 ranks 2 answer "${deck[@]}"
  says_once "\`bovila answer\` is one process, 2 were started: leave mpirun out"
}

test_what_cannot_be_shared_out_is_refused_before_anything_is_read() {
  inputs star
  deck+=(--set "data.folder=$PWD/empty")
  mkdir empty # without annotations
  exits 2 ranks 3 "${deck[@]}" --set run.tensor_parallel=2
  says_once "run.tensor_parallel is 2, and 3 ranks were started: expected a multiple of it"
  exits 2 bovila "${deck[@]}" --set run.tensor_parallel=2
  says_once "run.tensor_parallel is 2, and 1 rank was started"
  exits 2 ranks 3 "${deck[@]}" --set run.tensor_parallel=3
  says_once "run.tensor_parallel is 3, but this LLaMA has 4 heads, which cannot be shared out evenly"
  exits 2 ranks 2 "${deck[@]}" --set run.tensor_parallel=2 --set model.weights=nf4
  says_once "a part of a row has 24: use \"int8\" or fewer ranks a group"
  [[ ! -e out ]]
  exits 2 bovila "${deck[@]}" --set run.tensor_parallel=3 --check
  says_once "run.tensor_parallel is 3, but this LLaMA has 4 heads"
}

test_check_tells_what_a_rank_of_a_group_needs() {
  inputs star
  exits 0 bovila "${deck[@]}" --set run.tensor_parallel=4 --check
  says_once "with 1 group of 4 ranks: 2 epochs of 6 steps of 4 questions"
  says_once "memory, estimated: a node with 8 ranks on CPUs"
  exits 0 ranks 4 "${deck[@]}" --set run.tensor_parallel=2 --check
  says_once "with 2 groups of 2 ranks: 2 epochs of 3 steps of 8 questions"
}

run_tests tensor_parallel
