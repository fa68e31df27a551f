# What jobs/run.sh and jobs/supervise.sh share: finding program, deck and output folder, and starting
# the ranks again after a crash, a lost rank or a hang. Sourced by both, which define
#   launcher    array: the command that starts the ranks, without the program
#   job         Slurm's number of the job, or none
#   launch      function: runs a command; its status is the command's
#   may_go_on   function: whether ranks may be started again now
# and what jobs/hosts.bash, which has failing hosts left out, wants. Reads the variables that
# jobs/run.sh lists.

readonly kPreempted=75
readonly kMaxPause_s=600
home=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd) # has jobs/ and input/: the source, or
readonly home                                # PREFIX/share/bovila
arguments=() # of the program
output=      # its output folder
status=      # the exit code of the ranks' last end

# shellcheck source=jobs/hosts.bash
source "${BASH_SOURCE[0]%/*}/hosts.bash"

say() { echo "jobs/${0##*/}: $1" >&2; }
stop() {
  say "$1"
  exit 2
}

# with_commas WORD...: one word of them.
with_commas() {
  local IFS=,
  echo "$*"
}

read_site_file() {
  [[ -n ${BOVILA_ENV:-} ]] || return 0
  [[ -r $BOVILA_ENV ]] || stop "BOVILA_ENV: the file '$BOVILA_ENV' cannot be read"
  # shellcheck disable=SC1090
  source "$BOVILA_ENV" || stop "BOVILA_ENV: '$BOVILA_ENV' failed"
}

find_program() {
  local path
  for path in "$home/build/bin/bovila" "$home/../../bin/bovila"; do
    [[ -z ${BOVILA:-} && -x $path ]] && BOVILA=$path
  done
  BOVILA=${BOVILA:-bovila}
  command -v "$BOVILA" >/dev/null ||
    stop "the program '$BOVILA' is not there; run make build, or set BOVILA to its path"
}

find_deck() {
  if [[ ! -r $DECK && -r $home/$DECK ]]; then
    DECK=$home/$DECK
    say "the deck is $DECK"
  fi
  [[ -r $DECK ]] ||
    stop "the deck '$DECK' cannot be read in $PWD; start from the folder that holds it"
}

# number_in NAME DEFAULT: the variable's value, a whole number.
number_in() {
  local value=${!1:-$2}
  [[ $value =~ ^[0-9]{1,6}$ ]] || stop "$1: expected a number, 0 or more, got '$value'"
  echo "$((10#$value))"
}

check_limits() {
  max_restarts=$(number_in BOVILA_RESTARTS 5) || exit 2
  first_pause_s=$(number_in BOVILA_PAUSE 10) || exit 2
}

