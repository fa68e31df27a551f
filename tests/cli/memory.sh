#!/usr/bin/env bash
# What --check says of memory, beside what a run takes. (The sizes of LLaMA-7B, and what the jobs ask
# Slurm for: tests/unit/train/memory_need.cpp.)
. "$(dirname "$0")/helpers.bash"

# The demo's model on 256 of its questions.
demo() {
  local file
  mkdir data
  for file in train val; do
    python3 - "$root/input/demo/data/star/STAR_$file.json" "data/STAR_$file.json" <<'END'
import json, sys
json.dump(json.load(open(sys.argv[1]))[:256], open(sys.argv[2], 'w'))
END
  done
  "$bin/pth2h5" "$root/input/demo/data/star/clipvitl14.pth" features >/dev/null 2>&1
  deck=("$root/input/demo.toml" --set "model.llama=$root/input/demo/llama/demo"
    --set "data.folder=$PWD/data" --set "data.features=$PWD/features" --set train.epochs=1
    --set output.folder=out --set run.threads_per_rank=1)
}

# gigabytes PATTERN: the number in its place in `said`.
gigabytes() { sed -nE "s/$1/\\1/p" said; }

test_the_estimate_is_near_a_runs_peak_with_few_and_with_many_questions_at_once() {
  local batch estimate peak
  demo
  for batch in 4 128; do
    exits 0 bovila "${deck[@]}" --set train.batch_size=$batch --check
    estimate=$(gigabytes "^memory, estimated: a rank on a CPU ([0-9.]+) GB .*")
    exits 0 bovila "${deck[@]}" --set train.batch_size=$batch --fresh
    peak=$(gigabytes ".* memory of rank 0: host ([0-9.]+) GB peak")
    echo "batch_size $batch: estimated $estimate GB, measured $peak GB"
    holds "0.8 < $estimate / $peak < 1.3"
  done
  holds "$peak > 0.3" # activations count
}

test_a_node_is_asked_for_as_many_ranks_as_check_runs_on_or_a_job_has() {
  inputs star
  exits 0 bovila "${deck[@]}" --set run.device=cpu --check
  says_once "memory, estimated: a node with 8 ranks on CPUs 2 GB: sbatch --mem=2G"
  exits 0 ranks 2 "${deck[@]}" --set run.device=cpu --check
  says_once "memory, estimated: a node with 2 ranks on CPUs 1 GB: sbatch --mem=1G"
  exits 0 bovila "${deck[@]}" --check
  says_once "memory, estimated: a rank on a GPU "
  says_once "memory, estimated: a rank on a CPU "
}

run_tests memory
