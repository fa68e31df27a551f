#!/usr/bin/env bash
# Runs that are stopped, killed and resumed, as typed: what they leave is what an undisturbed run
# leaves. What a start does with an old run's files, and which checkpoints are refused.
. "$(dirname "$0")/helpers.bash"
export PYTHONPATH=$root/.deps/test-python # TensorBoard, from `make test-deps`

# same ONE TWO: two output folders hold the same results and the same newest checkpoint.
same() {
  local name newest
  for name in log.txt metrics.jsonl epoch0.json epoch1.json; do cmp "$1/$name" "$2/$name"; done
  newest=$(ls "$1/checkpoints" | grep -E '^step-[0-9]+$' | tail -1)
  cmp "$1/checkpoints/$newest/state.h5" "$2/checkpoints/$newest/state.h5"
}

# start COMMAND...: in the background, what it says in `said`; its process id in `job`.
start() {
  rm -f said # the text of an earlier one
  "$@" >said 2>&1 </dev/null &
  job=$!
  trap 'kill -TERM $job 2>/dev/null || true' EXIT # when the test fails: the run would not end
}
# wait_for TEXT: until it stands in `said`.
wait_for() {
  local i
  for ((i = 0; i < 3000; ++i)); do
    grep -qsF -- "$1" said && return
    sleep 0.02
  done
  cat said
  echo "waited in vain for: $1"
  return 1
}
# ends STATUS: the job does, within a minute.
ends() {
  local status=0
  timeout 60 tail --pid="$job" -f /dev/null
  wait "$job" || status=$?
  [[ $status == "$1" ]] && return
  cat said
  echo "expected exit code $1, got $status"
  return 1
}
long=(--set train.epochs=100000 --set checkpoint.every_minutes=0)

test_25_random_kills_inside_and_outside_of_writes_leave_no_trace() {
  inputs star
  python3 "$root/tests/cli/interrupt.py" killed 25 "$MPIRUN" -np 2 "$bin/bovila" "${deck[@]}" \
    --set checkpoint.every_steps=1 --set train.batch_size=2
}

test_random_stops_within_accumulations_and_evaluations_leave_no_trace() {
  inputs star
  python3 "$root/tests/cli/interrupt.py" stopped 3 "$MPIRUN" -np 2 "$bin/bovila" "${deck[@]}" \
    --set train.batch_size=2 --set train.accum_iter=4 --set eval.batch_size=1 --set eval.ask=true
}

test_a_signal_to_one_rank_stops_all_with_exit_code_75_and_the_same_command_goes_on() {
  inputs star
  start "$MPIRUN" -np 3 "$bin/bovila" "${deck[@]}" "${long[@]}"
  wait_for "epoch 2 done"
  kill -USR1 "$(rank_pids | tail -1)"
  ends 75
  says_once "stopped by SIGUSR1 at step"
  says_once "stopped by SIGUSR1: exit code 75, run me again"
  exits 0 ranks 3 "${deck[@]}" --set train.epochs=2 --eval
}

test_mpirun_passes_a_signal_on_to_all_ranks() {
  inputs star
  start "$MPIRUN" -np 3 "$bin/bovila" "${deck[@]}" "${long[@]}"
  wait_for "epoch 1 step 2"
  kill -USR1 "$job" # USR2 would end MPICH's mpirun and be lost
  ends 75           # which loses the exit code of one rank or two after a signal
  says_once "stopped by SIGUSR1 at step"
}

test_a_signal_while_loading_ends_with_exit_code_75_and_no_checkpoint() {
  inputs star
  cp -r "$mini/data/star" data
  rm data/STAR_train.json
  mkfifo data/STAR_train.json # loading waits here until it is written
  exec 9<>data/STAR_train.json
  start "$bin/bovila" "${deck[@]}" "${long[@]}" --set data.folder=data 9>&-
  wait_for "all settings are in its config.json"
  kill -TERM "$job"
  cat "$mini/data/star/STAR_train.json" >&9
  exec 9>&-
  ends 75
  says_once "stopped by SIGTERM: exit code 75, run me again"
  ! grep "at step" said
  [[ ! -e out/checkpoints ]]
}

