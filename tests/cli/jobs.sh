#!/usr/bin/env bash
# jobs/*.slurm and jobs/run.sh without Slurm: a fake srun notes how it was called and runs one rank.
# Uses $BUILD/bin/bovila. Prints one line a check, "ok NAME" or "FAILED NAME: why"; exits 1 when one
# failed.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

bovila=$(realpath -m "${BUILD:-build}/bin/bovila")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

ok() { echo "ok jobs: $1"; }
fail() {
  echo "FAILED jobs: $1: $2"
  failed=1
}

mkdir "$work/bin"
cat >"$work/bin/srun" <<'SRUN'
#!/usr/bin/env bash
printf '%s\n' "$@" >"$NOTES"
echo "cpus ${SRUN_CPUS_PER_TASK:-unset}" >>"$NOTES"
while [[ $1 == --* ]]; do shift; done
exec "$@"
SRUN
cat >"$work/bin/rank" <<'RANK' # a program that ends as it is told
#!/usr/bin/env bash
exit "${EXIT_WITH:-0}"
RANK
chmod +x "$work/bin/"*
export PATH=$work/bin:$PATH NOTES=$work/notes
unset DECK BOVILA BOVILA_ARGS BOVILA_ENV SRUN_ARGS SLURM_CPUS_PER_TASK SRUN_CPUS_PER_TASK

# job STATUS TEXT NAME VARIABLE=VALUE... COMMAND: one check of exit code and output.
job() {
  local expected=$1 text=$2 name=$3 status=0
  shift 3
  rm -f "$NOTES"
  env "$@" >"$work/out" 2>&1 </dev/null || status=$?
  if ((status != expected)); then
    fail "$name" "expected exit code $expected, got $status: $(tail -c 300 "$work/out")"
  elif ! grep -qF -- "$text" "$work/out"; then
    fail "$name" "expected \"$text\", got: $(tail -c 300 "$work/out")"
  else
    ok "$name"
  fi
}

# called NAME LINES...: how srun was called, one word a line, and the cpus it was given.
called() {
  local name=$1
  shift
  if diff <(printf '%s\n' "$@") "$NOTES" >"$work/diff" 2>&1; then
    ok "$name"
  else
    fail "$name" "$(tr '\n' ' ' <"$work/diff")"
  fi
}

# --- each job: settings at the top, its own deck, nothing else -----------------------------------
for script in jobs/*.slurm; do
  name=$(basename "$script" .slurm)
  job 0 "" "$name starts" BOVILA=rank bash "$script"
  called "$name runs its deck" --mpi=pmix rank "input/$name.toml" "cpus unset"
  for setting in nodes=1 ntasks-per-node=8 cpus-per-task= time= output=; do
    grep -q "^#SBATCH --$setting" "$script" || fail "$name sets $setting" "no #SBATCH line for it"
  done
  [[ -r input/$name.toml ]] && ok "$name has a deck" || fail "$name has a deck" "input/$name.toml?"
done
for deck in star dramaqa vlep tvqa how2qa; do
  [[ -r jobs/$deck.slurm ]] && ok "$deck has a job" || fail "$deck has a job" "none"
done

# --- variables -----------------------------------------------------------------------------------
job 0 "" "DECK replaces the deck" BOVILA=rank DECK=input/demo.toml bash jobs/star.slurm
called "the other deck is run" --mpi=pmix rank input/demo.toml "cpus unset"
job 0 "" "BOVILA_ARGS and SRUN_ARGS are split at blanks" BOVILA=rank DECK=input/demo.toml \
  BOVILA_ARGS="--set train.epochs=5  --check" SRUN_ARGS="--label --cpu-bind=cores" jobs/run.sh
called "arguments arrive in order" --mpi=pmix --label --cpu-bind=cores rank input/demo.toml --set \
  train.epochs=5 --check "cpus unset"
job 0 "" "arguments with a star stay as they are" BOVILA=rank DECK=input/demo.toml \
  BOVILA_ARGS="--output out/*" jobs/run.sh
called "no file names for the star" --mpi=pmix rank input/demo.toml --output "out/*" "cpus unset"
job 0 "" "sbatch's cpus-per-task reaches srun" BOVILA=rank DECK=input/demo.toml \
  SLURM_CPUS_PER_TASK=7 jobs/run.sh
called "srun has the cpus" --mpi=pmix rank input/demo.toml "cpus 7"
echo 'export EXIT_WITH=9' >"$work/site"
job 9 "exit code 9" "BOVILA_ENV is read first" BOVILA=rank DECK=input/demo.toml \
  BOVILA_ENV="$work/site" jobs/run.sh

# --- exit codes are the program's ----------------------------------------------------------------
for status in 0 1 2 75 137; do
  job $status "exit code $status" "ends with exit code $status" BOVILA=rank EXIT_WITH=$status \
    DECK=input/demo.toml jobs/run.sh
done

# --- what is missing is named, and nothing is started --------------------------------------------
missing() {
  job "$@"
  [[ -e $NOTES ]] && fail "$3: nothing is started" "srun was called" || ok "$3: nothing is started"
}
missing 2 "DECK is not set" "needs a deck" BOVILA=rank jobs/run.sh
missing 2 "'input/no.toml' cannot be read" "names a missing deck" BOVILA=rank DECK=input/no.toml \
  jobs/run.sh
missing 2 "'nowhere/bovila' is not there" "names a missing program" BOVILA=nowhere/bovila \
  DECK=input/demo.toml jobs/run.sh
missing 2 "'$work/none' cannot be read" "names a missing BOVILA_ENV" BOVILA=rank \
  BOVILA_ENV="$work/none" DECK=input/demo.toml jobs/run.sh
mkdir "$work/empty"
missing 2 "srun is not on the PATH" "names a missing srun" PATH="$work/empty" \
  BOVILA="$work/bin/rank" DECK=input/demo.toml "$BASH" jobs/run.sh

# --- the real program ----------------------------------------------------------------------------
job 0 "DECK TEXT REQUIRED" "starts the real program" BOVILA="$bovila" DECK=input/demo.toml \
  BOVILA_ARGS=--help jobs/run.sh
job 2 "unknown key 'train.epoch'" "passes the real program's error on" BOVILA="$bovila" \
  DECK=input/demo.toml BOVILA_ARGS="--set train.epoch=1" jobs/run.sh

exit $failed
