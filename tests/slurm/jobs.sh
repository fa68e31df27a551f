#!/usr/bin/env bash
# jobs/star.slurm on a real Slurm of two virtual nodes (cluster.bash), with the real program on the
# tiny STAR of tests/golden/mini: preempted twice, at its time limit, cancelled, failing, stuck.
# Uses $BUILD/bin. Prints "ok NAME" or what happened and "FAILED NAME"; exits 1 when one failed.
set -uo pipefail
source "$(dirname "$0")/helpers.bash"

readonly endless=1000000 # epochs of some 0.1 s

test_preempted_twice_it_ends_as_if_nothing_had_been() {
  site 16
  submit jobs/star.slurm --output output/undisturbed
  ends COMPLETED 0:0
  BOVILA=$(held_program) submit jobs/star.slurm
  preempt 1
  preempt 2
  ends COMPLETED 0:0
  is Restarts 2
  [[ $(grep -c "ended with exit code 75" "$log") == 2 && $(grep -c "going on from" "$log") == 2 ]]
  same_results output/undisturbed output/star
}

test_before_its_time_limit_a_job_saves_and_is_requeued() {
  local restart
  site "$endless"
  # Slurm looks every 30 s: it sends the signal 15 to 45 s after the start, when all is loaded, unless
  # the machine is very busy: then there is nothing to save, and the job gets as long again. The run
  # itself, which knows the limit, would not stop before.
  submit --time=1 --signal=USR2@15 jobs/star.slurm --set run.stop_before_limit_s=0
  for restart in 1 2 3; do
    wait_job 150 "the requeued job" is_requeued $restart
    has_checkpoint && break
    start_now
  done
  log_says "stopped by SIGUSR2.*exit code 75"
  log_says "job $job was stopped before its end and is put back into the queue"
  has_checkpoint
  scancel "$job"
}

test_a_job_comes_back_when_a_node_fails() {
  site "$endless"
  submit jobs/star.slurm
  wait_job 120 "a first epoch" logged "epoch 2 step"
  scontrol update NodeName=n2 State=DOWN Reason=test
  wait_job 90 "the requeued job" is_requeued 1
  scontrol update NodeName=n2 State=RESUME || true # unless it came back by itself
  wait_for 90 "two idle nodes" both_idle
  start_now
  wait_job 120 "going on" logged "going on from output/star/checkpoints/step-"
  scancel "$job"
}

test_a_cancelled_job_saves_and_does_not_come_back() {
  site "$endless"
  submit jobs/star.slurm
  wait_job 120 "a first step" logged "epoch 1 step 1"
  scancel "$job"
  ends CANCELLED 75:0
  log_says "job $job is not put back into the queue"
  has_checkpoint
  sleep 3
  is JobState CANCELLED
  is Restarts 0
}

test_a_wrong_deck_ends_the_job_with_exit_code_2() {
  site 1
  submit jobs/star.slurm --set train.epoch=1
  ends FAILED 2:0
  log_says "unknown key 'train.epoch'"
  is Restarts 0
}

# heals FOLDER: the job, one of whose ranks is gone, starts its ranks again and ends as if nothing had
# been, in the same allocation.
heals() {
  ends COMPLETED 0:0
  is Restarts 0
  log_says "starting the ranks again in 1 s, from the newest checkpoint: step-"
  [[ $(grep -c "going on from $1" "$log") == 1 ]]
  same_results output/undisturbed "$1"
}

test_a_rank_that_is_killed_or_stops_is_started_again_in_the_same_job() {
  export BOVILA_PAUSE=1 SRUN_ARGS=--wait=2
  site 16
  submit jobs/star.slurm --output output/undisturbed
  ends COMPLETED 0:0
  BOVILA=$(held_program output/killed) submit jobs/star.slurm --output output/killed
  wait_job 120 "rank 0 to be held" is_held
  kill -KILL "$(process_of_rank 1)"
  heals output/killed
  BOVILA=$(held_program output/stopped) submit jobs/star.slurm --output output/stopped \
    --set run.collective_timeout_s=5
  heals output/stopped
}

