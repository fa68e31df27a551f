#!/usr/bin/env bash
# jobs/star.slurm on a real Slurm of two virtual nodes (cluster.bash), with the real program on the
# tiny STAR of tests/golden/mini: preempted twice, at its time limit, cancelled, failing, stuck.
# Uses $BUILD/bin. Prints "ok NAME" or what happened and "FAILED NAME"; exits 1 when one failed.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/../cli/helpers.bash"
source "$here/cluster.bash"

end_script() {
  local status=$?
  trap - EXIT
  ((status != 0)) && show_cluster
  stop_cluster
  rm -rf "$work"
  exit $status
}
trap end_script EXIT
trap 'exit 143' TERM INT
unset DECK BOVILA BOVILA_ARGS BOVILA_ENV BOVILA_RESTARTS SRUN_ARGS
for variable in $(compgen -e | grep -E '^(SLURM|SBATCH|SRUN)_'); do unset "$variable"; done
export OMP_NUM_THREADS=1

# site EPOCHS: what a site's folder looks like, with jobs/, the program and a deck.
site() {
  mkdir input build
  ln -s "$root/jobs" jobs
  ln -s "$bin" build/bin
  cat >input/star.toml <<END
[model]
llama = "$mini/llama/mini"
max_feats = 6
max_seq_len = 256
adapter_len = 5
adapter_layers = 3
[data]
dataset = "star"
folder = "$mini/data/star"
features = "$(features star)"
[train]
epochs = $1
batch_size = 4
lr = 0.01
warmup_epochs = 0.5
[run]
threads_per_rank = 1
collective_timeout_s = 60
[output]
folder = "output/star"
log_every_steps = 1
END
}

# submit OPTIONS... : jobs/star.slurm with one rank on each node; sets `job` and `log`.
submit() {
  job=$(sbatch --parsable --gres=none --nodes=2 --ntasks-per-node=1 --cpus-per-task=1 \
    --time=10 "$@")
  log=$PWD/bovila-star-$job.log
}

# field NAME: of the job, as scontrol shows it.
field() { scontrol --oneliner show job "$job" | grep -o " $1=[^ ]*" | cut -d= -f2-; }
is() { [[ $(field "$1") == "$2" ]]; }
has_ended() { [[ $(field JobState) =~ ^(COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL)$ ]]; }
is_requeued() { is JobState PENDING && is Restarts "$1"; }
logged() { grep -qE -- "$1" "$log"; }

is_gone() { [[ -z $(squeue --noheader --jobs="$1") ]]; }

# wait_job SECONDS WHAT COMMAND...: shows the job and the end of its log when it did not come.
wait_job() {
  wait_for "$@" && return
  scontrol show job "$job"
  tail -n 40 "$log"
  return 1
}

# ends STATE CODE: the job ends so, within a minute.
ends() {
  wait_job 60 "the end of job $job" has_ended
  [[ $(field JobState) == "$1" && $(field ExitCode) == "$2" ]] && return
  tail -n 40 "$log"
  echo "expected $1 with exit code $2, got $(field JobState) with $(field ExitCode)"
  return 1
}

# A requeued job waits two minutes by itself. Started in the second in which it was requeued, it
# would be taken for the killed one: its credential counts whole seconds.
start_now() {
  sleep 2
  scontrol update JobId="$job" StartTime=now
}

# A job on the high partition takes both nodes for a second.
preempt() {
  local -r restarts=$1
  local high
  high=$(sbatch --parsable --partition=high --nodes=2 --exclusive --output=/dev/null \
    --wrap='sleep 1')
  wait_job 40 "preemption $restarts of job $job" is_requeued "$restarts"
  wait_for 30 "the end of the preempting job $high" is_gone "$high"
  start_now
}

test_preempted_twice_it_ends_as_if_nothing_had_been() {
  site 8
  submit jobs/star.slurm --output output/undisturbed
  ends COMPLETED 0:0
  submit jobs/star.slurm
  wait_job 60 "epoch 1" logged "epoch 1 step 4"
  preempt 1
  wait_job 60 "going on in epoch 3" logged "epoch 3 step"
  preempt 2
  ends COMPLETED 0:0
  is Restarts 2
  [[ $(grep -c "ended with exit code 75" "$log") == 2 && $(grep -c "going on from" "$log") == 2 ]]
  same_results output/undisturbed output/star
}

test_before_its_time_limit_a_job_saves_and_is_requeued() {
  site 1000
  submit --time=1 --signal=USR2@45 jobs/star.slurm
  wait_job 80 "the requeued job" is_requeued 1
  logged "stopped by SIGUSR2.*exit code 75"
  logged "job $job was stopped before its end and is put back into the queue"
  has_checkpoint
  scancel "$job"
}

test_a_cancelled_job_saves_and_does_not_come_back() {
  site 1000
  submit jobs/star.slurm
  wait_job 60 "a first step" logged "epoch 0 step 1"
  scancel "$job"
  ends CANCELLED 75:0
  logged "job $job is not put back into the queue"
  has_checkpoint
  sleep 3
  is JobState CANCELLED
  is Restarts 0
}

test_a_wrong_deck_ends_the_job_with_exit_code_2() {
  site 1
  submit jobs/star.slurm --set train.epoch=1
  ends FAILED 2:0
  logged "unknown key 'train.epoch'"
  is Restarts 0
}

test_a_killed_rank_ends_the_job() {
  site 1000
  SRUN_ARGS=--wait=2 submit jobs/star.slurm
  wait_job 60 "a first step" logged "epoch 0 step 1"
  kill -KILL "$(process_of_rank 1)"
  ends FAILED 137:0
  is Restarts 0
}

test_a_job_that_may_not_be_requeued_says_what_to_do() {
  site 1000
  submit --no-requeue jobs/star.slurm
  wait_job 60 "a first step" logged "epoch 0 step 1"
  scancel --signal=USR2 "$job"
  ends FAILED 75:0
  logged "cannot be requeued: .*disabled"
  logged "submit the same job again"
  has_checkpoint
}

# What stands in for the program has no state: a job is stopped while it loads.
test_a_signal_while_the_program_is_loaded_requeues() {
  site 1
  BOVILA=$(stand_in "echo loading; sleep 60") submit jobs/star.slurm
  wait_job 30 "both ranks" logged "loading"
  sleep 1
  scancel --signal=TERM "$job"
  wait_job 30 "the requeued job" is_requeued 1
  logged "ended with exit code 143"
  scancel "$job"
}

test_restarts_that_save_nothing_come_to_an_end() {
  local restart
  site 1
  BOVILA=$(stand_in "exit 75") BOVILA_RESTARTS=2 submit jobs/star.slurm
  for restart in 1 2 3; do
    wait_job 30 "restart $restart" is_requeued $restart
    start_now
  done
  ends FAILED 1:0
  logged "gives up: 2 restarts in a row saved nothing new in output/star/checkpoints"
  [[ $(grep -c "ended with exit code 75" "$log") == 3 ]]
}

has_checkpoint() { compgen -G "output/star/checkpoints/step-*/manifest.json" >/dev/null; }

# stand_in COMMANDS: a program that does this; prints its path.
stand_in() {
  printf '#!/usr/bin/env bash\n%s\n' "$1" >program
  chmod +x program
  echo "$PWD/program"
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