test_a_signal_that_the_deck_does_not_name_kills_as_ever() {
  inputs star
  start "$bin/bovila" "${deck[@]}" "${long[@]}" --set 'run.stop_signals=["USR2"]'
  wait_for "epoch 1 step 2"
  kill -USR1 "$job"
  ends 138
}

test_a_signal_that_comes_while_libraries_load_counts() {
  inputs star
  local name
  for name in USR1 USR2 TERM HUP; do
    exits 75 env LD_PRELOAD="$bin/libfaults.so" BOVILA_SIGNAL_WHILE_LOADING="$(kill -l $name)" \
      "$bin/bovila" "${deck[@]}"
    says_once "stopped by SIG$name: exit code 75, run me again"
  done
}

test_a_terminal_that_is_closed_stops_a_run_with_its_state_saved_and_nohup_keeps_it_going() {
  inputs star
  python3 - "$bin/bovila" "${deck[@]}" "${long[@]}" <<'END'
import os, pty, signal, sys
pid, terminal = pty.fork()
if pid == 0:
    signal.alarm(60)  # outlives exec
    os.execv(sys.argv[1], sys.argv[1:])
seen = b""
while b"questions/s" not in seen:
    seen += os.read(terminal, 4096)
os.close(terminal)
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
assert code == 75, code
END
  [[ -n $(ls out/checkpoints) && ! -e out/run.lock ]]
  start nohup "$bin/bovila" "${deck[@]}" "${long[@]}"
  wait_for "epoch 1 step"
  kill -HUP "$job"
  sleep 1
  kill -USR1 "$job"
  ends 75
  says_once "stopped by SIGUSR1 at step"
}

test_a_reader_of_messages_that_goes_away_does_not_end_a_run() {
  inputs star
  "$bin/bovila" "${deck[@]}" --set train.epochs=1 2> >(head -c 1 >/dev/null)
  [[ -e out/checkpoints/step-00000006/manifest.json ]]
}

test_bovila_stop_ends_the_run_of_a_folder_with_its_state_saved_and_no_other() {
  inputs star
  "$bin/bovila" "${deck[@]}" "${long[@]}" --output other >other-said 2>&1 </dev/null &
  other=$!
  local status=0
  start "$MPIRUN" -np 2 "$bin/bovila" "${deck[@]}" "${long[@]}"
  trap 'kill -TERM $job $other 2>/dev/null || true' EXIT
  wait_for "epoch 1 step 2"
  timeout 60 "$bin/bovila" stop out >stop-said 2>&1
  ends 75
  says_once "stopped by \`bovila stop\` at step"
  grep -q "on $(hostname) was asked to save its state and end; waiting for that" stop-said
  local step=$(sed -n 's/.*bovila stop. at step \([0-9]*\): .*/\1/p' said)
  grep -qF "the run in out has ended; its newest checkpoint is that of step $step" stop-said
  [[ -e out/checkpoints/step-$(printf %08d "$step")/manifest.json && ! -e out/run.lock ]]
  kill -0 $other
  exits 2 bovila stop out
  says_once "no run trains in out: expected the output folder of one, with a file run.lock"
  exits 0 bovila stop other/
  wait $other || status=$?
  [[ $status == 75 ]]
  exits 2 bovila stop
  says "FOLDER is required"
  exits 2 bovila stop ""
}

test_bovila_stop_says_when_nobody_answers() {
  inputs star
  start "$bin/bovila" "${deck[@]}" "${long[@]}"
  wait_for "epoch 1 step 2"
  kill -KILL "$job"
  ends 137
  exits 2 bovila stop out
  says_once "process $job on $(hostname) does not answer: its out/run.lock has shown no sign of life"
  exits 0 bovila "${deck[@]}" # nobody's request is this run's
}

