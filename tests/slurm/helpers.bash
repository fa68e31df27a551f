# What the tests on a private Slurm share: the site's folder, a job and waiting for it. A script
# sources this, defines functions test_..., and ends with start_cluster and `run_tests NAME`, as in
# tests/cli/helpers.bash. Input: $BUILD/bin, tests/golden/mini, jobs/. Everything is torn down at
# the script's end; when a test failed, the ends of Slurm's logs are shown.

slurm_tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$slurm_tests/../cli/helpers.bash"
source "$slurm_tests/cluster.bash"

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
unset DECK BOVILA BOVILA_ARGS BOVILA_ENV BOVILA_RESTARTS SRUN_ARGS # BOVILA_PMI: tests/run.sh
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
precision = "fp32"
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

# logged PATTERN: in the job's log. log_says PATTERN: it must come, soon: a job's state changes before
# its script has read Slurm's answer and said so. Shows the log's end otherwise.
logged() { grep -qE -- "$1" "$log"; }
log_says() {
  wait_for 30 "a line '$1' in the log" logged "$1" && return
  tail -n 40 "$log"
  return 1
}

is_gone() { [[ -z $(squeue --noheader --jobs="$1") ]]; }

# wait_job SECONDS WHAT COMMAND...: shows the job and the end of its log when it did not come.
wait_job() {
  wait_for "$@" && return
  scontrol show job "$job"
  tail -n 40 "$log"
  return 1
}

# ends STATE CODE: the job ends so, within four minutes.
ends() {
  wait_job 240 "the end of job $job" has_ended
  [[ $(field JobState) == "$1" && $(field ExitCode) == "$2" ]] && return
  tail -n 40 "$log"
  echo "expected $1 with exit code $2, got $(field JobState) with $(field ExitCode)"
  return 1
}

# Of `job`'s steps: the node daemons' sockets to them, there until the last process has ended.
steps_are_over() { ! compgen -G "$cluster/n?/spool/n?_$job.*" >/dev/null; }

# A requeued job waits two minutes by itself. Started while a node still ends its old step, the new
# step of the same number could not be launched there; started in the second in which it was
# requeued, it would be taken for the killed one: its credential counts whole seconds.
start_now() {
  wait_job 90 "the end of the old steps of job $job" steps_are_over
  sleep 2
  scontrol update JobId="$job" StartTime=now
}

has_checkpoint() { compgen -G "output/star/checkpoints/step-*/manifest.json" >/dev/null; }

# stand_in COMMANDS: a program that does this; prints its path.
stand_in() {
  printf '#!/usr/bin/env bash\n%s\n' "$1" >program
  chmod +x program
  echo "$PWD/program"
}
