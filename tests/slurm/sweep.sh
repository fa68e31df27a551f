#!/usr/bin/env bash
# tools/sweep --submit on a real Slurm of two virtual nodes (cluster.bash), with the real program on
# the tiny STAR of tests/golden/mini: an array whose tasks are preempted, stopped, cancelled; and with
# the digits' ablation, five variants and three seeds, beside points that were left alone.
# Uses $BUILD/bin. Prints "ok NAME" or what happened and "FAILED NAME"; exits 1 when one failed.
set -uo pipefail
source "$(dirname "$0")/helpers.bash"

# sweep_site: a site with a sweep of its deck, two variants with one seed each.
sweep_site() {
  site 4
  cat >sweep.toml <<'END'
output = "results"
decks = ["input/star.toml"]
[variants.answers]
loss.vaq = 0
loss.aqa = 0
[variants.full]
[slurm]
options = ["--gres=none", "--nodes=1", "--cpus-per-task=1", "--time=10"]
END
}
sweep() { "$root/tools/sweep" sweep.toml "$@"; }

# array VARIABLE=VALUE...: submits the sweep; sets `job`, and `log`, that of the variant full.
array() {
  exits 0 env "$@" "$root/tools/sweep" sweep.toml --submit
  says "job " ": 2 points, logs beside their folders in results"
  job=$(grep -oP '^job \K[0-9]+' said)
  point=$(sweep --list --only '*/full/*' | sed -n 1p)
  log=results/$point.log
}

# restarts TASK: how often it was requeued. states: of all tasks that are in the queue, in a line.
restarts() { scontrol --oneliner show job "${job}_$1" | grep -oP ' Restarts=\K[0-9]+'; }
states() { squeue --noheader --array --jobs="$job" --format=%T 2>/dev/null | sort | xargs; }
has_states() { [[ $(states) == "$1" ]]; }
has_restarts() { [[ $(restarts 0) == "$1" && $(restarts 1) == "$2" ]]; }

# Both tasks held still in their first start (SIGSTOP) when they rename the ninth file in their
# folder. Slurm sends CONT before TERM.
held_program() {
  stand_in "((\${SLURM_RESTART_COUNT:-0} > 0)) || export LD_PRELOAD=$bin/libfaults.so \
    BOVILA_FAULTS_UNDER=$PWD/results BOVILA_FAULTS='rename 9 hold'
exec $bin/bovila \"\$@\""
}
are_held() {
  local process number=0
  for process in $(pgrep -f "^$bin/bovila input/star.toml --output results/"); do
    grep -qzx "SLURM_CONF=$SLURM_CONF" "/proc/$process/environ" &&
      [[ $(ps -o stat= -p "$process") == T* ]] && number=$((number + 1))
  done
  ((number == 2))
}

process_of_task() {
  local process
  for process in $(pgrep -f "^$bin/bovila input/star.toml --output results/"); do
    grep -qzx "SLURM_CONF=$SLURM_CONF" "/proc/$process/environ" &&
      grep -qzx "SLURM_ARRAY_TASK_ID=$1" "/proc/$process/environ" && echo "$process"
  done
}

# all_done: the sweep's own word for it.
all_done() { sweep --status | tail -1 | grep -qx "2 done"; }

same_run() { # VARIANT KEY=VALUE...: a point is what the command leaves that is left alone
  local folder file newest settings=() key
  folder=$(compgen -G "results/star/$1/seed0-????????")
  for key in "${@:2}"; do settings+=(--set "$key"); done
  exits 0 bovila input/star.toml --output "alone-$1" "${settings[@]}"
  newest=$(ls "alone-$1/checkpoints" | tail -1)
  for file in "checkpoints/$newest/state.h5" log.txt metrics.jsonl epoch{0,1,2,3}.json; do
    cmp "alone-$1/$file" "$folder/$file"
  done
}