test_rows_are_seen_before_the_first_checkpoint_and_dropped_when_it_never_comes() {
  inputs star
  exits 0 bovila "${deck[@]}" --output calm
  # Before its second write to metrics.jsonl the run holds.
  start env LD_PRELOAD="$bin/libfaults.so" BOVILA_FAULTS_UNDER="$PWD/out/metrics.jsonl" \
    BOVILA_FAULTS="write 2 hold" "$bin/bovila" "${deck[@]}"
  local i
  for ((i = 0; i < 600; ++i)); do
    grep -qs "^State:.*stopped" "/proc/$job/status" && break
    sleep 0.1
  done
  [[ ! -e out/checkpoints ]]
  cmp out/metrics.jsonl <(head -1 calm/metrics.jsonl)
  holds "[r['step'] for r in lines('out/timing.jsonl')] == [1]"
  python3 - <<'END'
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator("out").Reload()
assert [event.step for event in events.Scalars("train/loss")] == [1]
END
  kill -KILL "$job"
  ends 137
  exits 0 bovila "${deck[@]}"
  same out calm
}

test_half_the_batch_and_twice_the_micro_batches_go_on_with_the_same_steps() {
  inputs star
  deck+=(--set loss.tokens_at_once=0)
  exits 0 bovila "${deck[@]}" --set train.batch_size=8 --output whole \
    --set checkpoint.every_steps=1 --set checkpoint.keep=9
  local half=("${deck[@]}" --set train.batch_size=4 --set train.accum_iter=2
    --resume whole/checkpoints/step-00000002)
  exits 2 bovila "${half[@]}" --output half
  says_once "  train.batch_size: 8 in the checkpoint, 4 now"
  says_once "with loss.aqa_gate a micro-batch adds up their AQA losses: the same steps have loss.aqa = 0.5"
  exits 0 bovila "${half[@]}" --set loss.aqa=0.5 --output half
  says_once "changed since the checkpoint: train.batch_size: 8 in the checkpoint, 4 now"
  says_once "changed since the checkpoint: train.accum_iter: 1 in the checkpoint, 2 now"
  says_once "changed since the checkpoint: loss.aqa: 0.25 in the checkpoint, 0.5 now"
  holds "([(r['step'], r['questions'], r['lr']) for r in lines('half/metrics.jsonl')]
      == [(r['step'], r['questions'], r['lr']) for r in lines('whole/metrics.jsonl')[2:]])"
  # A micro-batch is a mean over its labels' tokens, so that questions with few weigh a little more.
  holds "all(abs(a[k] - b[k]) <= 0.01 * abs(a[k])
      for a, b in zip(lines('whole/metrics.jsonl')[2:], lines('half/metrics.jsonl'), strict=True)
      for k in a if k.startswith('loss') or k == 'gradient_norm')"
  exits 2 bovila "${half[@]}" --set train.accum_iter=3 --set loss.aqa=0.5 --output third
  says_once "this checkpoint is of another run:"
}

test_the_interrupt_key_stops_a_run_on_a_terminal_and_a_second_one_ends_it_at_once() {
  inputs star
  # A large batch: the second key has to come before the micro-batch of the first one ends.
  python3 - "$bin/bovila" "${deck[@]}" "${long[@]}" --set train.batch_size=24 <<'END'
import os, pty, signal, sys, time
def catches_the_key(pid):
    with open(f"/proc/{pid}/status") as status:
        caught = next(line.split()[1] for line in status if line.startswith("SigCgt:"))
    return int(caught, 16) >> (signal.SIGINT - 1) & 1
def run(keys):
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore it
        signal.alarm(60)  # outlives exec
        os.execv(sys.argv[1], sys.argv[1:])
    seen = b""
    while b"questions/s" not in seen:
        seen += os.read(terminal, 4096)
    os.write(terminal, b"\x03")
    try:
        if keys == 2:
            while catches_the_key(pid):  # two that are pending together are one
                time.sleep(0.001)
            os.write(terminal, b"\x03")
        while data := os.read(terminal, 4096):
            seen += data
    except OSError:
        pass
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen
code, seen = run(1)
assert code == 75 and b"stopped by SIGINT at step" in seen, (code, seen[-500:])
for attempt in range(10):  # on a busy machine the second key may come when all is saved
    code, seen = run(2)
    if code != 75:
        break
assert code == -2, (code, seen[-500:])
END
}

test_a_run_stops_itself_in_time_for_the_end_of_its_slurm_job() {
  inputs star
  local start=$SECONDS
  exits 75 env SLURM_JOB_END_TIME=$(($(date +%s) + 24)) "$bin/bovila" "${deck[@]}" "${long[@]}" \
    --set run.stop_before_limit_s=12
  ((SECONDS - start < 24))
  says_once "stopped by its time limit at step"
}

