#!/usr/bin/env bash
# jobs/*.slurm, jobs/run.sh and jobs/supervise.sh without Slurm: a fake srun notes how it was called
# and runs one rank, a fake scontrol shows the job as it is told. (On a real Slurm:
# tests/slurm/jobs.sh. With real ranks: tests/cli/supervise.sh.)
# Uses $BUILD/bin/bovila. Prints one line a check, "ok NAME" or "FAILED NAME: why"; exits 1 when one
# failed.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

bovila=$(realpath -m "${BUILD:-build}/bin/bovila")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
cp -r jobs input "$work" && cd "$work" || exit 1 # what runs leave is left here

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
export HOSTS="n1 n2" # where the ranks are
while [[ $1 == --* ]]; do
  [[ $1 == --exclude=* ]] && HOSTS=${HOSTS/${1#*=}/}
  [[ $1 == --nodelist=* ]] && HOSTS=${1#*=}
  shift
done
exec "$@"
SRUN
# A program that ends as it is told: with the first code of EXIT_WITH at its first start, and so on.
# "137s" saves a checkpoint before that, "137m" and "137o" are out of memory, "1g" on the GPU, "137k"
# is killed on n2, "137K" in mpirun's words, "1h" hangs there. Its self-check fails where BAD_HOSTS are.
cat >"$work/bin/rank" <<'RANK'
#!/usr/bin/env bash
echo "ends at ${SLURM_JOB_END_TIME:-unknown}, queued since ${BOVILA_QUEUED_SINCE:-unknown}"
sleep "${LASTS:-0}"
echo "NCCL_DEBUG=${NCCL_DEBUG:-unset} NCCL_SOCKET_IFNAME=${NCCL_SOCKET_IFNAME:-unset}"
if [[ $* == --self-check ]]; then
  for host in ${BAD_HOSTS:-}; do [[ " $HOSTS " == *" $host "* ]] && exit 1; done
  echo "checked $HOSTS"
  exit 0
fi
read -ra codes <<<"${EXIT_WITH:-0}"
echo start >>"$STARTS"
number=$(wc -l <"$STARTS")
code=${codes[number - 1]:-${codes[-1]}}
[[ $code == *s* ]] && mkdir -p "$SAVES/checkpoints/step-0000000$number"
[[ $code == *m* ]] && echo "slurmstepd: error: Detected 1 oom_kill event in StepId=17.0. Some of \
the step tasks have been OOM Killed." >&2
[[ $code == *o* ]] && echo "srun: error: n1: task 0: Out Of Memory" >&2
[[ $code == *k* ]] && echo "srun: error: n2: task 1: Killed
srun: error: n1: task 0: Killed" >&2
[[ $code == *K* ]] && echo "mpirun noticed that process rank 1 with PID 7 on node n2.cluster exited on signal 9" >&2
[[ $code == *h* ]] && echo "09:14:33 error: hang: rank 1 (host n2, process 7, in step 3) never came to an \
all-reduce" >&2
[[ $code == *g* ]] && echo "error: CUDA out of memory" >&2 # the GPU's
exit "${code%%[smogkKh]*}"
RANK
cat >"$work/bin/scontrol" <<'SCONTROL'
#!/usr/bin/env bash
if [[ $* == "--oneliner show job 17" && -n ${SLURM_ARRAY_JOB_ID:-} ]]; then
  echo "JobId=17 ArrayJobId=17 ArrayTaskId=3 JobName=bovila-star JobState=RUNNING Reason=None"
  echo "JobId=18 ArrayJobId=17 ArrayTaskId=2 JobName=bovila-star JobState=PENDING Reason=None"
elif [[ $* == "--oneliner show job 17" || $* == "--oneliner show job 17_3" ]]; then
  echo "JobId=17 JobName=bovila-star JobState=$JOB_STATE Reason=None Requeue=1 SubmitTime=2026-01-02T03:04:05 EndTime=${ENDS:-Unknown} Partition=low"
elif [[ $* == "requeue 17" || $* == "requeue 17_3" ]]; then
  echo "requeued $2" >>"$NOTES"
  [[ -z ${REFUSED:-} ]] || { echo "$REFUSED" >&2; exit 1; }
elif [[ $1 == update ]]; then
  echo "$*" >>"$NOTES"
elif [[ $* == "--oneliner show reservation" && -n ${BEGINS_IN:-} ]]; then
  for reservation in "other user,PART_NODES n1 30" "far MAINT n7 30" "here MAINT,IGNORE_JOBS n[1-2] $BEGINS_IN"; do
    read -r name flags nodes seconds <<<"$reservation"
    echo "ReservationName=$name StartTime=$(date --date="now + $seconds seconds" +%FT%T) EndTime=2099-01-01T00:00:00" \
      "Duration=00:10:00 Nodes=$nodes NodeCnt=1 CoreCnt=8 Features=(null) PartitionName=(null) Flags=$flags"
  done
elif [[ $* == "show hostnames n"* ]]; then
  [[ $3 == n7 ]] && echo n7 || printf 'n1\nn2\n'
else
  exit 3
fi
SCONTROL
printf '#!/usr/bin/env bash\nprintf "2\\n${OTHER_HOSTS:-0}\\n"\n' >"$work/bin/sinfo" # of the job's partition
printf '#!/usr/bin/env bash\necho "scancel $*" >>"$NOTES"\n' >"$work/bin/scancel"
chmod +x "$work/bin/"*
export PATH=$work/bin:$PATH NOTES=$work/notes STARTS=$work/starts SAVES=$work/saves JOB_STATE=RUNNING
unset DECK BOVILA BOVILA_ARGS BOVILA_ENV BOVILA_PMI BOVILA_RESTARTS SRUN_ARGS SRUN_CPUS_PER_TASK
unset SLURM_CPUS_PER_TASK SLURM_JOB_ID SLURM_RESTART_COUNT SLURM_JOB_NUM_NODES SLURM_ARRAY_JOB_ID
export BOVILA_PAUSE=0 # seconds between restarts
unset NCCL_DEBUG NCCL_SOCKET_IFNAME

# job STATUS TEXT NAME VARIABLE=VALUE... COMMAND: one check of exit code and output.
job() {
  local expected=$1 text=$2 name=$3 status=0
  shift 3
  rm -rf "$NOTES" "$STARTS" "$SAVES"
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
  [[ $name == extract ]] && continue # runs no deck; tests/cli/extract_features.sh
  job 0 "" "$name starts" BOVILA=rank bash "$script"
  called "$name runs its deck" --mpi=pmix --wait=60 rank "input/$name.toml" "cpus unset"
  job 0 "" "$name takes arguments" BOVILA=rank BOVILA_ARGS=--eval bash "$script" --set a="b c"
  called "$name passes its arguments on" --mpi=pmix --wait=60 rank "input/$name.toml" --eval --set \
    "a=b c" "cpus unset"
  for setting in nodes=1 ntasks-per-node=8 gres=gpu:8 cpus-per-task= time= output= requeue \
    signal=USR2@120 open-mode=append; do
    grep -q "^#SBATCH --$setting" "$script" || fail "$name sets $setting" "no #SBATCH line for it"
  done
  [[ -r input/$name.toml ]] && ok "$name has a deck" || fail "$name has a deck" "input/$name.toml?"
done
for deck in star dramaqa vlep tvqa how2qa nextqa intentqa egoschema perceptiontest mvbench; do
  [[ -r jobs/$deck.slurm ]] && ok "$deck has a job" || fail "$deck has a job" "none"
done

# --- variables -----------------------------------------------------------------------------------
job 0 "" "DECK replaces the deck" BOVILA=rank DECK=input/demo.toml bash jobs/star.slurm
called "the other deck is run" --mpi=pmix --wait=60 rank input/demo.toml "cpus unset"
job 0 "" "BOVILA_ARGS and SRUN_ARGS are split at blanks" BOVILA=rank DECK=input/demo.toml \
  BOVILA_ARGS="--set train.epochs=5  --check" SRUN_ARGS="--label --cpu-bind=cores" jobs/run.sh
called "arguments arrive in order" --mpi=pmix --wait=60 --label --cpu-bind=cores rank \
  input/demo.toml --set train.epochs=5 --check "cpus unset"
job 0 "" "BOVILA_PMI names another PMI" BOVILA=rank DECK=input/demo.toml BOVILA_PMI=pmi2 jobs/run.sh
called "srun is told of it" --mpi=pmi2 --wait=60 rank input/demo.toml "cpus unset"
job 0 "" "arguments with a star stay as they are" BOVILA=rank DECK=input/demo.toml \
  BOVILA_ARGS="--output out/*" jobs/run.sh
called "no file names for the star" --mpi=pmix --wait=60 rank input/demo.toml --output "out/*" \
  "cpus unset"
job 0 "NCCL_DEBUG=WARN NCCL_SOCKET_IFNAME=unset" "on one node NCCL says why it fails" \
  BOVILA=rank DECK=input/demo.toml jobs/run.sh
job 0 "NCCL_SOCKET_IFNAME=^lo,docker" "on several nodes NCCL keeps off containers' interfaces" \
  SLURM_JOB_NUM_NODES=2 BOVILA=rank DECK=input/demo.toml jobs/run.sh
job 0 "NCCL_DEBUG=INFO NCCL_SOCKET_IFNAME=ib0" "the site's NCCL settings come first" \
  SLURM_JOB_NUM_NODES=2 NCCL_DEBUG=INFO NCCL_SOCKET_IFNAME=ib0 BOVILA=rank DECK=input/demo.toml jobs/run.sh
job 0 "" "sbatch's cpus-per-task reaches srun" BOVILA=rank DECK=input/demo.toml \
  SLURM_CPUS_PER_TASK=7 jobs/run.sh
called "srun has the cpus" --mpi=pmix --wait=60 rank input/demo.toml "cpus 7"
echo 'export EXIT_WITH=9' >"$work/site"
job 9 "exit code 9" "BOVILA_ENV is read first" BOVILA=rank DECK=input/demo.toml \
  BOVILA_ENV="$work/site" jobs/run.sh

# --- exit codes are the program's; the stopped are put back into the queue ----------------------
for status in 0 1 2 126 130; do
  job $status "exit code $status" "ends with exit code $status" BOVILA=rank EXIT_WITH=$status \
    SLURM_JOB_ID=17 DECK=input/demo.toml jobs/run.sh
  called "exit code $status is not requeued" --mpi=pmix --wait=60 rank input/demo.toml "cpus unset"
done
for status in 75 129 138 140 143; do
  job 75 "is put back into the queue" "requeues after $status" BOVILA=rank EXIT_WITH=$status \
    SLURM_JOB_ID=17 DECK=input/demo.toml jobs/run.sh
  called "exit code $status is requeued" --mpi=pmix --wait=60 rank input/demo.toml "cpus unset" \
    "requeued 17"
done
for state in COMPLETING CANCELLED PREEMPTED TIMEOUT; do
  job 75 "not put back into the queue by this script: Slurm ends it ($state)" \
    "leaves a job that is $state" BOVILA=rank EXIT_WITH=75 SLURM_JOB_ID=17 JOB_STATE=$state \
    DECK=input/demo.toml jobs/run.sh
  called "a job that is $state is not requeued" --mpi=pmix --wait=60 rank input/demo.toml \
    "cpus unset"
done
job 75 "cannot be requeued: not here" "passes Slurm's refusal on" BOVILA=rank EXIT_WITH=75 \
  SLURM_JOB_ID=17 REFUSED="not here" DECK=input/demo.toml jobs/run.sh
job 75 "submit the same job again" "says what to do then" BOVILA=rank EXIT_WITH=75 \
  SLURM_JOB_ID=17 REFUSED="not here" DECK=input/demo.toml jobs/run.sh
job 75 "start the same command again" "outside a job it says what to do" BOVILA=rank EXIT_WITH=75 \
  DECK=input/demo.toml jobs/run.sh

job 75 "job 17_3 was stopped before its end and is put back into the queue" \
  "requeues a task of an array whose number is the array's" BOVILA=rank EXIT_WITH=75 SLURM_JOB_ID=17 \
  SLURM_ARRAY_JOB_ID=17 SLURM_ARRAY_TASK_ID=3 DECK=input/demo.toml jobs/run.sh
called "it alone is requeued" --mpi=pmix --wait=60 rank input/demo.toml "cpus unset" "requeued 17_3"

# --- ranks that crash, are lost or hang are started again ----------------------------------------
# heals STATUS STARTS TEXT CODES NAME [VARIABLE=VALUE]...: the job's end, after so many starts.
heals() {
  local status=$1 starts=$2 text=$3 codes=$4 name=$5
  shift 5
  job "$status" "$text" "$name" BOVILA=rank EXIT_WITH="$codes" SLURM_JOB_ID=17 DECK=input/demo.toml \
    BOVILA_ARGS="--output $SAVES" "$@" jobs/run.sh
  [[ $(wc -l <"$STARTS") == "$starts" ]] && ok "$name: $starts starts" ||
    fail "$name" "expected $starts starts, got $(wc -l <"$STARTS"): $(cat "$work/out")"
}
for status in 9 134 137 139 255; do
  heals 0 2 "starting the ranks again in 0 s, from the newest checkpoint: none" "$status 0" \
    "after exit code $status the ranks are started again"
  called "and told so" --mpi=pmix --wait=60 env BOVILA_RESTARTED=1 rank input/demo.toml \
    --output "$SAVES" "cpus unset"
done
heals 0 3 "from the newest checkpoint: step-00000001" "137s 139 0" "two restarts"
heals 2 2 "exit code 2" "137 2 0" "never after the user's mistake"
heals 1 1 "exit code 1" "1 0" "not after an error that comes at once"
heals 0 2 "exit code 1" "1s 0" "after an error where something new was saved"
heals 1 2 "exit code 1" "1s 1 0" "not when the error comes again"
heals 137 1 "killed because the job's memory was used up: ask for more with sbatch --mem" "137m 0" \
  "not without memory"
heals 137 1 "killed because the job's memory was used up" "137o 0" "not without memory, in srun's words"
heals 0 2 "the job's memory was used up" "137sm 0" "without memory where something new was saved"
heals 0 3 "starting the ranks again in 0 s" "137sm 137 0" "an old word about memory is not a new one"
heals 1 1 "ended with exit code 1" "1g 0" "a GPU without memory"
grep -q "sbatch --mem" "$work/out" && fail "a GPU without memory" "it is told of --mem" ||
  ok "a GPU without memory is not told of --mem"
heals 137 3 "gives up: 2 restarts in a row saved nothing new" "137" "not for ever" BOVILA_RESTARTS=2
heals 0 5 "starting the ranks again" "137 137s 137 137 0" "what is saved starts the count afresh" \
  BOVILA_RESTARTS=2
heals 0 3 "starting the ranks again in 4 s" "137 137 0" "with growing pauses" BOVILA_PAUSE=1
heals 137 1 "the ranks are not started again: Slurm ends job 17 (CANCELLED)" "137 0" \
  "not in a job that is cancelled" JOB_STATE=CANCELLED
heals 75 2 "is put back into the queue" "137 75" "and requeues the job when it is stopped later"
heals 0 2 "starting the ranks again" "137 0" "in a task of an array" SLURM_ARRAY_JOB_ID=17 \
  SLURM_ARRAY_TASK_ID=3

# --- a host that fails is left out ---------------------------------------------------------------
two_hosts=(SLURM_JOB_NUM_NODES=2 SLURM_NTASKS=4 "SLURM_JOB_NODELIST=n[1-2]")
any_ranks="--output $SAVES --set train.questions_per_step=8"
heals 0 3 "n2 is left out, where ranks failed twice; the other ranks take the same steps" "137ks 137k 0" \
  "a host where ranks were killed twice" "${two_hosts[@]}" BOVILA_ARGS="$any_ranks"
called "its ranks are not started again" --mpi=pmix --wait=60 --exclude=n2 --nodes=1 --ntasks=2 env \
  BOVILA_RESTARTED=1 rank input/demo.toml --output "$SAVES" --set train.questions_per_step=8 "cpus unset"
heals 0 3 "n2 is left out" "1hs 1hs 0" "a host where ranks hung twice" "${two_hosts[@]}" \
  BOVILA_ARGS="$any_ranks"
heals 0 3 "a rank failed on n2 (1)" "137k 134 0" "a host where one rank was killed" "${two_hosts[@]}" \
  BOVILA_ARGS="$any_ranks"
grep -q "left out" "$work/out" && fail "one rank killed" "its host is left out" || ok "is not left out"
heals 75 2 "the job comes back without n2, where ranks failed twice" "137ks 137k 0" \
  "without questions_per_step the job gets another host" "${two_hosts[@]}" OTHER_HOSTS=3
called "Slurm is told so" --mpi=pmix --wait=60 env BOVILA_RESTARTED=1 rank input/demo.toml --output \
  "$SAVES" "cpus unset" "requeued 17" "update JobId=17 ExcNodeList=n2"
heals 0 3 "there are no ranks without n2, where ranks failed twice: it stays" "137ks 137k 0" \
  "where there is no other host it stays" "${two_hosts[@]}"
sed 's/^\[train\]/&\nquestions_per_step = 8 # any ranks/' input/demo.toml >"$work/any.toml"
heals 0 3 "n2 is left out" "137ks 137k 0" "the deck's questions_per_step" "${two_hosts[@]}" \
  DECK="$work/any.toml"
heals 0 3 "there are no ranks without n2" "137ks 137k 0" "a --set comes before the deck's" \
  "${two_hosts[@]}" DECK="$work/any.toml" BOVILA_ARGS="--output $SAVES --set=train.questions_per_step=0"

# --- the self-check as a gate ----------------------------------------------------------------------
checked=(--output "$SAVES" --set run.self_check=true)
heals 0 2 "checked n1 n2" "137 0" "each start has a self-check before it" "${two_hosts[@]}" \
  BOVILA_ARGS="${checked[*]}"
[[ $(grep -c "^checked" "$work/out") == 2 ]] && ok "two self-checks" || fail "two self-checks" "$(<"$work/out")"
heals 0 1 "n2 is left out, where the self-check fails" 0 "a host that fails it is left out" \
  "${two_hosts[@]}" BAD_HOSTS=n2 BOVILA_ARGS="${checked[*]} --set train.questions_per_step=8"
called "and has no ranks" --mpi=pmix --wait=60 --exclude=n2 --nodes=1 --ntasks=2 rank input/demo.toml \
  "${checked[@]}" --set train.questions_per_step=8 "cpus unset"
unstarted() {
  job "$@"
  [[ -e $STARTS ]] && fail "$3" "the ranks were started" || ok "$3: no rank is started"
}
unstarted 75 "the job comes back without n2, where the self-check fails" "or the job gets another" \
  BOVILA=rank SLURM_JOB_ID=17 DECK=input/demo.toml "${two_hosts[@]}" BAD_HOSTS=n2 OTHER_HOSTS=3 \
  BOVILA_ARGS="${checked[*]}" jobs/run.sh
unstarted 1 "there are no ranks without n2" "or the job ends" BOVILA=rank SLURM_JOB_ID=17 \
  DECK=input/demo.toml "${two_hosts[@]}" BAD_HOSTS=n2 BOVILA_ARGS="${checked[*]}" jobs/run.sh

# --- what Slurm knows of the end, and of the queue -------------------------------------------------
in_job=(BOVILA=rank SLURM_JOB_ID=17 DECK=input/demo.toml "${two_hosts[@]}")
job 0 "ends at $(date --date=2026-11-29T10:00:00 +%s)," "the job's end is Slurm's newest word" \
  "${in_job[@]}" ENDS=2026-11-29T10:00:00 SLURM_JOB_END_TIME=5 jobs/run.sh
job 0 "ends at 5," "or what the job was started with" "${in_job[@]}" SLURM_JOB_END_TIME=5 jobs/run.sh
job 0 "Slurm announces maintenance for" "maintenance of its hosts is an end" "${in_job[@]}" BEGINS_IN=500 jobs/run.sh
end=$(sed -n 's/ends at \([0-9]*\),.*/\1/p' "$work/out") left=$((end - $(date +%s)))
((left > 470 && left <= 500)) && ok "it begins when Slurm says" || fail "it begins when Slurm says" "$left s"
job 0 "ends at $(date --date=2026-01-01T10:00:00 +%s)," "a limit before it counts" "${in_job[@]}" BEGINS_IN=500 \
  ENDS=2026-01-01T10:00:00 jobs/run.sh
job 0 "ends at unknown," "maintenance that has begun is none to come" "${in_job[@]}" BEGINS_IN=-500 jobs/run.sh
job 0 "stopping the run" "what is announced meanwhile stops the run" "${in_job[@]}" BEGINS_IN=100 \
  BOVILA_LOOK=1 LASTS=3 jobs/run.sh
grep -q "^scancel --signal=USR2 17$" "$NOTES" && ok "as scancel does" || fail "as scancel does" "$(<"$NOTES")"
job 0 "" "what is far does not" "${in_job[@]}" BEGINS_IN=1000 BOVILA_LOOK=1 LASTS=3 jobs/run.sh
grep -q "stopping the run" "$work/out" && fail "what is far" "the run was stopped" || ok "the run goes on"
job 2 "BOVILA_LOOK: expected a number, 1 or more, got '0'" "checks BOVILA_LOOK" "${in_job[@]}" BOVILA_LOOK=0 jobs/run.sh
heals 0 2 "queued since $(date --date=2026-01-02T03:04:05 +%s)" "137 0" "a first start knows when it was queued"
grep -q "queued since unknown" "$work/out" && ok "a restart was not queued" ||
  fail "a restart was not queued" "$(<"$work/out")"

job 2 "BOVILA_PAUSE: expected a number, 0 or more, got '1m'" "checks BOVILA_PAUSE" BOVILA=rank \
  BOVILA_PAUSE=1m DECK=input/demo.toml jobs/run.sh

# --- the same without Slurm ----------------------------------------------------------------------
cp "$work/bin/srun" "$work/bin/starter" # any launcher with options
supervised() {
  local status=$1 text=$2 name=$3 codes=$4
  shift 4
  job "$status" "$text" "$name" BOVILA=rank EXIT_WITH="$codes" jobs/supervise.sh "$@"
}
supervised 0 "ended with exit code 0" "supervise.sh starts the ranks" 0 input/demo.toml --set a="b c" \
  -- starter --np=2
called "as they are typed" --np=2 rank input/demo.toml --set "a=b c" "cpus unset"
supervised 0 "starting the ranks again" "supervise.sh starts them again" "137 0" input/demo.toml -- starter
supervised 75 "start the same command again to go on" "supervise.sh ends when stopped" 75 \
  input/demo.toml -- starter
supervised 2 "exit code 2" "supervise.sh ends after the user's mistake" 2 input/demo.toml -- starter
supervised 1 "the self-check failed (exit code 1), and on no host alone: the ranks are not started" \
  "supervise.sh has the self-check as a gate" 0 input/demo.toml --set run.self_check=true -- env BAD_HOSTS=n1 starter
supervised 2 "there is no --" "supervise.sh wants a launcher" 0 input/demo.toml mpirun
supervised 2 "there is no deck" "supervise.sh wants a deck" 0 -- mpirun
supervised 2 "there is nothing behind the --" "supervise.sh wants a command" 0 input/demo.toml --
supervised 2 "'nowhere' is not on the PATH" "supervise.sh names a missing launcher" 0 \
  input/demo.toml -- nowhere
supervised 2 "'input/no.toml' cannot be read" "supervise.sh names a missing deck" 0 input/no.toml \
  -- starter

# A launcher with options of Open MPI's.
cat >"$work/bin/lister" <<'LISTER'
#!/usr/bin/env bash
printf '%s\n' "$@" >"$NOTES"
export HOSTS=''
while [[ $1 == -* ]]; do
  [[ $1 == --host ]] && HOSTS=$(sed 's/:[0-9]*//g; s/,/ /g' <<<"$2")
  [[ $1 == --hostfile ]] && HOSTS=$(awk '!/#/ { print $1 }' "$2" | xargs) && cp "$2" "$NOTES-file"
  shift 2
done
exec "$@"
LISTER
chmod +x "$work/bin/lister"
any=(input/demo.toml --output "$SAVES" --set train.questions_per_step=8)
supervised 0 "n2.cluster is left out, where ranks failed twice; the other ranks take the same steps" \
  "supervise.sh leaves a host of a list out" "137Ks 137K 0" "${any[@]}" -- lister --host n1:2,n2:2,n3:2 -np 6
called "with its share of the ranks" --host n1:2,n3:2 -np 4 env BOVILA_RESTARTED=1 rank "${any[@]}"
printf '# ours\nn1 slots=4\n\nn2 slots=2\n' >"$work/hosts"
supervised 0 "n2 is left out" "and of a file" "137ks 137k 0" "${any[@]}" -- lister --hostfile "$work/hosts" -np 3
[[ $(<"$NOTES-file") == "n1 slots=4" && $(sed -n 4p "$NOTES") == 2 ]] && ok "in a copy of it" ||
  fail "in a copy of it" "$(<"$NOTES-file") $(<"$NOTES")"
[[ ! -e $(sed -n 2p "$NOTES") ]] && ok "which is removed" || fail "which is removed" "$(sed -n 2p "$NOTES")"
supervised 0 "there are no ranks without n2, where ranks failed twice: it stays" \
  "a host stays where its ranks are no whole number" "137ks 137k 0" "${any[@]}" -- lister --host n1,n2 -np 3
supervised 0 "there are no ranks without n2" "or no other host is named" "137ks 137k 0" "${any[@]}" -- \
  lister --host n2 -np 3
supervised 0 "there are no ranks without n2" "or none at all" "137ks 137k 0" "${any[@]}" -- lister -np 2
export BAD_HOSTS=n2
supervised 0 "n2 is left out, where the self-check fails" "supervise.sh has each host checked" 0 \
  "${any[@]}" --set run.self_check=true -- lister --host n1,n2 -np 2
called "and starts the ranks on the others" --host n1 -np 1 rank "${any[@]}" --set run.self_check=true
supervised 0 "n2 is left out, where the self-check fails" "and each host of a file" 0 \
  "${any[@]}" --set run.self_check=true -- lister --hostfile "$work/hosts" -np 3
[[ $(<"$NOTES-file") == "n1 slots=4" && $(sed -n 4p "$NOTES") == 2 ]] && ok "the ranks' file is theirs" ||
  fail "the ranks' file is theirs" "$(<"$NOTES-file") $(<"$NOTES")"
unset BAD_HOSTS

# --- restarts: at most so many in a row without a newer checkpoint -------------------------------
# restart STATUS TEXT NAME COUNT [VARIABLE=VALUE]...: the job's start after so many restarts.
restart() {
  local status=$1 text=$2 name=$3 count=$4
  shift 4
  job "$status" "$text" "$name" BOVILA=rank SLURM_JOB_ID=17 SLURM_RESTART_COUNT="$count" \
    DECK=input/demo.toml BOVILA_ARGS="--output $work/run" BOVILA_RESTARTS=2 "$@" jobs/run.sh
}
checkpoints=$work/run/checkpoints
mkdir -p "$checkpoints"
restart 0 "" "a first start says nothing of restarts" 0
grep -q restart "$work/out" && fail "a first start" "it speaks of restarts"
mkdir "$checkpoints/step-00000009" "$checkpoints/step-00000010"
restart 0 "newest checkpoint: step-00000010" "names the newest checkpoint" 1
restart 0 "" "one restart without progress" 2
restart 0 "" "two restarts without progress" 3
restart 1 "gives up: 2 restarts in a row saved nothing new" "the third is too much" 4
[[ -e $NOTES ]] && fail "it gives up" "srun was called" || ok "nothing is started then"
restart 1 "BOVILA_RESTARTS" "and says what sets the limit" 5
mkdir "$checkpoints/step-00000011.part" "$checkpoints/step-00000012.aside-1"
restart 1 "newest checkpoint: step-00000010" "an unfinished checkpoint is none" 6
mkdir "$checkpoints/step-00000011"
restart 0 "" "a newer checkpoint starts the count afresh" 7
restart 0 "" "one restart at that checkpoint" 8
echo 1 >"$checkpoints/step-00000011/manifest.json"
restart 0 "newest checkpoint: step-00000011" "the same step with another manifest is newer" 9
restart 0 "" "one restart at that one" 10
restart 0 "" "two restarts at that one" 11
restart 1 "gives up" "the third is too much there too" 12
restart 0 "" "another job has its own count" 1 SLURM_JOB_ID=18
echo "17 many a[\$(touch $work/run/hacked)]" >"$work/run/slurm-restarts"
restart 0 "newest checkpoint" "a spoilt count is taken as none" 8
[[ -e $work/run/hacked ]] && fail "a spoilt count" "it was executed" || ok "and not executed"
rm -r "$work/run"
restart 0 "newest checkpoint: none" "a run that left nothing" 1
restart 0 "" "left nothing twice" 2
restart 1 "gives up" "left nothing three times" 3
touch "$work/file"
restart 0 "not counted" "an output folder that cannot be made is said" 1 \
  BOVILA_ARGS="--output $work/file/x"
restart 2 "expected a number, 0 or more, got 'some'" "checks BOVILA_RESTARTS" 0 \
  BOVILA_RESTARTS=some

# --- the output folder, as the program finds it --------------------------------------------------
# output FOLDER NAME [VARIABLE=VALUE]... -- [ARGUMENT]...: where a restart is noted.
output() {
  local folder=$1 name=$2
  local -a variables=()
  shift 2
  while [[ $1 != -- ]]; do
    variables+=("$1")
    shift
  done
  shift
  (
    cd "$work/place" || exit 1
    job 0 "" "$name: starts" BOVILA=rank SLURM_JOB_ID=17 SLURM_RESTART_COUNT=1 DECK=deck.toml \
      "${variables[@]}" ./run.sh "$@"
    exit $failed
  ) || failed=1
  [[ -e $work/place/$folder/slurm-restarts ]] && ok "$name" || fail "$name" "not in $folder"
  rm -rf "$work/place/"*/
}
mkdir "$work/place"
cp jobs/{run.sh,restarts.bash,hosts.bash,maintenance.bash} "$work/place"
printf '[data]\nfolder = "data"\n[ output ] # here\n  folder="from deck"  # "so"\n[run]\n' \
  >"$work/place/deck.toml"
output "from deck" "the deck's" --
output arg "--set" -- --set train.epochs=5 --set output.folder=arg
output "a b" "--set with quotes" -- '--set=output.folder="a b"'
output arg2 "the last --set" -- --set output.folder=arg --set output.folder=arg2
output out "--output before --set" -- --output out --set output.folder=arg
output out2 "--output=" -- --output=out2
output out3 "BOVILA_ARGS" BOVILA_ARGS="--output out3" --
printf "[output]\nfolder = 'single'\n" >"$work/place/deck.toml"
output single "the deck's in single quotes" --
printf '[data]\nfolder = "data"\n' >"$work/place/deck.toml"
job 2 "give the folder with --output" "a deck without the line" BOVILA=rank \
  DECK="$work/place/deck.toml" jobs/run.sh

# --- the program and the deck that lie with the job -----------------------------------------------
share=$work/prefix/share/bovila
mkdir -p "$share/jobs" "$share/input" "$work/prefix/bin" "$work/source/jobs" "$work/source/build/bin"
cp jobs/{run.sh,restarts.bash,hosts.bash,maintenance.bash} "$share/jobs"
cp jobs/{run.sh,restarts.bash,hosts.bash,maintenance.bash} "$work/source/jobs"
cp input/demo.toml "$share/input"
cp "$work/bin/rank" "$work/prefix/bin/bovila"
cp "$work/bin/rank" "$work/source/build/bin/bovila"
cd "$work/bin" || exit 1
job 0 "the deck is $share/input/demo.toml" "an installed job has its deck beside it" \
  DECK=input/demo.toml "$share/jobs/run.sh"
called "and its program in the same prefix" --mpi=pmix --wait=60 "$share/../../bin/bovila" \
  "$share/input/demo.toml" "cpus unset"
job 0 "" "a job of the source takes what is built there" DECK="$share/input/demo.toml" \
  "$work/source/jobs/run.sh"
called "that is build/bin/bovila" --mpi=pmix --wait=60 "$work/source/build/bin/bovila" \
  "$share/input/demo.toml" "cpus unset"
job 2 "'input/none.toml' cannot be read in $work/bin" "a deck that is nowhere is named" \
  DECK=input/none.toml "$share/jobs/run.sh"
cd - >/dev/null || exit 1

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
job 0 "settings of the run, TOML" "starts the real program" BOVILA="$bovila" DECK=input/demo.toml \
  BOVILA_ARGS=--help jobs/run.sh
job 2 "unknown key 'train.epoch'" "passes the real program's error on" BOVILA="$bovila" \
  DECK=input/demo.toml BOVILA_ARGS="--set train.epoch=1" jobs/run.sh

exit $failed