test_an_array_that_is_preempted_ends_as_if_nothing_had_been() {
  local high
  sweep_site
  array BOVILA="$(held_program)"
  wait_job 180 "both tasks to be held" are_held
  exits 0 sweep --status
  says "running  star/answers/seed0" "running  star/full/seed0" "job ${job}_1"
  exits 0 sweep --submit
  says_once "nothing to submit: each of 2 points is done, running or in the queue"
  high=$(sbatch --parsable --partition=high --nodes=2 --exclusive --output=/dev/null \
    --wrap='sleep 1')
  wait_job 120 "both tasks to be requeued" has_restarts 1 1
  wait_for 90 "the end of the preempting job $high" is_gone "$high"
  exits 0 sweep --status
  says "waiting  star/full/seed0" "job ${job}_1 is PENDING"
  exits 0 sweep --run # what Slurm has is not run here too
  says "star/full/seed0" "left to Slurm, job ${job}_1" "0 of 2 points done, 0 to run"
  sleep 2
  start_tasks
  wait_job 240 "the end of both points" all_done
  log_says "ended with exit code 75"
  log_says "going on from results/star/full/"
  same_run full
  same_run answers loss.vaq=0 loss.aqa=0
  exits 0 sweep --submit
  says "nothing to submit"
  exits 0 sweep --table
  says "| all | full | 1 |"
}

# As start_now does it for a job. A task may not have ended its old steps.
start_tasks() {
  local task
  wait_job 90 "the end of the old processes" no_processes
  for task in 0 1; do scontrol update JobId="${job}_$task" StartTime=now; done
}
no_processes() { ! pgrep -f "^$bin/bovila input/star.toml --output results/" >/dev/null; }

# digits: input/sweeps/demo.toml on 24 questions, 12 to score, two epochs of three steps, four tasks
# at once; sweep.toml, and left-alone.toml, which runs its points here.
digits() {
  local demo=$root/input/demo split
  site 2
  mkdir data
  "$bin/pth2h5" "$demo/data/star/clipvitl14.pth" features >/dev/null 2>&1
  for split in train:24 val:12; do
    python3 -c 'import json, sys
json.dump(json.load(open(sys.argv[1]))[:int(sys.argv[3])], open(sys.argv[2], "w"))' \
      "$demo/data/star/STAR_${split%:*}.json" "data/STAR_${split%:*}.json" "${split#*:}"
  done
  sed "s|^llama = .*|llama = \"$demo/llama/demo\"|; s|^folder = \"input/.*|folder = \"data\"|;
    s|^features = .*|features = \"features\"|; s/^batch_size = 4 /batch_size = 8 /" \
    "$root/input/demo-published.toml" >input/demo-published.toml
  sed 's|^output = .*|output = "results"|; s/^ranks = 2/ranks = 1/
    s/^train.epochs = .*/train.epochs = 2/' "$root/input/sweeps/demo.toml" >sweep.toml
  cat >>sweep.toml <<'END'
[slurm]
at_once = 4
options = ["--gres=none", "--nodes=1", "--cpus-per-task=1", "--time=10"]
END
  sed 's|^output = .*|output = "alone"|' sweep.toml >left-alone.toml
}
held_digits() {
  local process number=0
  for process in $(pgrep -f "^$bin/bovila input/demo-published.toml --output results/"); do
    [[ $(ps -o stat= -p "$process") == T* ]] && number=$((number + 1))
  done
  ((number == 4))
}
no_digits() { ! pgrep -f "^$bin/bovila input/demo-published.toml --output results/" >/dev/null; }
have_restarted() { # SUM: over all tasks
  scontrol --oneliner show job "$job" | grep -oP ' Restarts=\K[0-9]+' |
    awk -v wanted="$1" '{ sum += $1 } END { exit sum != wanted }'
}
# Tasks that were requeued wait two minutes by themselves.
fifteen_done() {
  local task
  for task in $(squeue --noheader --array --jobs="$job" --states=PENDING --format=%K); do
    scontrol update JobId="${job}_$task" StartTime=now 2>/dev/null || true
  done
  sweep --status | tail -1 | grep -qx "15 done"
}

