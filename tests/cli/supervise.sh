#!/usr/bin/env bash
# jobs/supervise.sh and real ranks: one that is killed or stops costs no second start by hand, and no
# byte. (Its rules for exit codes: tests/cli/jobs.sh. On a real Slurm: tests/slurm/jobs.sh.)
. "$(dirname "$0")/helpers.bash"
export BOVILA_PAUSE=1

# fails_once ACTION: a program whose rank 0 meets this at the ninth rename below the checkpoints of its
# first start; prints its path.
fails_once() {
  cat >program <<END
#!/usr/bin/env bash
[[ -n \${BOVILA_RESTARTED:-} ]] || export LD_PRELOAD=$bin/libfaults.so \\
  BOVILA_FAULTS_UNDER=$PWD/out/checkpoints BOVILA_FAULTS='rename 9 $1'
exec $bin/bovila "\$@"
END
  chmod +x program
  echo "$PWD/program"
}

supervised() { timeout 300 "$root/jobs/supervise.sh" "${deck[@]}" "$@" -- "$MPIRUN" -np 2; }

# ends_as_undisturbed: out/ is, byte for byte, what it would have been.
ends_as_undisturbed() {
  local name
  [[ -d calm ]] || ranks 2 "${deck[@]}" --output calm >/dev/null 2>&1
  for name in log.txt metrics.jsonl epoch1.json checkpoints/step-00000006/state.h5; do
    cmp "calm/$name" "out/$name"
  done
}

test_a_rank_that_is_killed_or_stops_is_started_again_and_costs_no_byte() {
  inputs star
  local action
  for action in kill-before hold; do
    BOVILA=$(fails_once $action) exits 0 supervised --set checkpoint.every_steps=1 \
      --set run.collective_timeout_s=6
    says_once "starting the ranks again in 1 s, from the newest checkpoint: step-0000000"
    says_once "going on from $PWD/out/checkpoints/step-0000000"
    ends_as_undisturbed
    rm -r out
  done
}

test_fresh_and_resume_count_for_the_first_start_alone() {
  inputs star
  exits 0 ranks 2 "${deck[@]}" --set train.epochs=1
  BOVILA=$(fails_once kill-before) exits 0 supervised --fresh --set checkpoint.every_steps=1
  says_once "--fresh: the old run of"
  says_once "this is a restart: --fresh and --resume counted for the first start"
  ends_as_undisturbed
}

# stops_by SIGNAL: sent to the script, it stops the run with its state saved, and is the end.
stops_by() {
  local i
  "$root/jobs/supervise.sh" "${deck[@]}" --set train.epochs=100000 -- "$MPIRUN" -np 2 >said 2>&1 &
  job=$!
  trap 'kill -TERM $job 2>/dev/null || true' EXIT
  for ((i = 0; i < 1200; ++i)); do
    (($(grep -cE "epoch [0-9]+ step [0-9]+ " said) > 2)) && break
    sleep 0.1
  done
  kill -"$1" "$job"
  local status=0
  wait "$job" || status=$?
  [[ $status == 75 ]] || { cat said && echo "exit code $status" && return 1; }
  says_once "stopped by SIGUSR1 at step"
  says_once "stopped before its end: start the same command again to go on"
}

test_a_signal_to_the_script_stops_the_run_with_its_state_saved() {
  inputs star
  stops_by TERM
  stops_by USR1
  says_once "going on from $PWD/out/checkpoints/step-"
}

test_a_wrong_deck_is_the_end() {
  inputs star
  exits 2 supervised --set train.epoch=1
  says_once "unknown key 'train.epoch'"
  says_once "bovila ended with exit code 2"
}

run_tests supervise