test_a_run_stops_itself_in_time_for_the_limit_of_its_deck() {
  inputs star
  exits 75 ranks 2 "${deck[@]}" "${long[@]}" --set run.time_limit_minutes=0.2 \
    --set run.stop_before_limit_s=2
  says_once "stopped by its time limit at step"
}

test_checkpoints_by_steps_are_kept_as_the_deck_says() {
  inputs star
  exits 0 bovila "${deck[@]}" --set checkpoint.every_steps=2 --set checkpoint.keep=3
  says "checkpoint of step 2 saved" "checkpoint of step 10 saved"
  local best=$(python3 -c "import json; r = [json.loads(l)['val_acc'] for l in open('out/log.txt')]
print(6 * (1 + r.index(max(r))))")
  [[ $(ls out/checkpoints) == "$(printf 'step-%08d\n' $best 8 10 12 | sort -u)" ]]
}

test_checkpoints_that_a_kill_kept_from_being_deleted_go_at_the_next_start() {
  inputs star
  exits 0 bovila "${deck[@]}" --set checkpoint.every_steps=2 --set checkpoint.keep=9
  local best=$(python3 -c "import json
print(json.load(open('out/checkpoints/step-00000012/progress.json'))['best_step'])")
  exits 0 bovila "${deck[@]}"
  says_once "this run is complete, all 2 epochs"
  [[ $(ls out/checkpoints) == "$(printf 'step-%08d\n' $best 10 12 | sort -u)" ]]
}

test_a_run_that_is_complete_is_left_alone_and_more_epochs_go_on() {
  inputs star
  exits 0 bovila "${deck[@]}"
  cp -r out before
  exits 0 bovila "${deck[@]}"
  says_once "this run is complete, all 2 epochs"
  same out before
  exits 0 ranks 2 "${deck[@]}" --set train.epochs=3
  says_once "changed since the checkpoint: train.epochs: 2 in the checkpoint, 3 now"
  says_once "changed since the checkpoint: number of ranks: 1 in the checkpoint, 2 now"
  holds "[r['epoch'] for r in lines('out/log.txt')] == [0, 1, 2]"
}

test_another_number_of_ranks_takes_the_same_steps_to_rounding() {
  inputs star
  deck+=(--set train.batch_size=2)
  exits 0 ranks 2 "${deck[@]}" --set train.accum_iter=2 --output two \
    --set checkpoint.every_steps=1 --set checkpoint.keep=9
  exits 0 bovila "${deck[@]}" --set train.accum_iter=4 --output one \
    --resume two/checkpoints/step-00000002
  says_once "train.accum_iter: 2 in the checkpoint, 4 now"
  says_once "number of ranks: 2 in the checkpoint, 1 now"
  holds "[r['step'] for r in lines('one/metrics.jsonl')] == [3, 4, 5, 6]"
  holds "all(abs(a[k] - b[k]) <= 1e-4 * max(abs(a[k]), 1e-3)
             for a, b in zip(lines('two/metrics.jsonl')[2:], lines('one/metrics.jsonl')) for k in a)"
}

# close ONE TWO: the rows of two metrics.jsonl are the same to rounding, the later ones of the longer.
close() {
  holds "(lambda a, b: all(abs(x[k] - y[k]) <= 1e-4 * max(abs(x[k]), 1e-3)
      for x, y in zip(a[-len(b):], b, strict=True) for k in x))(lines('$1'), lines('$2'))"
}

test_questions_per_step_go_on_with_any_number_of_ranks_and_the_same_steps() {
  inputs star
  deck+=(--set train.batch_size=2 --set train.questions_per_step=10) # 5 micro-batches; 24 = 10 + 10 + 4
  exits 0 bovila "${deck[@]}" --output alone
  says_once "2 epochs of 3 steps of 10 questions, the learning rate rises to 0.01"
  says_once "a step is 10 questions: 5 micro-batches of 2 on 1 rank, 5 each"
  exits 0 ranks 3 "${deck[@]}" --output three --set checkpoint.every_steps=1 --set checkpoint.keep=9
  says_once "a step is 10 questions: 5 micro-batches of 2 on 3 ranks, 1 or 2 each"
  close alone/metrics.jsonl three/metrics.jsonl
  exits 0 ranks 2 "${deck[@]}" --output two --resume three/checkpoints/step-00000002
  says_once "changed since the checkpoint: number of ranks: 3 in the checkpoint, 2 now"
  holds "[r['step'] for r in lines('two/metrics.jsonl')] == [3, 4, 5, 6]"
  close alone/metrics.jsonl two/metrics.jsonl
}