test_the_digits_ablation_preempted_twice_is_the_bytes_of_points_left_alone() {
  local high number point name newest
  digits
  touch hold
  exits 0 env BOVILA="$(stand_in "[[ ! -e $PWD/hold ]] || ((\${SLURM_RESTART_COUNT:-0} > 0)) ||
  export LD_PRELOAD=$bin/libfaults.so BOVILA_FAULTS_UNDER=$PWD/results BOVILA_FAULTS='rename 7 hold'
exec $bin/bovila \"\$@\"")" "$root/tools/sweep" sweep.toml --submit
  says "job " ": 15 points, logs beside their folders in results"
  job=$(grep -oP '^job \K[0-9]+' said)
  log=results/$(sweep --list --only '*/answers/seed0*' | sed -n 1p).log
  for number in 4 8; do
    wait_job 180 "four tasks to be held" held_digits
    high=$(sbatch --parsable --partition=high --nodes=2 --exclusive --output=/dev/null \
      --wrap='sleep 1')
    wait_job 120 "four tasks to be requeued" have_restarted "$number"
    wait_for 90 "the end of the preempting job $high" is_gone "$high"
    wait_job 90 "the end of the old processes" no_digits
  done
  rm hold
  sleep 2
  wait_job 600 "the end of all points" fifteen_done
  exits 0 "$root/tools/sweep" left-alone.toml --run
  says "0 of 15 points done, 15 to run"
  for point in $(sweep --list | grep -v '^ '); do
    newest=$(ls "alone/$point/checkpoints" | tail -1)
    for name in log.txt metrics.jsonl epoch{0,1}.json questions.jsonl calibration.json \
      "checkpoints/$newest/state.h5"; do
      cmp "alone/$point/$name" "results/$point/$name"
    done
  done
  cmp <("$root/tools/sweep" left-alone.toml --table csv) <(sweep --table csv)
}

# The last task has the whole array's number: the others stay as they are.
test_a_task_that_is_stopped_is_requeued_alone() {
  sweep_site
  array BOVILA="$(held_program)"
  wait_job 180 "both tasks to be held" are_held
  scancel --signal=USR2 "${job}_1"
  kill -CONT "$(process_of_task 1)"
  wait_job 120 "the requeued task" has_restarts 0 1
  log_says "job ${job}_1 was stopped before its end and is put back into the queue"
  wait_job 60 "one task in the queue, one running" has_states "PENDING RUNNING"
  scancel "$job"
  wait_job 120 "the end of the array" is_gone "$job"
  exits 0 sweep --status
  says "2 waiting"
}

test_one_at_once_and_what_fails_says_so() {
  sweep_site
  sed -i 's/^\[variants.answers\]/&\nloss.vak = 1/; s/^options/at_once = 1\n&/' sweep.toml
  array BOVILA="$bin/bovila"
  wait_for 60 "a task of the array" grep -q . <<<"$(states)"
  [[ $(scontrol --oneliner show job "$job" | grep -c "ArrayTaskThrottle=1") -ge 1 ]]
  wait_job 240 "the end of the array" is_gone "$job"
  exits 0 sweep --status
  says "failed   star/answers/seed0" "exit code 2: " "unknown key 'loss.vak'" "1 done, 1 failed"
  mkdir path
  ln -s "$(python3 -c 'import sys; print(sys.executable)')" path/python3
  exits 2 env "PATH=$PWD/path" "$root/tools/sweep" sweep.toml --submit
  says_once "error: sbatch is not on the PATH: --submit needs Slurm, --run runs the points here"
  sed -i 's/^options.*/options = ["--partition=nowhere"]/' sweep.toml
  exits 2 sweep --submit
  says "error: sbatch refused the job: sbatch: error: " "partition"
}

start_cluster "$work/cluster" || exit 1
run_tests slurm
