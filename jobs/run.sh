#!/usr/bin/env bash
# What every job does: starts one rank a task under Slurm, starts them again after a crash, a lost
# rank or a hang (jobs/restarts.bash), puts the job back into the queue when it was stopped before its
# end (exit code 75), and ends with the program's exit code otherwise.
# Fed by jobs/*.slurm (which name the deck and pass their arguments on to the program) and by these
# variables of sbatch's environment:
#   DECK             the deck, in the folder that the job is submitted from, else beside jobs/; the
#                    paths in it are relative to the folder that the job is submitted from
#   BOVILA           the program (default: that of the source folder that this script is in, or that
#                    it was installed with, else bovila on the PATH)
#   BOVILA_ARGS      further arguments, split at blanks: "--set train.epochs=5"
#   BOVILA_ENV       a shell file that is read first: `module load ...`, LD_LIBRARY_PATH, ...
#   SRUN_ARGS        further options of srun, split at blanks: "--cpu-bind=cores"
#   BOVILA_PMI       how srun and bovila's MPI find each other (default: pmix, which Open MPI takes;
#                    MPICH and Intel MPI: pmi2, Cray MPICH: cray_shasta; `srun --mpi=list` has all)
#   BOVILA_RESTARTS  how many restarts in a row may save nothing new before the job gives up (5)
#   BOVILA_LOOK      seconds between two looks for maintenance that Slurm announces (300)
#   BOVILA_PAUSE     seconds before a restart, doubled by each that saved nothing new (10)
set -uo pipefail

# Of an array's task: one of them has the whole array's SLURM_JOB_ID.
job=${SLURM_JOB_ID:-none}
[[ -n ${SLURM_ARRAY_JOB_ID:-} ]] && job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
readonly job

here=${0%/*}
[[ $here == "$0" ]] && here=.
# shellcheck source=jobs/restarts.bash
source "$here/restarts.bash"
# shellcheck source=jobs/maintenance.bash
source "$here/maintenance.bash"

check_settings() {
  [[ -n ${DECK:-} ]] || stop "DECK is not set; submit one of jobs/*.slurm, or set it to a deck"
  find_deck
  check_limits
  look_s=$(number_in BOVILA_LOOK 300) || exit 2
  ((look_s > 0)) || stop "BOVILA_LOOK: expected a number, 1 or more, got '$look_s'"
  command -v srun >/dev/null || stop "srun is not on the PATH; jobs run under Slurm, see sbatch"
  find_program
}

# What NCCL needs beside MPI; the site's own settings, as those of BOVILA_ENV, come first.
set_up_nccl() {
  # Its reason for a failure belongs into the job's log.
  export NCCL_DEBUG=${NCCL_DEBUG:-WARN}
  # Between nodes it takes the first interface that is up: not a container's or a virtual machine's.
  ((${SLURM_JOB_NUM_NODES:-1} > 1)) &&
    export NCCL_SOCKET_IFNAME=${NCCL_SOCKET_IFNAME:-^lo,docker,virbr,veth,br-}
  # No --gpu-bind: a rank takes the GPU of its number on the node, and NCCL copies straight from one
  # GPU to another only where a process sees both.
  return 0
}

# A rank that was killed leaves the others waiting in MPI: --wait ends them a minute later. (Not
# --kill-on-bad-exit: to srun, exit code 75 is a bad one, and a rank may still be saving.)
set_up_launcher() {
  local -a srun_args
  read -ra srun_args <<<"${SRUN_ARGS:-}"
  # Since Slurm 22.05 srun does not take --cpus-per-task over from sbatch by itself.
  [[ -n ${SLURM_CPUS_PER_TASK:-} ]] && export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
  launcher=(srun --mpi="${BOVILA_PMI:-pmix}" --wait=60 "${srun_args[@]}")
  readonly all_hosts=("${launcher[@]}")
}

hosts_in_use() {
  local host
  for host in $(scontrol show hostnames "${SLURM_JOB_NODELIST:-}" 2>/dev/null); do
    [[ " ${left_out[*]} " == *" $host "* ]] || echo "$host"
  done
}

# Ranks of each node, where all have as many.
ranks_per_node() {
  local nodes=${SLURM_JOB_NUM_NODES:-1} ranks=${SLURM_NTASKS:-1}
  ((ranks % nodes == 0)) && echo $((ranks / nodes))
}

leave_hosts_out() {
  local left=$((${SLURM_JOB_NUM_NODES:-1} - ${#left_out[@]})) per_node
  per_node=$(ranks_per_node) && ((left > 0)) || return
  launcher=("${all_hosts[@]}" --exclude="$(with_commas "${left_out[@]}")" --nodes="$left"
    --ntasks=$((left * per_node)))
}

check_host() {
  local per_node
  per_node=$(ranks_per_node) &&
    "${all_hosts[@]}" --nodelist="$1" --nodes=1 --ntasks="$per_node" "$BOVILA" --self-check
}

# Hosts of the job's partition that it could have, these left out.
come_back_without() {
  local hosts
  [[ $job != none ]] || return
  hosts=$(sinfo --noheader --partition="${SLURM_JOB_PARTITION:-}" --states=idle,mix,alloc,comp \
    --format=%D | awk '{ sum += $1 } END { print sum + 0 }')
  ((hosts - ${#left_out[@]} >= ${SLURM_JOB_NUM_NODES:-1})) || return
  status=$kPreempted
}

launch() {
  local ended watcher
  if [[ $job == none ]]; then
    "$@"
    return
  fi
  know_end
  watch_for_maintenance &
  watcher=$!
  "$@"
  ended=$?
  kill "$watcher" 2>/dev/null
  wait "$watcher" 2>/dev/null
  return $ended
}

# RUNNING, ...; nothing where Slurm does not answer.
job_state() {
  scontrol --oneliner show job "$job" 2>&1 | sed -n 's/.* JobState=\([A-Z_]*\).*/\1/p'
}