# held_twice FOLDER: the program, held still when it renames the ninth file after each of its first two
# starts.
held_twice() {
  stand_in "echo >>$PWD/starts-\$SLURM_PROCID
  ((\$(wc -l <$PWD/starts-\$SLURM_PROCID) > 2)) || export LD_PRELOAD=$bin/libfaults.so \
    BOVILA_FAULTS='rename 9 hold' BOVILA_FAULTS_UNDER=$PWD/$1/checkpoints
exec $bin/bovila \"\$@\""
}
started() { [[ $(wc -l <starts-1) == "$1" ]]; }

# same_steps FOLDER FOLDER: to rounding, which another number of ranks brings with it.
same_steps() {
  holds "(lambda a, b: a == b)(*([[r[k] for k in ('step', 'questions', 'lr')] for r in
    lines(name + '/metrics.jsonl')] for name in ('$1', '$2')))"
  holds "all(abs(a['loss'] - b['loss']) <= 1e-3 * a['loss'] for a, b in
    zip(lines('$1/metrics.jsonl'), lines('$2/metrics.jsonl')))"
}

test_a_host_where_ranks_failed_twice_is_left_out_and_the_steps_stay() {
  export BOVILA_PAUSE=1 SRUN_ARGS=--wait=2
  local start any=(--set train.questions_per_step=8 --set checkpoint.every_steps=1)
  site 4
  submit jobs/star.slurm "${any[@]}" --output output/undisturbed
  ends COMPLETED 0:0
  BOVILA=$(held_twice output/healed) submit jobs/star.slurm "${any[@]}" --output output/healed
  for start in 1 2; do
    wait_job 120 "start $start" started $start
    wait_job 120 "rank 0 to be held" is_held
    kill -KILL "$(process_of_rank 1)"
  done
  ends COMPLETED 0:0
  is Restarts 0
  log_says "n2 is left out, where ranks failed twice; the other ranks take the same steps"
  log_says "number of ranks: 2 in the checkpoint, 1 now"
  same_steps output/undisturbed output/healed
}

test_a_host_that_fails_the_self_check_is_left_out_or_the_job_comes_back_without_it() {
  local failing
  site 2
  failing=$(stand_in "[[ \$1 == --self-check && \$SLURMD_NODENAME == n2 ]] && exit 1
exec $bin/bovila \"\$@\"")
  BOVILA=$failing submit jobs/star.slurm --set run.self_check=true --set train.questions_per_step=8
  ends COMPLETED 0:0
  log_says "n2 is left out, where the self-check fails"
  log_says "a step is 8 questions: 2 micro-batches of 4 on 1 rank"
  BOVILA=$failing submit --nodes=1 --nodelist=n2 jobs/star.slurm --set run.self_check=true --output output/other
  wait_job 120 "the requeued job" is_requeued 1
  log_says "the job comes back without n2, where the self-check fails"
  [[ $(field ExcNodeList) == n2 ]]
  scancel "$job"
}

# reserve SECONDS: maintenance of n2, so long from now.
reserve() {
  scontrol create reservation ReservationName=maintenance StartTime="now+$1" Duration=5 Nodes=n2 \
    Flags=MAINT,IGNORE_JOBS Users="$(id -un)" >/dev/null
}

test_a_job_stops_for_maintenance_that_is_announced_while_it_runs_and_comes_back() {
  site "$endless"
  BOVILA_LOOK=1 submit jobs/star.slurm
  wait_job 120 "a first epoch" logged "epoch 2 step"
  reserve 100
  wait_job 90 "the requeued job" is_requeued 1
  log_says "Slurm announces maintenance for .*: stopping the run"
  log_says "stopped by SIGUSR2 at step"
  has_checkpoint
  scancel "$job"
  scontrol delete ReservationName=maintenance
}

