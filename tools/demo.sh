#!/usr/bin/env bash
# The demo, as `make demo` runs it: converts the digits' features, scores the untrained model,
# trains with two ranks, and shows what was learned. Fed by input/demo.toml; leaves output/demo/.
#   BUILD=build   build folder with bin/bovila and bin/pth2h5
set -euo pipefail
cd "$(dirname "$0")/.."

bin=${BUILD:-build}/bin
out=output/demo
export OMPI_MCA_rmaps_base_oversubscribe=1 # two ranks on one core are slow, not an error
if ((EUID == 0)); then # as in containers; mpirun wants to hear it twice
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

step() { printf '\n== %s\n' "$1"; }

# logged FILE COMMAND...: its output goes to FILE, and to the terminal when it fails.
logged() {
  local file=$1
  shift
  "$@" >"$file" 2>&1 && return
  local status=$?
  tail -20 "$file" >&2
  echo "demo: failed with exit code $status; all of its output is in $file" >&2
  return $status
}

# What the training says, without the deck and most of the progress lines (they are in the log).
highlights() {
  grep --line-buffered -E ' (epoch 0 step|epoch [0-9]+ done:|warning:|error:)' || true
}

for program in "$bin/bovila" "$bin/pth2h5"; do
  [[ -x $program ]] || { echo "demo: $program is missing; run: make build" >&2; exit 1; }
done
echo "BoViLA learns to read handwritten digits off videos (input/demo/README.md)."
echo "This takes 3 to 6 minutes on two free cores; everything is left in $out/."
rm -rf $out/before $out/checkpoints $out/config.json $out/log.txt $out/metrics.jsonl $out/epoch*.json $out/training.log
mkdir -p $out/before

step "features: .pth to sharded HDF5"
"$bin/pth2h5" input/demo/data/star/clipvitl14.pth $out/features

step "accuracy before training (guessing gives 25 %)"
logged $out/before/eval.log "$bin/bovila" input/demo.toml --eval --output $out/before
python3 tools/demo_report.py accuracy before=$out/before/eval.json

step "training: mpirun -np 2 bovila input/demo.toml (all of its output: $out/training.log)"
mpirun -np 2 "$bin/bovila" input/demo.toml 2>&1 | tee $out/training.log | highlights || {
  tail -20 $out/training.log >&2
  echo "demo: the training failed; all of its output is in $out/training.log" >&2
  exit 1
}
last=$(ls $out/epoch*.json | sort -V | tail -1)

step "accuracy on the validation questions, in %"
python3 tools/demo_report.py accuracy before=$out/before/eval.json after="$last"
step "some of them"
python3 tools/demo_report.py questions input/demo/data/star/STAR_val.json "$last"
echo
echo "More: input/demo/README.md (what the published code reaches), README.md (your own data)."