# without_quotes TEXT: a TOML string's text, or a text that came without quotes.
without_quotes() {
  local text=$1
  [[ $text == \"*\" || $text == \'*\' ]] && text=${text:1:-1}
  echo "$text"
}

# deck_line TABLE KEY: the deck's line KEY = ... in [TABLE].
deck_line() {
  awk -v table="^[ \t]*\\\\[[ \t]*$1[ \t]*\\\\]" -v key="^[ \t]*$2[ \t]*=" \
    '/^[ \t]*\[/ { in_table = $0 ~ table } in_table && $0 ~ key { print }' "$DECK"
}

deck_output() {
  deck_line output folder |
    sed -nE "s/^[^=]*=[ \t]*(\"[^\"\\]*\"|'[^']*').*/\1/p"
}

# As the program does it: --output, else the last --set of output.folder, else the deck.
find_output() {
  local given='' set='' i word next
  for ((i = 0; i < ${#arguments[@]}; ++i)); do
    word=${arguments[i]} next=${arguments[i + 1]:-}
    case $word in
      --output) given=$next ;;
      --output=*) given=${word#--output=} ;;
      --set) [[ $next == output.folder=* ]] && set=${next#output.folder=} ;;
      --set=output.folder=*) set=${word#--set=output.folder=} ;;
    esac
  done
  output=${given:-$(without_quotes "${set:-$(deck_output)}")}
  [[ -n $output ]] ||
    stop "$DECK has no line folder = \"...\" in [output]; give the folder with --output"
}

# step-NNNNNNNN:CHECKSUM, or none. Within a long evaluation a step's checkpoint is replaced by one
# that is further; its manifest has the hashes of all that is in it.
newest_checkpoint() {
  local path newest=none manifest
  for path in "$output"/checkpoints/step-*; do
    [[ $path =~ /step-[0-9]+$ ]] && newest=${path##*/}
  done
  manifest=$output/checkpoints/$newest/manifest.json
  [[ -r $manifest ]] && newest+=:$(cksum <"$manifest" | cut -d' ' -f1)
  echo "$newest"
}

idle=0    # restarts in a row, the present one too, that found nothing new saved
last=none # the newest checkpoint at the last start

# What a job knows of its former lives: the file holds job, idle, last.
read_starts() {
  local file=$output/slurm-restarts of='' count='' newest=''
  [[ $job != none && -r $file ]] || return 0
  read -r of count newest <"$file"
  [[ $of == "$job" && $count =~ ^[0-9]+$ ]] && idle=$count last=$newest
  return 0
}

write_starts() {
  [[ $job == none ]] && return
  { mkdir -p "$output" && echo "$job $idle $last" >"$output/slurm-restarts"; } ||
    say "$output/slurm-restarts cannot be written: restarts without progress are not counted"
}

# note_restart: counts it, and gives up when too many in a row have saved nothing new.
note_restart() {
  local newest
  newest=$(newest_checkpoint)
  if [[ $last == "$newest" ]]; then idle=$((idle + 1)); else idle=0; fi
  last=$newest
  write_starts
  ((idle <= max_restarts)) && return
  say "gives up: $max_restarts restarts in a row saved nothing new in $output/checkpoints;"
  say "the reason is above. To try again, start the job again (the limit is BOVILA_RESTARTS)"
  exit "${status:-1}"
}

# note_start: the first start of this script, which is a restart where Slurm has put the job back.
note_start() {
  local restarts=${SLURM_RESTART_COUNT:-0} newest
  newest=$(newest_checkpoint)
  if ((restarts > 0)); then
    say "restart $restarts of job $job, newest checkpoint: ${newest%:*}"
    read_starts
    note_restart
  else
    last=$newest
    [[ -d $output ]] && write_starts
  fi
  return 0
}

# What was said since the last start, where this script's messages go to a file; in it Slurm's words
# for a process that took more memory than the job has.
log='' log_end=0
mark_log() {
  log=$(readlink /proc/self/fd/2)
  [[ ! -f $log ]] || log_end=$(stat -c %s "$log")
}
log_since_start() { [[ -f $log ]] && tail -c +$((log_end + 1)) "$log"; }
memory_ran_out() {
  log_since_start |
    grep -qE 'oom[-_]kill event|tasks? [0-9,-]+: Out Of Memory'
}

# Whether the same command may fare better. After the program's own errors (1, also that of a wait
# for a rank that hangs) and without memory only where it got further than before: else all would
# come again.
is_worth_a_restart() {
  case $status in
    0 | 2 | 126 | 127 | 130) return 1 ;; # done; the user's mistake; no program; the interrupt key
    "$kPreempted" | 129 | 138 | 140 | 143) return 1 ;;
    1) [[ $(newest_checkpoint) != "$last" ]] ;;
    *) ! memory_ran_out || [[ $(newest_checkpoint) != "$last" ]] ;;
  esac
}

# was_stopped: 75, or that of a stop signal that came while the program was being loaded.
was_stopped() {
  case $status in
    "$kPreempted" | 129 | 138 | 140 | 143) return 0 ;; # 128 + HUP, USR1, USR2, TERM
    *) return 1 ;;
  esac
}

explain() {
  say "bovila ended with exit code $status"
  memory_ran_out || return 0
  say "a rank was killed because the job's memory was used up: ask for more with sbatch --mem;"
  say "$BOVILA $DECK --check says what the deck needs"
}

# wait_for SECONDS, or less when a signal comes.
wait_for() {
  sleep "$1" &
  wait $!
  kill $! 2>/dev/null
}

# run_ranks: until they end in a way that no restart helps; sets `status`. From the second start on
# the program knows that --fresh and --resume have done their work.
run_ranks() {
  local restarted=() pause
  note_start
  while true; do
    pass_self_check || return 0
    mark_log
    launch "${launcher[@]}" "${restarted[@]}" "$BOVILA" "$DECK" "${arguments[@]}"
    status=$?
    explain
    is_worth_a_restart && may_go_on || return 0
    note_restart
    note_failed_host || return 0
    pause=$((first_pause_s << (idle < 16 ? idle : 16)))
    pause=$((pause < kMaxPause_s ? pause : kMaxPause_s))
    say "starting the ranks again in $pause s, from the newest checkpoint: ${last%:*}"
    wait_for "$pause"
    may_go_on || {
      status=$kPreempted
      return 0
    }
    restarted=(env BOVILA_RESTARTED=1)
    unset BOVILA_QUEUED_SINCE
  done
}