test_ranks_know_of_maintenance_as_the_end_of_their_job() {
  site 1
  echo "$(declare -f reserve); reserve 400" >site.env
  BOVILA_ENV=$PWD/site.env BOVILA=$(stand_in 'echo "rank $SLURM_PROCID ends at $SLURM_JOB_END_TIME"') \
    submit jobs/star.slurm
  ends COMPLETED 0:0
  log_says "Slurm announces maintenance for .*: the run stops in time for it"
  local begin
  begin=$(date --date="$(scontrol --oneliner show reservation | sed 's/.*StartTime=\([^ ]*\).*/\1/')" +%s)
  log_says "rank 0 ends at $begin"
  log_says "rank 1 ends at $begin"
  scontrol delete ReservationName=maintenance
}

test_ranks_that_die_at_once_each_time_end_the_job() {
  site 1
  BOVILA=$(stand_in 'kill -KILL $$') BOVILA_PAUSE=0 BOVILA_RESTARTS=2 submit jobs/star.slurm
  ends FAILED 137:0
  log_says "gives up: 2 restarts in a row saved nothing new in output/star/checkpoints"
  [[ $(grep -c "ended with exit code 137" "$log") == 3 ]]
  is Restarts 0
}

tasks_have_come() { [[ $(cat bovila-star-*.log | grep -c "^loading") == 3 ]]; }
all_requeued() {
  local task
  for task in 0 1 2; do
    scontrol --oneliner show job "${job}_$task" | grep "JobState=PENDING" | grep -q "Restarts=1 " ||
      return
  done
}

