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

run_tests faults
