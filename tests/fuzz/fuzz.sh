#!/usr/bin/env bash
# Fuzzes the parsers: tests/fuzz/fuzz.sh [TARGET...]; without a word, every target of tests/fuzz.
#   BUILD          build folder with the targets (default: build-fuzz), made by `make fuzz`
#   FUZZ_SECONDS   how long each target runs (default: 600)
#   JOBS           targets at a time (default: as many as cores)
# A target starts from tests/fuzz/corpus/TARGET and what earlier runs added to BUILD/corpus/TARGET.
# Its finds are files BUILD/finds/TARGET/{crash,leak,oom,timeout}-*; any that is there fails it.
# Prints a table and a line "ok fuzz: TARGET" or "FAILED fuzz: TARGET" each; exits 1 after a find.
set -uo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
BUILD=$(realpath -m "${BUILD:-$root/build-fuzz}")
export BUILD FUZZ_SECONDS=${FUZZ_SECONDS:-600}
(($#)) || set -- $(basename -s .cpp "$root"/tests/fuzz/*.cpp)

# In memory where there is any: inputs become files for the parsers that want one.
work=$(mktemp -d -p "$([[ -w /dev/shm ]] && echo /dev/shm || echo "${TMPDIR:-/tmp}")")
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work
# A C library that asks for too much gets none, as from the system; operator new makes it a find.
export ASAN_OPTIONS=allocator_may_return_null=1:max_allocation_size_mb=512
export LSAN_OPTIONS=suppressions=$root/tests/leaks.supp:print_suppressions=0

# run TARGET: fuzzes it until its time is over or something is found.
run() {
  local name=$1
  local seeds=$root/tests/fuzz/corpus/$name corpus=$BUILD/corpus/$name finds=$BUILD/finds/$name
  mkdir -p "$corpus" "$finds"
  timeout --kill-after=60 $((FUZZ_SECONDS + 300)) \
    "$BUILD/bin/fuzz_$name" "$corpus" "$seeds" -max_total_time="$FUZZ_SECONDS" \
    -rss_limit_mb=2048 -timeout=60 -max_len=16384 -use_value_profile=1 \
    -print_final_stats=1 -artifact_prefix="$finds/" >"$BUILD/fuzz_$name.log" 2>&1 </dev/null
  echo $? >"$BUILD/fuzz_$name.status"
}
export -f run
export root

printf '%s\n' "$@" | xargs -P "${JOBS:-$(nproc)}" -I{} bash -c 'run {}'

# stat LOG NAME: a number that libFuzzer prints at its end; "-" where a find came before.
stat() { sed -n "s/^stat::$2: *//p" "$1" | tail -1 | grep . || echo -; }

printf '%-18s %12s %8s %10s %8s %6s\n' target executions exec/s "new units" "peak MB" finds
failed=0 verdicts=()
for name in "$@"; do
  log=$BUILD/fuzz_$name.log
  finds=$(find "$BUILD/finds/$name" -type f | wc -l)
  printf '%-18s %12s %8s %10s %8s %6d\n' "$name" "$(stat "$log" number_of_executed_units)" \
    "$(stat "$log" average_exec_per_sec)" "$(stat "$log" new_units_added)" \
    "$(stat "$log" peak_rss_mb)" "$finds"
  if [[ $finds == 0 && $(<"$BUILD/fuzz_$name.status") == 0 ]]; then
    verdicts+=("ok fuzz: $name")
  else
    grep -m 5 -E 'ERROR:|what\(\)|runtime error:|bytes of memory' "$log"
    verdicts+=("FAILED fuzz: $name, see $log and $BUILD/finds/$name")
    failed=1
  fi
done
printf '%s\n' "${verdicts[@]}"
exit $failed
