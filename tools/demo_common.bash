# What the demo scripts share. A script sets `root`, the repository's, and sources this.
#   BUILD=ROOT/build   build folder with bin/bovila and bin/pth2h5
bin=$(realpath -m "${BUILD:-$root/build}/bin")
PATH=$bin:$PATH # where a bundle has its mpirun
export OMPI_MCA_rmaps_base_oversubscribe=1 # two ranks on one core are slow, not an error
if ((EUID == 0)); then # as in containers; mpirun wants to hear it twice
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

# options WORD...: of a demo script. Sets the arrays `fresh` and `settings`; --help shows the
# script's first lines.
options() {
  fresh=() settings=()
  while (($#)); do
    case $1 in
      --help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" && exit ;;
      --fresh) fresh=(--fresh) ;;
      --set)
        [[ ${2:-} == *?.?*=?* ]] ||
          { echo "demo: --set: expected table.key=value, got: ${2:-nothing}" >&2; exit 2; }
        settings+=(--set "$2")
        shift
        ;;
      *)
        echo "demo: expected --fresh, --set KEY=VALUE, --help or nothing, got: $*" >&2
        exit 2
        ;;
    esac
    shift
  done
}

# is_done DECK: the run in $out has all epochs of its deck, or of the settings.
is_done() {
  local epochs
  epochs=$(printf '%s\n' "$(<"$1")" "${settings[@]#train.}" | grep -oP '^epochs *= *\K[0-9]+' | tail -1)
  [[ -e $out/log.txt ]] && (($(wc -l <$out/log.txt) >= epochs))
}

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

# trained LOG COMMAND...: shows what it says but for the start and most progress lines; all is in
# LOG, behind what earlier ones said.
trained() {
  local log=$1
  shift
  "$@" 2>&1 | tee -a "$log" | highlights || {
    tail -20 "$log" >&2
    echo "demo: the training failed; all of its output is in $log" >&2
    exit 1
  }
}
highlights() {
  local said=' (epoch 1 step|epoch [0-9]+ done:|warning:|error:)'
  grep --line-buffered -E -e "$said" -e ' (going on from|this run is complete|--fresh: )' || true
}
