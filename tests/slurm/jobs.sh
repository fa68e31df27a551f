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
unset DECK BOVILA BOVILA_ARGS BOVILA_OUTPUT BOVILA_ENV BOVILA_RESTARTS SRUN_ARGS
for variable in $(compgen -e | grep -E '^(SLURM|SBATCH|SRUN)_'); do unset "$variable"; done
export OMP_NUM_THREADS=1

# What a site's folder looks like: jobs/, input/, build/, and the program's inputs.
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
epochs = ${1:-8}
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
  log=$(echo "$PWD"/bovila-star-"$job".log)
}

# field NAME: of the job, as scontrol shows it.
field() { scontrol --oneliner show job "$job" | grep -o " $1=[^ ]*" | cut -d= -f2-; }
is() { [[ $(field "$1") == "$2" ]]; }
has_ended() { [[ $(field JobState) =~ ^(COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL)$ ]]; }
is_requeued() { is JobState PENDING && is Restarts "$1"; }
logged() { grep -qE -- "$1" "$log"; }

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

# A requeued job waits two minutes by itself.
start_now() { scontrol update JobId="$job" StartTime=now; }

# A job on the high partition takes both nodes for a second.
preempt() {
  local -r restarts=$1
  local high
  high=$(sbatch --parsable --partition=high --nodes=2 --exclusive --output=/dev/null \
    --wrap='sleep 1')
  wait_job 40 "preemption $restarts of job $job" is_requeued "$restarts"
  wait_for 30 "the end of the preempting job" test -z "$(squeue --noheader --jobs="$high")"
  start_now
}

test_preempted_twice_it_ends_as_if_nothing_had_been() {
  site
  submit jobs/star.slurm --output output/undisturbed
  ends COMPLETED 0:0
  submit jobs/star.slurm
  wait_job 60 "epoch 1" logged "epoch 1 step 4"
  preempt 1
  wait_job 60 "going on in epoch 3" logged "epoch 3 step"
  preempt 2
  ends COMPLETED 0:0
  [[ $(grep -c "exit code 75" "$log") == 2 && $(grep -c "going on from" "$log") == 2 ]]
  [[ $(field Restarts) == 2 ]]
  same_results output/undisturbed output/star
}

# same_results FOLDER FOLDER: parameters, log and predictions, byte for byte.
same_results() {
  local file newest
  newest=$(cd "$1/checkpoints" && printf '%s\n' step-???????? | tail -1)
  for file in "checkpoints/$newest/state.h5" log.txt $(cd "$1" && echo epoch*.json); do
    cmp "$1/$file" "$2/$file"
  done
  [[ $(ls "$1"/epoch*.json | wc -l) == $(ls "$2"/epoch*.json | wc -l) ]]
}


start_cluster "$work/cluster" || exit 1
run_tests slurm
