#!/usr/bin/env bash
# What every job does: starts one rank a task under Slurm, puts the job back into the queue when it
# was stopped before its end (exit code 75), and ends with the program's exit code otherwise.
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
set -uo pipefail

readonly kPreempted=75
# Of an array's task: one of them has the whole array's SLURM_JOB_ID.
job=${SLURM_JOB_ID:-none}
[[ -n ${SLURM_ARRAY_JOB_ID:-} ]] && job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
readonly job
home=$(cd "$(dirname "$0")/.." && pwd) # has jobs/ and input/: the source, or PREFIX/share/bovila
readonly home
arguments=() # of the program
output=      # its output folder

say() { echo "jobs/run.sh: $1" >&2; }
stop() {
  say "$1"
  exit 2
}

read_site_file() {
  [[ -n ${BOVILA_ENV:-} ]] || return 0
  [[ -r $BOVILA_ENV ]] || stop "BOVILA_ENV: the file '$BOVILA_ENV' cannot be read"
  # shellcheck disable=SC1090
  source "$BOVILA_ENV" || stop "BOVILA_ENV: '$BOVILA_ENV' failed"
}

find_program() {
  local path
  for path in "$home/build/bin/bovila" "$home/../../bin/bovila"; do
    [[ -z ${BOVILA:-} && -x $path ]] && BOVILA=$path
  done
  BOVILA=${BOVILA:-bovila}
}

check_settings() {
  [[ -n ${DECK:-} ]] || stop "DECK is not set; submit one of jobs/*.slurm, or set it to a deck"
  if [[ ! -r $DECK && -r $home/$DECK ]]; then
    DECK=$home/$DECK
    say "the deck is $DECK"
  fi
  [[ -r $DECK ]] ||
    stop "the deck '$DECK' cannot be read in $PWD; submit from the folder that holds it"
  max_restarts=${BOVILA_RESTARTS:-5}
  [[ $max_restarts =~ ^[0-9]+$ ]] ||
    stop "BOVILA_RESTARTS: expected a number, 0 or more, got '$max_restarts'"
  command -v srun >/dev/null || stop "srun is not on the PATH; jobs run under Slurm, see sbatch"
  find_program
  command -v "$BOVILA" >/dev/null ||
    stop "the program '$BOVILA' is not there; run make build, or set BOVILA to its path"
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

collect_arguments() {
  read -ra arguments <<<"${BOVILA_ARGS:-}"
  arguments+=("$@")
}

# without_quotes TEXT: a TOML string's text, or a text that came without quotes.
without_quotes() {
  local text=$1
  [[ $text == \"*\" || $text == \'*\' ]] && text=${text:1:-1}
  echo "$text"
}

# The deck's line folder = "..." in [output].
deck_output() {
  awk '/^[ \t]*\[/ { in_output = /^[ \t]*\[[ \t]*output[ \t]*\]/ }
       in_output && /^[ \t]*folder[ \t]*=/ { print }' "$DECK" |
    sed -nE "s/^[^=]*=[ \t]*(\"[^\"\\]*\"|'[^']*').*/\1/p"
}

# As the program does it: --output, else the last --set of output.folder, else the deck.
find_output() {
  local given='' set='' i word next
  for ((i = 0; i < ${#arguments[@]}; ++i)); do
    word=${arguments[i]} next=${arguments[i + 1]:-}
    case $word in
      --output) given=$next ;;
      --output=*) given=${word#--output=} ;;
      --set) [[ $next == output.folder=* ]] && set=${next#output.folder=} ;;
      --set=output.folder=*) set=${word#--set=output.folder=} ;;
    esac
  done
  output=${given:-$(without_quotes "${set:-$(deck_output)}")}
  [[ -n $output ]] ||
    stop "$DECK has no line folder = \"...\" in [output]; give the folder with --output"
}

# step-NNNNNNNN:CHECKSUM, or none. Within a long evaluation a step's checkpoint is replaced by one
# that is further; its manifest has the hashes of all that is in it.
newest_checkpoint() {
  local path newest=none manifest
  for path in "$output"/checkpoints/step-*; do
    [[ $path =~ /step-[0-9]+$ ]] && newest=${path##*/}
  done
  manifest=$output/checkpoints/$newest/manifest.json
  [[ -r $manifest ]] && newest+=:$(cksum <"$manifest" | cut -d' ' -f1)
  echo "$newest"
}

# A restarted job must have saved something since its last start. The file in the output folder
# holds job, restarts in a row without a newer checkpoint, and the newest one at the last start.
check_progress() {
  local file=$output/slurm-restarts restarts=${SLURM_RESTART_COUNT:-0} of='' count='' last='' newest
  newest=$(newest_checkpoint)
  [[ -r $file ]] && read -r of count last <"$file"
  [[ $of == "$job" && $count =~ ^[0-9]+$ ]] || count=0 last=none
  if ((restarts > 0)) && [[ $last == "$newest" ]]; then count=$((count + 1)); else count=0; fi
  if [[ -d $output ]] || ((restarts > 0)); then
    { mkdir -p "$output" && echo "$job $count $newest" >"$file"; } ||
      say "$file cannot be written: restarts without progress are not counted"
  fi
  ((restarts == 0)) && return
  say "restart $restarts of job $job, newest checkpoint: ${newest%:*}"
  ((count <= max_restarts)) && return
  say "gives up: $max_restarts restarts in a row saved nothing new in $output/checkpoints;"
  say "the reason is above. To try again, submit the job again (the limit is BOVILA_RESTARTS)"
  exit 1
}

# A rank that was killed leaves the others waiting in MPI: --wait ends them a minute later. (Not
# --kill-on-bad-exit: to srun, exit code 75 is a bad one, and a rank may still be saving.)
start_ranks() {
  local -a srun_args
  read -ra srun_args <<<"${SRUN_ARGS:-}"
  # Since Slurm 22.05 srun does not take --cpus-per-task over from sbatch by itself.
  [[ -n ${SLURM_CPUS_PER_TASK:-} ]] && export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
  srun --mpi="${BOVILA_PMI:-pmix}" --wait=60 "${srun_args[@]}" "$BOVILA" "$DECK" "${arguments[@]}"
}

# was_stopped STATUS: 75, or that of a stop signal that came while the program was being loaded.
was_stopped() {
  case $1 in
    "$kPreempted" | 129 | 138 | 140 | 143) return 0 ;; # 128 + HUP, USR1, USR2, TERM
    *) return 1 ;;
  esac
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
  state=$(scontrol --oneliner show job "$job" 2>&1 | grep -o 'JobState=[A-Z_]*')
  if [[ -n $state && $state != JobState=RUNNING ]]; then
    say "job $job is not put back into the queue by this script: Slurm ends it (${state#*=})"
  elif reason=$(trap '' TERM && scontrol requeue "$job" 2>&1); then
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
collect_arguments "$@"
find_output
check_progress
start_ranks
status=$?
say "bovila ended with exit code $status"
was_stopped $status || exit $status
requeue
exit $kPreempted
