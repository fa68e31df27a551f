#!/usr/bin/env bash
# A hang is explained: the rank that the others wait for is named in one line of the log, and each
# rank that lives leaves a report, which tools/hang reads afterwards. SIGQUIT makes them too, and ends
# nothing. Uses the programs rank_hang and rank_hang_double, whose NCCL is a double (tests/ranks).
. "$(dirname "$0")/helpers.bash"
limit=3

# hangs PROGRAM PLACE VICTIM STEP: three ranks, one of which hangs there; what they say is in `said`.
hangs() {
  rm -rf out && mkdir out
  local status=0
  timeout --kill-after=5 90 "$MPIRUN" -np 3 "$bin/$1" "$PWD/out" $limit "$2" "$3" "$4" >said 2>&1 </dev/null ||
    status=$?
  [[ $status == 1 ]] && return
  cat said
  echo "expected exit code 1, got $status: $*"
  return 1
}

# blames RANK STEP REST: the log and the tool say the same, in one line, of this rank and step.
blames() {
  says_once " hang: rank $1 (host "
  local sentence
  sentence=$(sed -n 's/.* hang: \(.*\)\. Stacks of all threads: .*/\1/p' said)
  grep -qE "^rank $1 \(host [^)]*\).* never came to an? |^rank $1 \(host [^)]*\) came to, and hangs in, " \
    <<<"$sentence" && grep -qF "in step $2" <<<"$sentence" && [[ $sentence == *"$3"* ]] || {
    cat said
    echo "rank $1 is not named with step $2 and '$3': $sentence"
    return 1
  }
  [[ $("$bin/bovila-hang" out | head -1) == "$sentence" ]]
}

# drawn TRY: a program, a place, a rank and a step by chance; the rank is named.
drawn() {
  local programs=(rank_hang rank_hang_double) places=(before inside between stop) program place victim
  program=${programs[$1 % 2]} place=${places[$1 / 2 % 4]} victim=$((RANDOM % 3)) step=$((RANDOM % 40))
  echo "$program $place $victim $step"
  hangs "$program" "$place" "$victim" $step
  case $place in
    stop) blames $victim $step "left no report and so is dead or stopped" ;;
    inside) blames $victim $step "hangs in" && blames $victim $step "an all-reduce of 1000 Float" ;;
    before) blames $victim $step "never came to an all-reduce of 1000 Float" ;;
    between) blames $victim $step "never came to an all-reduce of 1 Long" ;;
  esac
  blames $victim $step "where rank"
}

# Four at a time: most of the time is spent on waiting.
test_the_rank_that_hangs_is_named_at_20_of_20_places() {
  local i tries try
  for ((i = 0; i < 20; i += 4)); do
    tries=()
    for ((try = i; try < i + 4; ++try)); do
      mkdir $try
      (cd $try && drawn $try) &
      tries+=($!)
    done
    for try in "${tries[@]}"; do wait "$try"; done
  done
}

test_a_report_has_the_collectives_the_device_and_the_stacks_of_all_threads() {
  hangs rank_hang before 1 5
  holds "len(load('out/hang-rank0.json')['collectives']) >= 10"
  holds "load('out/hang-rank0.json')['collectives'][-1]['state'] == 'waiting'"
  holds "load('out/hang-rank0.json')['collectives'][-1]['what'] == 'an all-reduce of 1000 Float'"
  holds "load('out/hang-rank1.json')['why'] == 'asked by another rank'"
  holds "(lambda r: (r['stage'], r['device'], r['rank']))(load('out/hang-rank1.json')) == ('step 5', 'cpu', 1)"
  holds "any('hang_for_good' in f for f in load('out/hang-rank1.json')['threads'][0]['frames'])"
  holds "any('MpiCommunicator::all_reduce' in f for f in load('out/hang-rank2.json')['threads'][0]['frames'])"
  [[ ! -e out/hang.request ]]
  exits 0 "$bin/bovila-hang" out --stacks 1
  says_once "rank 1 on $(hostname), process $(cat out/pid-1), cpu: in step 5, waits for nobody"
  says "hang_for_good()"
  exits 2 "$bin/bovila-hang" out --stacks 7
  says_once "has no report of rank 7: expected hang-rank7.json"
  exits 2 "$bin/bovila-hang" nowhere
  says_once "hang: nowhere has no report of a hang (hang-rank0.json)"
}

