#!/usr/bin/env bash
# Writes, syncs and renames that fail, or that a kill comes in between of: one after the other, each
# of the first ones of a start (what `make soak` does at random, for long).
. "$(dirname "$0")/helpers.bash"
export PYTHONPATH=$root/.deps/test-python # TensorBoard, from `make test-deps`

test_a_kill_or_an_error_at_each_write_sync_and_rename_leaves_no_trace() {
  inputs star
  python3 "$root/tests/soak/soak.py" points "$bin/libfaults.so" "$bin/bovila" "${deck[@]}" \
    --set checkpoint.every_steps=1 --set train.batch_size=12 --set train.epochs=10 \
    --set loss.aqa=0 --set run.threads_per_rank=1
}

test_a_full_disk_is_said_and_costs_nothing_when_there_is_room_again() {
  inputs star
  exits 0 bovila "${deck[@]}" --output calm
  exits 0 env LD_PRELOAD="$bin/libfaults.so" BOVILA_FAULTS_UNDER="$PWD/out/checkpoints" \
    BOVILA_FAULTS="write 2 full" "$bin/bovila" "${deck[@]}"
  says_once "CHECKPOINT NOT SAVED: step 6: "
  says "No space left on device"
  local name
  for name in log.txt metrics.jsonl epoch1.json checkpoints/step-00000012/state.h5; do
    cmp "calm/$name" "out/$name"
  done
}

# on_a_full_disk FROM COMMAND...: from the FROM-th write below out/checkpoints on there is no room.
on_a_full_disk() {
  local from=$1
  shift
  env LD_PRELOAD="$bin/libfaults.so" BOVILA_FAULTS_UNDER="$PWD/out/checkpoints" \
    BOVILA_FAULTS="write $from+ full" timeout 300 "$@"
}

test_a_run_whose_last_checkpoint_is_not_on_the_disk_says_so_and_fails_and_loses_nothing_in_the_end() {
  inputs star
  exits 0 bovila "${deck[@]}" --output calm
  local writes
  env LD_PRELOAD="$bin/libfaults.so" BOVILA_FAULTS_UNDER="$PWD/out/checkpoints" BOVILA_FAULTS="any 0 full" \
    BOVILA_FAULTS_LOG="$PWD/calls" "$bin/bovila" "${deck[@]}" --set train.epochs=1 >said 2>&1
  writes=$(grep -c ^write calls)
  rm -r out
  exits 1 on_a_full_disk $((writes + 1)) "$bin/bovila" "${deck[@]}"
  says_once "CHECKPOINT NOT SAVED: step 12: " # before the evaluation, while which the run goes on
  says_once "The run goes on"
  says_once "warning: NOT SAVED: step 12: "
  says_once "The last try is in 5 s"
  says_once "error: the run is trained. NOT ON THE DISK: the state after step 12, with which the run ends: "
  says "No space left on device. the newest whole checkpoint is $PWD/out/checkpoints/step-00000006. Make room"
  rm -r out
  exits 1 on_a_full_disk 1 "$bin/bovila" "${deck[@]}" --set train.epochs=1
  says "NOT ON THE DISK: the state after step 6" "$PWD/out/checkpoints has no whole checkpoint"
  exits 0 bovila "${deck[@]}"
  local name
  for name in log.txt metrics.jsonl epoch1.json checkpoints/step-00000012/state.h5; do
    cmp "calm/$name" "out/$name"
  done
}

test_a_last_try_after_a_pause_finds_room_that_was_made_meanwhile() {
  inputs star
  exits 0 bovila "${deck[@]}" --set train.epochs=1 --output calm
  exits 0 env LD_PRELOAD="$bin/libfaults.so" BOVILA_FAULTS_UNDER="$PWD/out/checkpoints" \
    BOVILA_FAULTS="write 1 full,write 2 full" "$bin/bovila" "${deck[@]}" --set train.epochs=1
  says_once "CHECKPOINT NOT SAVED: step 6: "
  says_once "The last try is in 5 s"
  says_once "checkpoint of step 6 saved"
  cmp calm/checkpoints/step-00000006/state.h5 out/checkpoints/step-00000006/state.h5
}

test_a_stop_on_a_full_disk_ends_with_1_and_says_what_is_lost_and_with_75_only_where_it_is_saved() {
  inputs star
  deck+=(--set train.epochs=100000 --set checkpoint.every_minutes=0 --set run.stop_before_limit_s=0)
  exits 1 on_a_full_disk 1 "$MPIRUN" -np 2 "$bin/bovila" "${deck[@]}" \
    --set run.time_limit_minutes=0.05
  says_once "error: stopped by its time limit. NOT ON THE DISK: the state after step "
  says "No space left on device. $PWD/out/checkpoints has no whole checkpoint. Make room, then"
  ! grep -q "run me again" said
  exits 75 ranks 2 "${deck[@]}" --set run.time_limit_minutes=0.05
  says_once "stopped by its time limit at step"
  local step=$(sed -n 's/.*time limit at step \([0-9]*\): .*/\1/p' said)
  [[ -e out/checkpoints/step-$(printf %08d "$step")/manifest.json ]]
}

run_tests faults
