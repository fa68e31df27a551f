#!/usr/bin/env bash
# The jobs as typed, without any option, on a Slurm of two virtual nodes with 8 GPUs each
# (cluster.bash). The GPUs are Slurm's only, so a stand-in for the program says what it was given.
# Prints "ok NAME" or what happened and "FAILED NAME"; exits 1 when one failed.
set -uo pipefail
source "$(dirname "$0")/helpers.bash"

# The stand-in expands its variables itself.
# shellcheck disable=SC2016
# asked OPTIONS...: jobs/star.slurm with them; sets `job` and `log`.
asked() {
  BOVILA=$(stand_in 'echo "rank $SLURM_PROCID: $SLURM_CPUS_PER_TASK cores," \
    "${SLURM_GPUS_ON_NODE:-no} GPUs on $SLURMD_NODENAME"')
  export BOVILA
  job=$(sbatch --parsable "$@")
  log=$PWD/bovila-star-$job.log
  ends COMPLETED 0:0
}

test_each_of_8_ranks_sees_the_8_gpus_of_one_node() {
  local rank
  site 1
  asked jobs/star.slurm
  for rank in 0 1 2 3 4 5 6 7; do
    logged "^rank $rank: 8 cores, 8 GPUs on n1$"
  done
  [[ $(grep -c "^rank" "$log") == 8 ]]
}

test_options_of_sbatch_change_nodes_ranks_and_gpus() {
  site 1
  asked --nodes=2 --ntasks-per-node=3 --cpus-per-task=2 --gres=gpu:3 jobs/star.slurm
  [[ $(grep -c "^rank [0-5]: 2 cores, 3 GPUs on n1$" "$log") == 3 ]]
  [[ $(grep -c "^rank [0-5]: 2 cores, 3 GPUs on n2$" "$log") == 3 ]]
}

test_without_gpus() {
  site 1
  asked --gres=none --ntasks-per-node=1 jobs/star.slurm
  logged "^rank 0: 8 cores, no GPUs"
}

start_cluster "$work/cluster" 8 || exit 1
run_tests "slurm, GPUs"
