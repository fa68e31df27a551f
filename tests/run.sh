#!/usr/bin/env bash
# Runs the tests: tests/run.sh [unit|golden|mpi|cli|slurm|bundle|gpu|soak|fuzz|asan|tsan|aarch64|mpich|
# all]...; without a word, all of them but gpu, which fails on a machine without a GPU, soak and fuzz,
# which take long, and asan, tsan, aarch64 and mpich, which are for builds of their own.
#   BUILD    build folder (default: build)
#   GOLDEN   folder of golden numbers for the golden tests (default: tests/golden/mini)
#   MPIRUN   what starts ranks (default: mpirun)
# Both folders may be relative to the folder that this is called from. Prints each suite with its time, the
# output of those that failed, and as its last line `N passed, N failed`; exits 1 when a test
# failed, a suite crashed or ran out of time, or nothing ran.
#
# Without a word, suites run side by side, one more than there are cores, since many of them mostly
# wait; the long ones begin. No test depends on how fast it is.
#
# Open MPI is told, for the tests alone, that root may start ranks and that there may be more of
# them than cores. As many threads compute as leave a core to each rank, and they sleep while they
# wait: spinning ones take a busy machine six times as long.
set -uo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
BUILD=$(realpath -m "${BUILD:-$root/build}")
golden=$(realpath -m "${GOLDEN:-$root/tests/golden/mini}")
export BUILD
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 # what mpirun's --oversubscribe sets
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
export MPIRUN=${MPIRUN:-mpirun}
cores=$(nproc)

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
log=$scratch/log
touch "$scratch/counts"

# Tests leave what is the user's as it was: their home is an empty folder, which stays empty, and
# output/ and data/ keep every file.
export HOME=$scratch/home
mkdir "$HOME"
belongings() { (cd "$root" && find output data -printf '%p %s %T@\n' 2>/dev/null | sort); }
belongings >"$scratch/before"

# doctest_count WORD: N of "N WORD" in the last summary of test cases in the log, 0 without one.
doctest_count() {
  sed -n "s/^\[doctest\] test cases:.* \([0-9]\+\) $1.*/\1/p" "$log" | tail -1 | grep . || echo 0
}

# shell_count WORD: lines "WORD NAME" in the log.
shell_count() { grep -c "^$1 " "$log"; }

# report NAME SECONDS: prints a suite whose output is in the log, and counts its tests: a line "PASSED
# FAILED" in the file `counts`. Returns whether all passed.
report() {
  local good bad
  good=$(($(doctest_count passed) + $(shell_count ok)))
  bad=$(($(doctest_count failed) + $(shell_count FAILED)))
  ((status == 0 && good + bad == 0)) && echo "no test ran" >>"$log" && bad=1
  ((status != 0 && bad == 0)) && bad=1
  echo "$good $bad" >>"$scratch/counts"
  printf '%-24s %4d passed, %d failed   %3d s\n' "$1" "$good" "$bad" "$2"
  ((bad == 0))
}

# suite NAME SECONDS COMMAND...: runs the command for at most so long (a sanitizer's: SLOWER times
# that). What it prints comes in one piece, whatever runs beside it.
suite() {
  if [[ -n ${collecting:-} ]]; then
    queue+=("$(printf '%q ' "$@")")
    return
  fi
  local name=$1 limit=$(($2 * ${SLOWER:-1})) start=$SECONDS status=0
  shift 2
  timeout --kill-after=10 "$limit" "$@" >"$log" 2>&1 </dev/null || status=$?
  {
    flock 9
    report "$name" $((SECONDS - start)) || {
      cat "$log"
      ((status == 124 || status == 137)) && echo "$name: stopped after $limit s"
      ((status != 0)) && echo "$name: exit code $status"
    }
  } 9>"$scratch/printing"
}

