# What the tests of the program bovila share. A script sources this, defines functions test_..., and
# ends with `run_tests NAME`. Each test runs in a shell of its own that ends at the first command
# that fails, in a folder of its own, and prints "ok NAME: test" or its output and "FAILED NAME: test".
# Input: tests/golden/mini, read only; $BUILD/bin. Set by tests/run.sh: Open MPI's settings, and
# MPIRUN, what starts ranks (default: mpirun).

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin=$(realpath "${BUILD:-$root/build}/bin")
mini=$root/tests/golden/mini
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME=$work/home # where the browser and matplotlib keep things
mkdir "$HOME"
MPIRUN=${MPIRUN:-mpirun}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}

# The published decks on the tiny LLaMA of the golden folder: 24 training questions, 12 to score.
sizes=(--set "model.llama=$mini/llama/mini" --set model.precision=fp32 --set model.max_feats=6
  --set model.max_seq_len=256 --set model.adapter_len=5 --set model.adapter_layers=3
  --set train.lr=0.01 --set train.epochs=2 --set train.warmup_epochs=0.5
  --set train.batch_size=4 --set train.accum_iter=1 --set output.log_every_steps=1
  --set run.collective_timeout_s=60)

# features DATASET: its features, converted once a script; prints the folder.
features() {
  local file=clipvitl14.pth
  [[ $1 == how2qa ]] && file=clipvitl14_split.pth
  [[ -d $work/features/$1 ]] ||
    "$bin/pth2h5" "$mini/data/$1/$file" "$work/features/$1" --shards 2 >/dev/null 2>&1
  echo "$work/features/$1"
}

# inputs DATASET: sets the array `deck` to the data set's published deck with small sizes.
inputs() {
  deck=("$root/input/$1.toml" "${sizes[@]}" --set "data.folder=$mini/data/$1"
    --set "data.features=$(features "$1")" --set "output.folder=$PWD/out")
}

# The program on so many ranks; without mpirun on one.
bovila() { timeout 300 "$bin/bovila" "$@"; }
ranks() {
  local number=$1
  shift
  timeout 300 "$MPIRUN" -np "$number" "$bin/bovila" "$@"
}
# Process ids of the ranks whose output folder is here, in the order of their starts.
rank_pids() { pgrep -f "^$bin/bovila .*output.folder=$PWD/out( |\$)"; }
is_mpich() { "$MPIRUN" --version | grep -q HYDRA; }

# exits STATUS COMMAND...: the command ends with this exit code; all it prints is in the file `said`.
exits() {
  local expected=$1 status=0
  shift
  "$@" >said 2>&1 </dev/null || status=$?
  [[ $status == "$expected" ]] && return
  cat said
  echo "expected exit code $expected, got $status: $*"
  return 1
}

# says TEXT...: each text is in `said`. says_once TEXT: on one line of it.
says() {
  local text
  for text in "$@"; do
    grep -qF -- "$text" said && continue
    cat said
    echo "expected to read: $text"
    return 1
  done
}
says_once() {
  local found
  found=$(grep -cF -- "$1" said) || true
  [[ $found == 1 ]] && return
  cat said
  echo "expected on one line, found on $found: $1"
  return 1
}
# lacks TEXT...: no text is in `said`. (A line that begins with ! ends no test.)
lacks() {
  local text
  for text in "$@"; do
    grep -qF -- "$text" said || continue
    cat said
    echo "expected not to read: $text"
    return 1
  done
}

# holds PYTHON: the expression is true, with `load(path)` for JSON and `lines(path)` for JSON lines.
holds() {
  python3 - "$1" <<'END'
import json, sys
def load(path): return json.load(open(path))
def lines(path): return [json.loads(line) for line in open(path)]
if not eval(sys.argv[1]):
    print('does not hold:', sys.argv[1])
    sys.exit(1)
END
}

# run_tests NAME: every function test_... of the script, in the order of the script.
run_tests() {
  local test text failed=0
  for test in $(grep -o '^test_[a-z0-9_]*' "$0"); do
    text="$1: $(tr _ ' ' <<<"${test#test_}")"
    mkdir "$work/$test"
    (
      set -euo pipefail
      cd "$work/$test"
      "$test"
    ) >"$work/log" 2>&1
    if (($? == 0)); then
      echo "ok $text"
    else
      cat "$work/log"
      echo "FAILED $text"
      failed=1
    fi
  done
  exit $failed
}