test_questions_per_step_are_the_bits_of_accum_iter_where_the_ranks_share_evenly() {
  inputs star
  deck+=(--set train.batch_size=2)
  exits 0 ranks 2 "${deck[@]}" --set train.accum_iter=2 --output accumulated
  exits 0 ranks 2 "${deck[@]}" --set train.questions_per_step=8 --output shared
  cmp accumulated/metrics.jsonl shared/metrics.jsonl
  cmp accumulated/epoch1.json shared/epoch1.json
}

test_another_number_of_ranks_uses_each_question_once_an_epoch() {
  inputs star
  exits 0 ranks 3 "${deck[@]}" --set train.batch_size=2 --output three \
    --set checkpoint.every_steps=1 --set checkpoint.keep=9
  exits 0 bovila "${deck[@]}" --set train.batch_size=2 --output one \
    --resume three/checkpoints/step-00000003
  holds "sum(r['questions'] for r in lines('one/metrics.jsonl') if r['epoch'] == 0) == 24 - 18"
  holds "sum(r['questions'] for r in lines('one/metrics.jsonl') if r['epoch'] == 1) == 24"
}

test_invalid_checkpoints_are_named_with_their_reasons_and_the_one_before_them_is_taken() {
  local saved=$PWD/out/checkpoints step
  local passed="a checkpoint is passed over: $saved"
  inputs star
  exits 0 bovila "${deck[@]}" --output whole
  exits 0 bovila "${deck[@]}" --set checkpoint.every_steps=2 --set checkpoint.keep=9
  truncate -s -1 "$saved/step-00000012/state.h5"
  printf 'x' | dd of="$saved/step-00000010/state.h5" bs=1 seek=5000 conv=notrunc status=none
  sed -i 's/"format_version": [0-9]*/"format_version": 99/' "$saved/step-00000008/manifest.json"
  rm "$saved/step-00000006/manifest.json"
  exits 0 bovila "${deck[@]}"
  says_once "$passed/step-00000012/state.h5: expected"
  says_once "$passed/step-00000010/state.h5: its SHA-256 is not the manifest's: it was changed"
  says_once "$passed/step-00000008/manifest.json: expected format version 2 to 4, got 99: it was"
  says_once "$passed/step-00000006/manifest.json: is missing"
  says_once "going on from $saved/step-00000004"
  for step in 06 08 10 12; do
    says_once "was in the way: it is $saved/step-000000$step.aside-1 now"
  done
  same out whole
}

