#!/usr/bin/env bash
# What every job does: starts one rank a task under Slurm and ends with the program's exit code.
# Fed by jobs/*.slurm (which name the deck) and by these variables of sbatch's environment:
#   DECK         the deck; paths in it are relative to the folder that the job was submitted from
#   BOVILA       the program (default: build/bin/bovila if it is there, else bovila on the PATH)
#   BOVILA_ARGS  further arguments, split at blanks: "--set train.epochs=5 --output output/short"
#   BOVILA_ENV   a shell file that is read first: `module load ...`, LD_LIBRARY_PATH, ...
#   SRUN_ARGS    further options of srun, split at blanks: "--cpu-bind=cores"
set -uo pipefail

stop() {
  echo "jobs/run.sh: $1" >&2
  exit 2
}

find_program() {
  [[ -z ${BOVILA:-} && -x build/bin/bovila ]] && BOVILA=build/bin/bovila
  BOVILA=${BOVILA:-bovila}
  command -v "$BOVILA" >/dev/null ||
    stop "the program '$BOVILA' is not there; run make build, or set BOVILA to its path"
}

start_ranks() {
  local -a srun_args program_args
  read -ra srun_args <<<"${SRUN_ARGS:-}"
  read -ra program_args <<<"${BOVILA_ARGS:-}"
  # Since Slurm 22.05 srun does not take --cpus-per-task over from sbatch by itself.
  [[ -n ${SLURM_CPUS_PER_TASK:-} ]] && export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
  srun --mpi=pmix "${srun_args[@]}" "$BOVILA" "$DECK" "${program_args[@]}"
}

if [[ -n ${BOVILA_ENV:-} ]]; then
  [[ -r $BOVILA_ENV ]] || stop "BOVILA_ENV: the file '$BOVILA_ENV' cannot be read"
  # shellcheck disable=SC1090
  source "$BOVILA_ENV" || stop "BOVILA_ENV: '$BOVILA_ENV' failed"
fi
[[ -n ${DECK:-} ]] || stop "DECK is not set; submit one of jobs/*.slurm, or set it to a deck"
[[ -r $DECK ]] ||
  stop "the deck '$DECK' cannot be read in $PWD; submit from the folder that holds it"
command -v srun >/dev/null || stop "srun is not on the PATH; jobs run under Slurm, see sbatch"
find_program

start_ranks
status=$?
echo "jobs/run.sh: bovila ended with exit code $status"
exit $status
