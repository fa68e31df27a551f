# What the demo scripts share. A script sets `root`, the repository's, and sources this.
#   BUILD=ROOT/build   build folder with bin/bovila and bin/pth2h5
bin=$(realpath -m "${BUILD:-$root/build}/bin")
PATH=$bin:$PATH # where a bundle has its mpirun
export OMPI_MCA_rmaps_base_oversubscribe=1 # two ranks on one core are slow, not an error
if ((EUID == 0)); then # as in containers; mpirun wants to hear it twice
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

step() { printf '\n== %s\n' "$1"; }

# need PROGRAM...: each is there.
need() {
  local program
  for program in "$@"; do
    [[ -x $bin/$program ]] || { echo "demo: $bin/$program is missing; run: make build" >&2; exit 1; }
  done
}

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

# trained LOG COMMAND...: shows what it says but for the deck and most progress lines; all is in LOG.
trained() {
  local log=$1
  shift
  "$@" 2>&1 | tee "$log" | highlights || {
    tail -20 "$log" >&2
    echo "demo: the training failed; all of its output is in $log" >&2
    exit 1
  }
}
highlights() {
  grep --line-buffered -E ' (epoch 0 step|epoch [0-9]+ done:|warning:|error:)' || true
}