test_when_no_checkpoint_is_valid_the_run_is_refused() {
  inputs star
  exits 0 bovila "${deck[@]}"
  rm out/checkpoints/*/manifest.json
  exits 2 ranks 2 "${deck[@]}"
  says_once "none of its checkpoints is valid, so there is nothing to go on from"
}

test_a_deck_of_another_run_is_refused_with_every_difference() {
  inputs star
  exits 0 bovila "${deck[@]}"
  exits 2 ranks 2 "${deck[@]}" --set train.seed=1 --set model.max_feats=5 --set loss.vaq=0.25 \
    --set train.epochs=5
  says_once "this checkpoint is of another run:"
  says_once "  train.seed: 0 in the checkpoint, 1 now"
  says_once "  model.max_feats: 6 in the checkpoint, 5 now"
  says_once "  loss.vaq: 0.5 in the checkpoint, 0.25 now"
  says "start over with --fresh"
  ! grep -q "  train.epochs: " said
}

test_a_run_that_is_refused_or_complete_leaves_the_settings_of_the_run_that_is_there() {
  inputs star
  exits 0 bovila "${deck[@]}" --set train.epochs=1
  cp -r out before
  exits 2 ranks 2 "${deck[@]}" --set train.seed=1
  says_once "this checkpoint is of another run:"
  diff -r before out
  exits 0 bovila "${deck[@]}" --set train.epochs=1 --set output.log_every_steps=7
  says_once "this run is complete"
  diff -r before out
  exits 0 bovila "${deck[@]}"
  holds "load('out/config.json')['train']['epochs'] == 2"
  cp "$mini/llama/mini/params.json" before/config.json
  cp -r before model
  exits 2 bovila "${deck[@]}" --output model
  says_once "output.folder model has a config.json that no run wrote: choose another folder"
  exits 2 bovila "${deck[@]}" --output model --eval
  diff -r before model
}

test_changed_annotations_are_another_run_wherever_they_lie() {
  inputs star
  exits 0 bovila "${deck[@]}"
  cp -r "$mini/data/star" moved
  exits 0 bovila "${deck[@]}" --set data.folder=moved
  sed -i 's/what did the boy do/which did the boy do/' moved/STAR_train.json
  exits 2 bovila "${deck[@]}" --set data.folder=moved
  says "data.train_split (contents): 24 questions, SHA-256 "
}

test_fresh_moves_the_old_run_aside_and_says_so() {
  inputs star
  exits 0 bovila "${deck[@]}"
  cp -r out before
  exits 0 bovila "${deck[@]}" --fresh --set train.seed=1
  says_once "--fresh: the old run of"
  same out/previous-1 before
  holds "[r['epoch'] for r in lines('out/log.txt')] == [0, 1]"
  exits 2 bovila "${deck[@]}" --fresh --resume before
  exits 2 bovila "${deck[@]}" --resume out/previous-1
  says "holds checkpoints already, and --resume names another run's"
  exits 2 bovila "${deck[@]}" --resume before
  says "holds checkpoints already, and --resume names another run's"
}

test_results_whose_checkpoints_are_gone_are_moved_aside_and_not_overwritten() {
  inputs star
  exits 0 bovila "${deck[@]}" --set train.epochs=1
  cp out/log.txt before
  rm -r out/checkpoints
  exits 0 bovila "${deck[@]}" --set train.epochs=1
  says_once "no checkpoint to go on from: they are in $PWD/out/previous-1 now"
  cmp before out/previous-1/log.txt
  cmp before out/log.txt
}

test_a_job_that_slurm_restarts_goes_on_though_fresh_was_typed() {
  inputs star
  exits 0 bovila "${deck[@]}"
  exits 0 env SLURM_RESTART_COUNT=1 "$bin/bovila" "${deck[@]}" --fresh
  says_once "this is a restart: --fresh and --resume counted for the first start"
  [[ ! -e out/previous-1 ]]
}

test_resume_never_refuses_a_folder_with_checkpoints() {
  inputs star
  deck+=(--set checkpoint.resume=never)
  exits 0 bovila "${deck[@]}"
  exits 2 ranks 2 "${deck[@]}"
  says_once "checkpoint.resume is \"never\": choose another output.folder"
}

test_a_checkpoint_folder_that_cannot_be_written_is_a_warning_and_training_goes_on_to_its_end() {
  inputs star
  mkdir out
  ln -s /proc out/checkpoints
  exits 1 bovila "${deck[@]}"
  says "CHECKPOINT NOT SAVED: step 6" "CHECKPOINT NOT SAVED: step 12"
  says_once "error: the run is trained. NOT ON THE DISK: the state after step 12"
  holds "[r['epoch'] for r in lines('out/log.txt')] == [0, 1]"
}

test_results_that_cannot_be_written_are_kept_and_said() {
  inputs star
  mkdir -p out/epoch0.json/in-the-way
  exits 1 bovila "${deck[@]}"
  says "RESULTS NOT WRITTEN: " "Is a directory"
  says_once "error: the run is trained. NOT ON THE DISK: the state after step 12"
  holds "[r['step'] for r in lines('out/metrics.jsonl')] == list(range(1, 13))"
  rmdir out/epoch0.json/in-the-way out/epoch0.json
  exits 0 bovila "${deck[@]}"
  holds "[r['epoch'] for r in lines('out/log.txt')] == [0, 1]"
}

run_tests resume
