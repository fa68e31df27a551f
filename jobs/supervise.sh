#!/usr/bin/env bash
# jobs/supervise.sh DECK [ARGUMENTS OF BOVILA] -- mpirun -np 8: what jobs/run.sh does, without Slurm.
# Starts mpirun -np 8 bovila DECK ARGUMENTS, starts it again after a crash, a lost rank or a hang
# (jobs/restarts.bash), without a host that fails (jobs/hosts.bash) where mpirun's words name the hosts
# (--host a:4,b:4 or --hostfile FILE), and ends with the program's exit code. TERM, USR1 and USR2 stop
# the run, with its state saved and exit code 75. Reads BOVILA, BOVILA_ENV, BOVILA_RESTARTS and
# BOVILA_PAUSE as jobs/run.sh does.
set -uo pipefail

readonly job=none
launcher=() running='' stopping=''

here=${0%/*}
[[ $here == "$0" ]] && here=.
# shellcheck source=jobs/restarts.bash
source "$here/restarts.bash"
# shellcheck source=jobs/mpirun_hosts.bash
source "$here/mpirun_hosts.bash"

usage() { stop "expected DECK [ARGUMENTS OF BOVILA] -- mpirun ..., $1"; }

# read_arguments ARGUMENT...: sets DECK, arguments and launcher.
read_arguments() {
  local at=0 i
  for ((i = 1; i <= $#; ++i)); do
    [[ ${!i} == -- ]] && at=$i && break
  done
  ((at > 0)) || usage "there is no --"
  ((at > 1)) || usage "there is no deck"
  ((at < $#)) || usage "there is nothing behind the --"
  DECK=$1
  arguments=("${@:2:at-2}")
  launcher=("${@:at+1}")
}

# mpirun passes USR1 on to all ranks and waits for them; on TERM it would kill them.
# shellcheck disable=SC2317 # by the trap
pass_on() {
  stopping=yes
  [[ -n $running ]] && kill -USR1 "$running" 2>/dev/null
}

# In the background, or a signal would be heard when it is all over.
launch() {
  "$@" &
  running=$!
  until wait "$running" || ! kill -0 "$running" 2>/dev/null; do :; done
  wait "$running"
}

may_go_on() { [[ -z $stopping ]]; }

come_back_without() { return 1; } # nothing else has other hosts

trap pass_on TERM USR1 USR2
trap remove_hosts_file EXIT
trap 'stopping=yes' INT # the terminal sends it to mpirun itself
read_arguments "$@"
read_site_file
find_deck
check_limits
find_program
command -v "${launcher[0]}" >/dev/null || stop "'${launcher[0]}' is not on the PATH"
find_output
read_hosts
run_ranks
was_stopped || exit "$status"
say "stopped before its end: start the same command again to go on"
exit $kPreempted