# When Slurm put the job into its queue, last: ledger.jsonl has it, of the first start of this script.
queued_since() {
  local text
  text=$(scontrol --oneliner show job "$job" 2>/dev/null | sed -n 's/.* SubmitTime=\([0-9T:-]*\).*/\1/p')
  [[ -n $text ]] && date --date="$text" +%s
}

# Slurm may be ending the job: it was cancelled, or another one needs its nodes.
may_go_on() {
  local state
  [[ $job == none ]] && return
  state=$(job_state)
  [[ -z $state || $state == RUNNING ]] && return
  say "the ranks are not started again: Slurm ends job $job ($state)"
  return 1
}

# Slurm takes another list of a waiting job alone.
exclude_hosts() {
  ((${#left_out[@]} == 0)) ||
    scontrol update JobId="$job" ExcNodeList="$(with_commas "${left_out[@]}")"
}

# Only a running job is put back: one that Slurm is already ending was cancelled, and would come
# back from the dead, or is being requeued by Slurm itself. Slurm sends TERM to all of a job that it
# puts back, often before scontrol has read the answer, which must come through.
requeue() {
  local state reason
  if [[ $job == none ]]; then
    say "stopped before its end, and not in a Slurm job: start the same command again to go on"
    return
  fi
  state=$(job_state)
  if [[ -n $state && $state != RUNNING ]]; then
    say "job $job is not put back into the queue by this script: Slurm ends it ($state)"
  elif reason=$(trap '' TERM && scontrol requeue "$job" 2>&1 && exclude_hosts 2>&1); then
    say "job $job was stopped before its end and is put back into the queue"
  else
    say "job $job was stopped before its end and cannot be requeued: ${reason:-no reason given}"
    say "to go on from its last checkpoint, submit the same job again"
  fi
}

# A site may send the stop signal to this script too; bash then waits for srun all the same.
trap : TERM USR1 USR2
read_site_file
check_settings
set_up_nccl
read -ra arguments <<<"${BOVILA_ARGS:-}"
arguments+=("$@")
find_output
set_up_launcher
if [[ $job != none ]]; then
  BOVILA_QUEUED_SINCE=$(queued_since)
  export BOVILA_QUEUED_SINCE
fi
run_ranks
was_stopped || exit "$status"
requeue
exit $kPreempted