# ras_service CLIENTS: answers so many as NCCL's service does, at the port that the file `port` names.
ras_service() {
  python3 - "$1" <<'PY'
import os, socket, sys
place = socket.create_server(("127.0.0.1", 0))
open("port.new", "w").write(str(place.getsockname()[1]))
os.rename("port.new", "port")
for _ in range(int(sys.argv[1])):
    client, _ = place.accept()
    lines = client.makefile("rw")
    for asked, said in (("CLIENT PROTOCOL", "SERVER PROTOCOL 2"), ("TIMEOUT", "OK")):
        assert lines.readline().startswith(asked)
        print(said, file=lines, flush=True)
    assert lines.readline() == "VERBOSE STATUS\n"
    lines.write("Job summary\n  Rank 1 -- GPU 0 managed by process 7: MISMATCH\n")
    lines.close()
    client.close()
PY
}

test_what_nccl_says_is_in_the_report_of_a_hosts_lowest_rank() {
  ras_service 1 &
  local i
  for ((i = 0; i < 100; ++i)); do [[ -e port ]] && break || sleep 0.1; done
  NCCL_RAS_ADDR=127.0.0.1:$(cat port) hangs rank_hang_double before 1 5
  wait
  holds "load('out/hang-rank0.json')['nccl_status'].startswith('Job summary')"
  holds "load('out/hang-rank1.json')['nccl_status'] == ''"
  exits 0 "$bin/bovila-hang" out --nccl
  says_once "NCCL on $(hostname):" "Rank 1 -- GPU 0 managed by process 7: MISMATCH"
  hangs rank_hang before 1 5
  exits 0 "$bin/bovila-hang" out --nccl
  says_once "NCCL: no answer (CPU runs do not ask it"
}

test_reports_of_a_job_that_was_killed_before_it_said_a_word_are_read() {
  mkdir out
  "$MPIRUN" -np 3 "$bin/rank_hang" "$PWD/out" 600 before 1 5 >said 2>&1 </dev/null &
  local job=$! i
  for ((i = 0; i < 600; ++i)); do [[ -e out/pid-2 ]] && break || sleep 0.1; done
  sleep 4 # longer than a wait that tells nothing
  kill -QUIT "$(cat out/pid-0)"
  for ((i = 0; i < 100; ++i)); do [[ -e out/hang-rank2.json && -e out/hang-rank1.json ]] && break || sleep 0.1; done
  kill -KILL "$job" $(cat out/pid-*)
  wait "$job" || true
  [[ $("$bin/bovila-hang" out | head -1) == "rank 1 (host $(hostname), process $(cat out/pid-1), in step 5) never came to an all-reduce of 1000 Float "*"in step 5, where ranks 0 and 2 waited" ]]
}

test_sigquit_to_one_rank_has_all_report_and_ends_nothing() {
  mkdir out
  "$MPIRUN" -np 2 "$bin/rank_hang" "$PWD/out" 60 none 0 60 >said 2>&1 </dev/null &
  local job=$! i
  for ((i = 0; i < 600; ++i)); do [[ -e out/pid-1 ]] && break || sleep 0.1; done
  kill -QUIT "$(cat out/pid-1)"
  wait "$job"
  says_once "warning: hang: no rank waits for another: rank 0 is in step"
  says "2 of 2 ranks reported"
  holds "load('out/hang-rank1.json')['why'] == 'SIGQUIT'"
  holds "load('out/hang-rank0.json')['why'] == 'asked by another rank'"
  [[ ! -e out/hang.request ]]
}

test_a_report_that_cannot_be_written_is_a_warning() {
  mkdir out
  "$MPIRUN" -np 2 "$bin/rank_hang" "$PWD/out" 60 none 0 60 >said 2>&1 </dev/null &
  local job=$! i pid
  for ((i = 0; i < 600; ++i)); do [[ -e out/pid-1 ]] && break || sleep 0.1; done
  pid=$(cat out/pid-0)
  rm -r out
  kill -QUIT "$pid"
  wait "$job"
  says_once "warning: no report of the hang: $PWD/out/hang.request: No such file or directory"
}

test_a_training_leaves_reports_in_its_output_folder() {
  inputs star
  "$MPIRUN" -np 2 "$bin/bovila" "${deck[@]}" --set train.epochs=100000 --set run.collective_timeout_s=4 \
    --set checkpoint.every_minutes=0 >said 2>&1 </dev/null &
  local job=$! i status=0 victim
  for ((i = 0; i < 1200; ++i)); do grep -q " step 4 " said && break || sleep 0.1; done
  victim=$(rank_pids | tail -1)
  kill -QUIT "$victim"
  for ((i = 0; i < 100; ++i)); do grep -q "hang: " said && break || sleep 0.1; done
  says "warning: hang: "
  kill -STOP "$victim"
  wait "$job" || status=$?
  kill -KILL "$victim" 2>/dev/null || true
  [[ $status == 1 ]] || { cat said && echo "exit code $status" && return 1; }
  says_once "left no report and so is dead or stopped, never came to"
  says "waited 4 s for the others in an all-reduce of"
  exits 0 "$bin/bovila-hang" out
  says " never came to " "of all ranks) in "
}

run_tests hang