# To Slurm the number of one of them is that of all of them.
test_each_task_of_an_array_that_is_preempted_comes_back_on_its_own() {
  site 1
  echo 'export BOVILA_ARGS="--output output/task-$SLURM_ARRAY_TASK_ID"' >site.env
  BOVILA_ENV=$PWD/site.env BOVILA=$(stand_in 'trap "exit 75" TERM
    echo "loading $*"
    for ((i = 0; i < 600; ++i)); do sleep 0.2; done') submit --array=0-2 --nodes=1 jobs/star.slurm
  wait_for 120 "three tasks" tasks_have_come
  cat bovila-star-*.log >first.log
  [[ $(grep -c "^loading .*--output output/task-[012]$" first.log) == 3 ]]
  sbatch --partition=high --nodes=2 --exclusive --output=/dev/null --wrap='sleep 1'
  wait_for 120 "three requeued tasks" all_requeued ||
    { cat bovila-star-*.log && scontrol show job "$job" && return 1; }
  # Each says so as itself, once scontrol has answered it.
  for task in 0 1 2; do
    wait_for 60 "word of task $task" grep -qE "job ${job}_$task (was stopped before its end and is \
put back|is not put back into the queue by this script: Slurm ends it)" bovila-star-*.log ||
      { cat bovila-star-*.log && return 1; }
  done
  scancel "$job"
}

test_a_job_that_may_not_be_requeued_says_what_to_do() {
  site "$endless"
  submit --no-requeue jobs/star.slurm
  wait_job 120 "a first step" logged "epoch 1 step 1"
  scancel --signal=USR2 "$job"
  ends FAILED 75:0
  log_says "cannot be requeued: .*disabled"
  log_says "submit the same job again"
  has_checkpoint
}

# Installed, without jobs/ and a deck in the folder that it is submitted from.
test_an_installed_job_runs_from_its_prefix() {
  local prefix=$PWD/prefix
  cmake --install "$bin/.." --prefix "$prefix" >installed 2>&1
  submit "$prefix/share/bovila/jobs/star.slurm" "${sizes[@]}" --set train.epochs=1 \
    --set "data.folder=$mini/data/star" --set "data.features=$(features star)"
  ends COMPLETED 0:0
  log_says "the deck is $prefix/share/bovila/input/star.toml"
  log_says "bovila [0-9.]+ \(git .*\): 2 ranks of"
  [[ -s output/star/log.txt ]]
}

both_loading() { [[ $(grep -c "^loading" "$log") == 2 ]]; }

# What stands in for the program has no state: a job is stopped while it loads.
test_a_signal_while_the_program_is_loaded_requeues() {
  site 1
  BOVILA=$(stand_in "echo loading; sleep 60") submit jobs/star.slurm
  wait_job 90 "both ranks" both_loading
  sleep 1
  scancel --signal=TERM "$job"
  wait_job 90 "the requeued job" is_requeued 1
  log_says "ended with exit code 143"
  scancel "$job"
}

# Slurm ends a job that it puts back, scontrol in it too, as soon as it has decided so.
test_a_slow_answer_to_the_requeue_is_not_lost() {
  site 1
  mkdir slow
  printf '#!/usr/bin/env bash\n%s "$@" && sleep 0.5\n' "$(command -v scontrol)" >slow/scontrol
  chmod +x slow/scontrol
  PATH=$PWD/slow:$PATH BOVILA=$(stand_in "exit 75") submit jobs/star.slurm
  wait_job 90 "the requeued job" is_requeued 1
  log_says "job $job was stopped before its end and is put back into the queue"
  scancel "$job"
}

test_restarts_that_save_nothing_come_to_an_end() {
  local restart
  site 1
  BOVILA=$(stand_in "exit 75") BOVILA_RESTARTS=2 submit jobs/star.slurm
  for restart in 1 2 3; do
    wait_job 90 "restart $restart" is_requeued $restart
    start_now
  done
  ends FAILED 1:0
  log_says "gives up: 2 restarts in a row saved nothing new in output/star/checkpoints"
  [[ $(grep -c "ended with exit code 75" "$log") == 3 ]]
}

# held_program [FOLDER]: the program, held still in its first two starts in a queue when it renames the
# ninth file: some checkpoints later, and before a fast machine is done. Slurm sends CONT before TERM.
held_program() {
  stand_in "((\${SLURM_RESTART_COUNT:-0} > 1)) || [[ -n \${BOVILA_RESTARTED:-} ]] ||
  export LD_PRELOAD=$bin/libfaults.so BOVILA_FAULTS='rename 9 hold' \
    BOVILA_FAULTS_UNDER=$PWD/${1:-output/star}/checkpoints
exec $bin/bovila \"\$@\""
}
is_held() { [[ $(ps -o stat= -p "$(process_of_rank 0)") == T* ]]; }

# A job on the high partition takes both nodes for a second.
preempt() {
  local -r restarts=$1
  local high
  wait_job 120 "rank 0 to be held" is_held
  high=$(sbatch --parsable --partition=high --nodes=2 --exclusive --output=/dev/null \
    --wrap='sleep 1')
  wait_job 90 "preemption $restarts of job $job" is_requeued "$restarts"
  wait_for 90 "the end of the preempting job $high" is_gone "$high"
  start_now
}

# process_of_rank RANK: of `job`, and of this cluster.
process_of_rank() {
  local process
  for process in /proc/[0-9]*; do
    [[ $(readlink "$process/exe") == */bovila ]] || continue
    grep -qzx "SLURM_CONF=$SLURM_CONF" "$process/environ" &&
      grep -qzx "SLURM_JOB_ID=$job" "$process/environ" &&
      grep -qzx "SLURM_PROCID=$1" "$process/environ" && echo "${process#/proc/}" && return
  done
}

# same_results FOLDER FOLDER: parameters, log and predictions, byte for byte.
same_results() {
  local file newest
  newest=$(cd "$1/checkpoints" && printf '%s\n' step-???????? | tail -1)
  for file in "checkpoints/$newest/state.h5" log.txt $(cd "$1" && echo epoch*.json); do
    cmp "$1/$file" "$2/$file"
  done
  [[ $(cd "$1" && echo epoch*.json) == $(cd "$2" && echo epoch*.json) ]]
}

start_cluster "$work/cluster" || exit 1
run_tests slurm