# side_by_side KIND...: all suites of these kinds, each taken by the next of the workers that is free.
side_by_side() {
  local queue=() collecting=yes kind worker workers=()
  for kind in "$@"; do "$kind"; done
  collecting=
  echo 0 >"$scratch/next"
  for ((worker = 0; worker <= cores; ++worker)); do
    work "$worker" &
    workers+=($!)
  done
  for worker in "${workers[@]}"; do
    wait "$worker" || echo "0 1" >>"$scratch/counts"
  done
}
work() {
  log=$scratch/log-$1
  local next
  while next=$(take) && ((next < ${#queue[@]})); do
    eval "suite ${queue[next]}"
  done
  return 0
}
take() { # the number of the next suite, each once
  {
    flock 8
    local next
    next=$(<"$scratch/next")
    echo $((next + 1)) >"$scratch/next"
    echo "$next"
  } 8>"$scratch/taking"
}

# untouched: the check of what is the user's, as a suite.
untouched() {
  belongings >"$scratch/after"
  diff "$scratch/before" "$scratch/after" && find "$HOME" -mindepth 1 | (! grep .) &&
    echo "ok nothing outside scratch folders has changed" ||
    echo "FAILED a test changed the user's files: those above, or in the home"
}

unit() {
  suite base_tests 900 "$BUILD/bin/base_tests"
  suite "fuzz corpora" 300 "$BUILD/bin/fuzz_replay"
  suite torch_tests 1200 env OMP_NUM_THREADS="$cores" "$BUILD/bin/torch_tests"
}

golden() {
  suite golden_tests 1200 env BOVILA_GOLDEN="$golden" OMP_NUM_THREADS="$cores" \
    "$BUILD/bin/golden_tests"
  [[ -z ${SLOWER:-} ]] || return 0 # MPI itself is not watched
  local ranks
  for ranks in 2 4; do
    suite "golden runs, $ranks ranks" 1200 env BOVILA_GOLDEN="$golden" OMP_NUM_THREADS=1 \
      "$MPIRUN" -np $ranks "$BUILD/bin/golden_group_tests"
  done
}

# What needs no LibTorch, compiled for aarch64 and run by an emulator of that processor.
aarch64() {
  local emulator=(qemu-aarch64-static -L "$root/.deps/aarch64")
  export SLOWER=6
  suite "base_tests, aarch64" 900 "${emulator[@]}" "$BUILD/bin/base_tests"
  suite "fuzz corpora, aarch64" 300 "${emulator[@]}" "$BUILD/bin/fuzz_replay"
}

# The unit and golden tests of a build with the address and undefined-behaviour sanitizers.
asan() {
  export SLOWER=6
  export ASAN_OPTIONS=strict_string_checks=1:detect_stack_use_after_return=1:check_initialization_order=1
  export UBSAN_OPTIONS=print_stacktrace=1
  export LSAN_OPTIONS=suppressions=$root/tests/leaks.supp:print_suppressions=0
  # The sanitizer's dlopen does not look where the program's run path leads.
  LD_LIBRARY_PATH=$(dirname "$(sed -n 's/^TORCH_CUDA_LIB:FILEPATH=//p' "$BUILD/CMakeCache.txt")")
  export LD_LIBRARY_PATH
  unit
  golden
}

# What threads and signal handlers share, of a build with the thread sanitizer. Tests that fork
# while threads of others sleep may start threads in the child.
tsan() {
  export SLOWER=6
  export TSAN_OPTIONS=die_after_fork=0
  suite thread_tests 300 "$BUILD/bin/thread_tests"
}

mpi() {
  local ranks
  for ranks in 1 2 3 4; do
    suite "mpi_tests, $ranks ranks" 600 env OMP_NUM_THREADS=$((cores > ranks ? cores / ranks : 1)) \
      "$MPIRUN" -np $ranks "$BUILD/bin/mpi_tests"
    suite "nccl_tests, $ranks ranks" 600 env OMP_NUM_THREADS=$((cores > ranks ? cores / ranks : 1)) \
      "$MPIRUN" -np $ranks "$BUILD/bin/nccl_tests"
  done
}

# One rank without a GPU too: it says what is missing.
gpu() {
  local ranks devices
  devices=$("$BUILD/bin/gpu_tests" --devices)
  for ((ranks = 1; ranks <= (devices > 1 ? devices : 1); ++ranks)); do
    suite "gpu_tests, $ranks ranks" 600 "$MPIRUN" -np $ranks "$BUILD/bin/gpu_tests"
  done
  ((devices > 1)) || return 0
  suite "rank_death.sh on GPUs" 900 env DEVICE=cuda \
    RANKS="$(seq -s ' ' 2 $((devices < 4 ? devices : 4)))" "$root/tests/cli/rank_death.sh"
}

cli() {
  local script
  for script in "$root"/tests/cli/*.sh; do
    suite "$(basename "$script")" 1200 "$script"
  done
}

slurm() {
  local script
  for script in "$root"/tests/slurm/*.sh; do
    suite "Slurm, $(basename "$script")" 1200 "$script"
  done
}

# What has to do with ranks, signals and ends of ranks, of a build with Debian's MPICH.
mpich() {
  local script
  export MPIRUN=mpirun.mpich BOVILA_PMI=pmi2
  mpi
  for script in bovila check numbers people rank_death resume; do
    suite "$script.sh" 1200 "$root/tests/cli/$script.sh"
  done
  suite "Slurm, jobs.sh" 1200 "$root/tests/slurm/jobs.sh"
}

bundle() { suite bundle 1200 "$root/tests/bundle/bundle.sh"; }

# shown NAME SECONDS COMMAND: a suite of shell tests whose tables are shown while they grow.
shown() {
  local start=$SECONDS status=0
  timeout --kill-after=10 "$2" "$3" 2>&1 </dev/null | tee "$log" || status=$?
  report "$1" $((SECONDS - start))
}

soak() { shown soak 14400 "$root/tests/soak/soak.sh"; }

# Each target stops by itself.
fuzz() { shown fuzz infinity "$root/tests/fuzz/fuzz.sh"; }

(($#)) || set -- all
for kind in "$@"; do
  case $kind in
    unit | golden | mpi | cli | slurm | bundle | gpu | soak | fuzz | asan | tsan | aarch64 | mpich)
      $kind
      ;;
    all)
      side_by_side slurm bundle cli mpi golden unit
      ;;
    *)
      echo "tests/run.sh: expected unit, golden, mpi, cli, slurm, bundle, gpu, soak, fuzz, asan, tsan," \
        "aarch64, mpich or all, got '$kind'" >&2
      echo "0 1" >>"$scratch/counts"
      ;;
  esac
done

status=0
untouched >"$log"
report "the user's files" 0 || cat "$log"
read -r passed failed < <(awk '{passed += $1; failed += $2} END {print passed + 0, failed + 0}' "$scratch/counts")
(($(wc -l <"$scratch/counts") > 1)) || failed=1
echo "$passed passed, $failed failed"
((failed == 0))
