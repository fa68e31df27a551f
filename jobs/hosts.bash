# Hosts that fail: on which a rank was killed, crashed or hung twice, or which do not pass the
# self-check (run.self_check). They are left out of the next starts where the deck takes its steps on
# any number of ranks (train.questions_per_step), else the job comes back without them.
# Sourced by jobs/restarts.bash. Its scripts define
#   leave_hosts_out    function: has `launcher` start fewer ranks, on all hosts but those of `left_out`;
#                      fails where it cannot
#   come_back_without  function: the same with other hosts in their place, by a new start of the job;
#                      fails where there are none
#   hosts_in_use       function: prints them
#   check_host         function: the self-check of this one alone

declare -A failures=() # of ranks, by host
left_out=()

# setting TABLE KEY: the value that the program takes, a number or true or false: the last --set's, else
# the deck's; nothing where neither has it.
setting() {
  local set='' i word next
  for ((i = 0; i < ${#arguments[@]}; ++i)); do
    word=${arguments[i]} next=${arguments[i + 1]:-}
    [[ $word == --set && $next == "$1.$2="* ]] && set=${next#*=}
    [[ $word == "--set=$1.$2="* ]] && set=${word#*=*=}
  done
  echo "${set:-$(deck_line "$1" "$2" | sed -nE 's/^[^=]*=[ \t]*([^ \t#]+).*/\1/p')}"
}

# The host of the rank that the last start failed for, in the words of bovila, srun or mpirun; nothing
# where they did not say. A rank that is killed comes before those that srun ends because of it.
failed_host() {
  local words signals='Killed|Segmentation fault|Aborted|Bus error|Illegal instruction|Floating point exception'
  words=$(log_since_start)
  grep -m1 -oP ' hang: rank \d+ \(host \K[^,)]+' <<<"$words" ||
    grep -m1 -oP "^srun: error: \\K[^: ]+(?=: tasks? [0-9,-]+: ($signals))" <<<"$words" ||
    grep -m1 -oP 'process rank \d+ with PID \d+ on node \K\S+(?= exited on signal)' <<<"$words"
}

# leave_out REASON HOST...: fails when the ranks cannot be started again by this script.
leave_out() {
  local reason=$1 per_step
  shift
  left_out+=("$@")
  per_step=$(setting train questions_per_step)
  if ((${per_step:-0} > 0)) && leave_hosts_out; then
    say "$* is left out, $reason; the other ranks take the same steps"
    return 0
  fi
  if come_back_without; then
    say "the job comes back without $*, $reason"
    return 1
  fi
  left_out=("${left_out[@]:0:${#left_out[@]}-$#}")
  say "there are no ranks without $*, $reason: it stays"
}

# note_failed_host: fails when the ranks cannot be started again by this script.
note_failed_host() {
  local host
  host=$(failed_host) || return 0
  failures[$host]=$((${failures[$host]:-0} + 1))
  say "a rank failed on $host${failures[$host]:+ (${failures[$host]})}"
  ((failures[$host] == 2)) || return 0
  leave_out "where ranks failed twice" "$host"
}

# pass_self_check: where the deck wants it. Fails when the ranks cannot be started, and sets `status`.
pass_self_check() {
  local host failing=()
  [[ $(setting run self_check) == true ]] || return 0
  until launch "${launcher[@]}" "$BOVILA" --self-check; do
    status=$?
    may_go_on || {
      status=$kPreempted
      return 1
    }
    failing=()
    for host in $(hosts_in_use); do check_host "$host" >/dev/null 2>&1 || failing+=("$host"); done
    if ((${#failing[@]} == 0)); then
      say "the self-check failed (exit code $status), and on no host alone: the ranks are not started"
      return 1
    fi
    say "the self-check fails on ${failing[*]}"
    leave_out "where the self-check fails" "${failing[@]}" || return 1
    [[ " ${left_out[*]} " == *" ${failing[0]} "* ]] || return 1
  done
}
