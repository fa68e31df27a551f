#!/usr/bin/env bash
# A rank that dies or stops never leaves the others hanging: they end within the time limit, and
# where mpirun does not end them itself each of them says what it waited for.
# Uses the programs rank_death and rank_death_double, whose NCCL is a double (tests/ranks). Settings,
# for tests/run.sh gpu:
#   DEVICE   cpu (default) or cuda: where the ranks' tensors are, and so whether MPI or NCCL is used
#   RANKS    numbers of ranks to try (default: "2 3 4")
source "$(dirname "$0")/helpers.bash"

# run.collective_timeout_s of the ranks: a busy machine may keep one from its core for seconds.
limit=5
slack=20 # seconds on top of it for the last words, ncclCommAbort (up to 10) and mpirun's own end
DEVICE=${DEVICE:-cpu}
RANKS=${RANKS:-2 3 4}
program=rank_death
come=steps # the ranks have come when they take steps
# What keeps mpirun from ending the others when a rank was killed, and mpirun's exit code then.
let_live="--mca orte_abort_on_non_zero_status 0" kill_code=137
if is_mpich; then let_live=-disable-auto-cleanup kill_code=9; fi

# start RANKS MPIRUN_OPTION... -- ARGUMENT...: runs the program in the background and waits until all
# of its ranks have come. Sets `job`, mpirun's process id, and `pids`, the ranks'.
start() {
  local number=$1 options=() tries=0
  shift
  while [[ $1 != -- ]]; do options+=("$1") && shift; done
  shift
  rm -rf pids && mkdir pids
  "$MPIRUN" -np "$number" "${options[@]}" "$bin/$program" "$PWD/pids" $limit "$DEVICE" "$@" \
    >said 2>&1 </dev/null &
  job=$!
  until [[ $(cat pids/$come-* 2>/dev/null | wc -l) == "$number" ]]; do
    ((++tries < 600)) || { cat said && echo "the ranks did not start" && return 1; }
    sleep 0.1
  done
  pids=$(cat pids/pid-* | tr '\n' ' ')
}

# lives PID...: one of the processes runs. A dead one that its parent has not asked about does not.
lives() { ps -o stat= -p "$(tr ' ' , <<<"$*")" | grep -q '^[^Z]'; }

# ends STATUS: the job ends with this exit code within the time limit and leaves no process behind.
ends() {
  local status=0 deadline=$((SECONDS + limit + slack))
  while lives "$job" $pids && ((SECONDS < deadline)); do sleep 0.1; done
  if lives "$job" $pids; then
    cat said
    ps -o pid,stat,args -p "$(tr ' ' , <<<"$job $pids")"
    kill -KILL "$job" $pids
    echo "these processes have not ended within $((limit + slack)) s"
    return 1
  fi
  wait "$job" || status=$?
  [[ $status == "$1" ]] && return
  cat said
  echo "expected exit code $1, got $status"
  return 1
}

# survivors_say N STEP: ranks 0 to N - 2 of N have each named themselves, step, call and limit.
# Where NCCL sees by itself that the peer is gone it gives its own reason instead of the limit.
survivors_say() {
  local rank
  if [[ $DEVICE == cuda ]]; then
    says "(step $2)"
    return
  fi
  for ((rank = 0; rank < $1 - 1; ++rank)); do
    says_once "rank $rank of $1 (step $2) waited $limit s for the others in an all-reduce of 100000 Float; one of them has died or hangs"
  done
}

test_mpirun_ends_the_others_when_a_rank_is_killed() {
  for number in $RANKS; do
    start "$number" -- kill 50
    ends $kill_code
  done
}

test_ranks_that_mpirun_lets_live_end_themselves_and_say_why() {
  for number in $RANKS; do
    start "$number" $let_live -- kill 50
    ends $kill_code
    survivors_say "$number" 50
  done
}

test_a_stopped_rank_ends_the_others_within_the_limit() {
  for number in $RANKS; do
    start "$number" -- stop 50
    ends 1
    survivors_say "$number" 50
  done
}

test_a_rank_that_dies_or_stops_inside_a_backward_pass_ends_the_others_who_say_why() {
  for number in $RANKS; do
    start "$number" $let_live -- kill 50 pass
    ends $kill_code
    survivors_say "$number" 50
    start "$number" -- stop 50 pass
    ends 1
    survivors_say "$number" 50
  done
}

# killed NUMBER VICTIM: one of so many ranks is killed, at a random moment; mpirun does not help, and
# the others say what they waited for and end.
killed() {
  local rank
  start "$1" $let_live --
  sleep "0.$((RANDOM % 5))$((RANDOM % 10))"
  kill -KILL "$(cat "pids/pid-$2")"
  ends $kill_code
  [[ $DEVICE == cuda ]] && return
  for ((rank = 0; rank < $1; ++rank)); do
    ((rank == $2)) || grep -qE "rank $rank of $1 \(step [0-9]+\) waited $limit s for the others in an \
all-reduce of 100000 Float; one of them has died or hangs" said || { cat said && return 1; }
  done
}

# Four at a time: most of the time is spent on waiting.
test_a_kill_at_any_of_20_moments_ends_the_others_without_mpiruns_help() {
  local number=3 i tries try
  [[ " $RANKS " == *" 3 "* ]] || number=${RANKS##* }
  for ((i = 0; i < 20; i += 4)); do
    tries=()
    for ((try = i; try < i + 4; ++try)); do
      mkdir "$try"
      (cd "$try" && killed "$number" $((try % number))) &
      tries+=($!)
    done
    for try in "${tries[@]}"; do wait "$try"; done
  done
}

test_a_rank_that_dies_or_stops_over_nccl_ends_the_others_who_say_why() {
  program=rank_death_double DEVICE=cpu
  start 3 $let_live -- kill 50
  ends $kill_code
  survivors_say 3 50
  start 3 -- stop 50
  ends 1
  survivors_say 3 50
}

test_a_rank_that_dies_or_stops_while_nccl_starts_ends_the_others_who_say_why() {
  local rank word
  program=rank_death_double DEVICE=cpu come=pid
  for word in "kill $kill_code" "stop 1"; do
    start 3 $let_live -- "${word% *}" -1
    ends "${word#* }"
    for rank in 0 1; do
      says_once "rank $rank of 3 waited 2.5 s for the others in starting NCCL (ncclCommInitRankConfig); one of them has died or hangs"
    done
  done
}

run_tests rank_death
