# A private Slurm cluster of two virtual nodes, n1 and n2, on this machine, for as long as a script
# runs. A script sources this; start_cluster FOLDER [GPUS A NODE] brings it up in a new folder and
# sets SLURM_CONF, stop_cluster ends it, show_cluster prints the ends of its logs. Needs no systemd,
# no cgroups and no installed configuration; whoever starts it is Slurm's user. Own munged, own
# ports, own files.
# munged is forced because it asks for a folder that all users may enter; this one is private.
#
# TmpFS is a folder a node because PMIx keeps each node's server there: on one host, two would meet.
# Each node claims 64 cores, 500 GB of memory, and GPUs as wanted, whatever the machine has.

PATH=$PATH:/usr/sbin # Debian's place for the daemons, not on every user's PATH
cluster=             # its folder, once it is up or coming up
daemons=()

free_ports() {
  python3 - "$1" <<'END'
import socket, sys
sockets = [socket.socket() for _ in range(int(sys.argv[1]))]
for one in sockets: one.bind(('127.0.0.1', 0))
print(*[one.getsockname()[1] for one in sockets])
END
}

# write_gpus NUMBER: GPUs of both nodes that are files to Slurm and nothing else.
write_gpus() {
  local number
  for ((number = 0; number < $1; ++number)); do
    touch "$cluster/gpu$number"
    echo "Name=gpu File=$cluster/gpu$number" >>"$cluster/gres.conf"
  done
  echo "GresTypes=gpu" >>"$cluster/slurm.conf"
}

# write_slurm_conf GPUS
write_slurm_conf() {
  local host control n1 n2 gpus=
  (($1)) && write_gpus "$1" && gpus=" Gres=gpu:$1"
  host=$(hostname -s)
  read -r control n1 n2 < <(free_ports 3)
  cat >>"$cluster/slurm.conf" <<END
ClusterName=bovila
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$control
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$cluster/munge/socket
StateSaveLocation=$cluster/state
SlurmctldPidFile=$cluster/slurmctld.pid
SlurmctldLogFile=$cluster/slurmctld.log
SlurmdSpoolDir=$cluster/%n/spool
SlurmdPidFile=$cluster/%n/slurmd.pid
SlurmdLogFile=$cluster/%n/slurmd.log
TmpFS=$cluster/%n
MpiDefault=pmix
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
KillWait=20
MessageTimeout=60
TCPTimeout=20
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$n1 CPUs=64 RealMemory=512000$gpus
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$n2 CPUs=64 RealMemory=512000$gpus
PartitionName=low Nodes=n1,n2 Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=20
PartitionName=high Nodes=n1,n2 PriorityTier=2 PreemptMode=OFF
END
}

# daemon LOG COMMAND...: starts it in a process group of its own.
daemon() {
  local log=$1
  shift
  setsid "$@" >>"$log" 2>&1 </dev/null &
  daemons+=($!)
}

start_munged() {
  mkdir -m 0755 "$cluster/munge"
  (umask 077 && head -c 256 /dev/urandom >"$cluster/munge/key")
  daemon "$cluster/munge/log" munged --foreground --force --socket="$cluster/munge/socket" \
    --key-file="$cluster/munge/key" --pid-file="$cluster/munge/pid" \
    --seed-file="$cluster/munge/seed" --log-file="$cluster/munge/log"
  wait_for 60 "munged's socket" test -S "$cluster/munge/socket"
}

both_idle() { [[ $(sinfo --noheader --partition=low --states=idle --format=%D) == 2 ]]; }

start_cluster() {
  local program node
  for program in munged slurmctld slurmd sbatch; do
    command -v $program >/dev/null && continue
    echo "start_cluster: $program is not on the PATH; Debian: apt-get install slurm-wlm munge"
    return 1
  done
  cluster=$1
  mkdir -p "$cluster/state" "$cluster/n1/spool" "$cluster/n2/spool"
  start_munged || return 1
  write_slurm_conf "${2:-0}"
  export SLURM_CONF=$cluster/slurm.conf
  daemon "$cluster/slurmctld.out" slurmctld -D -f "$SLURM_CONF"
  for node in n1 n2; do
    daemon "$cluster/$node/slurmd.out" slurmd -D -N $node -f "$SLURM_CONF"
  done
  wait_for 120 "two idle nodes" both_idle
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds; says what did not come.
wait_for() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS >= end)); then
      echo "waited in vain for: $what"
      return 1
    fi
    sleep 0.2
  done
}

# Processes with a file of the cluster's folder open or its slurm.conf in their environment: what
# jobs have left, as slurmstepd belongs to no daemon's process group.
left_behind() {
  local process
  for process in /proc/[0-9]*; do
    [[ ${process#/proc/} == "$$" || ${process#/proc/} == "$BASHPID" ]] && continue
    if grep -qzF "SLURM_CONF=$cluster/" "$process/environ" 2>/dev/null ||
      readlink "$process"/fd/* 2>/dev/null | grep -qF "$cluster/"; then
      echo "${process#/proc/}"
    fi
  done
}

no_jobs() { [[ -z $(squeue --noheader) ]]; }

stop_cluster() {
  local processes
  [[ -n $cluster ]] || return 0
  if [[ -n ${SLURM_CONF:-} ]] && timeout 20 scancel --user="$(id -un)" 2>/dev/null; then
    wait_for 10 "the end of all jobs" no_jobs
  fi
  ((${#daemons[@]})) && kill "${daemons[@]}" 2>/dev/null
  sleep 0.5
  mapfile -t processes < <(left_behind)
  ((${#processes[@]})) && kill -KILL "${processes[@]}" 2>/dev/null
  wait "${daemons[@]}" 2>/dev/null
  cluster=
}

show_cluster() {
  local log
  [[ -n $cluster ]] || return 0
  echo "--- the cluster"
  timeout 10 sinfo --long
  timeout 10 squeue --long
  for log in "$cluster"/slurmctld "$cluster"/n1/slurmd "$cluster"/n2/slurmd "$cluster"/munge/log; do
    [[ -e $log ]] || log+=.log
    [[ -e $log ]] || log=${log%.log}.out # it ended before it opened its log
    echo "--- $log"
    tail -n 25 "$log"
  done
}
