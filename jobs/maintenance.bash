# Maintenance that Slurm announces: a reservation with the flag MAINT of a node of the job. Its begin is
# an end of the job, as its time limit is: the run stops in time for it, with its state saved, and the
# job puts itself back into the queue. Sourced by jobs/run.sh, whose `job` and hosts_in_use it uses.
# Reads BOVILA_LOOK, seconds between two looks (300): a question to Slurm, of a line or two.

# seconds_of TIME: since 1970, of Slurm's 2026-11-29T09:30:00.
seconds_of() { date --date="$1" +%s 2>/dev/null; }

# maintenance_begin: the next one's, in seconds since 1970; nothing where none is to come.
maintenance_begin() {
  local line begin node nodes now first=
  printf -v now '%(%s)T' -1
  while read -r line; do
    [[ $line =~ Flags=[A-Z_0-9,]*MAINT ]] || continue
    [[ $line =~ StartTime=([0-9T:-]+) ]] && begin=$(seconds_of "${BASH_REMATCH[1]}") || continue
    [[ $line =~ \ Nodes=([^ ]+) ]] || continue
    nodes=" $(scontrol show hostnames "${BASH_REMATCH[1]}" | tr '\n' ' ')"
    for node in $(hosts_in_use); do
      [[ $nodes == *" $node "* ]] && ((begin > now)) && ((begin < ${first:-begin + 1})) && first=$begin
    done
  done < <(scontrol --oneliner show reservation 2>/dev/null)
  echo "$first"
}

# know_end: SLURM_JOB_END_TIME, which bovila stops in time for, as Slurm has it now.
know_end() {
  local end begin
  [[ $job != none ]] || return 0
  end=$(scontrol --oneliner show job "$job" 2>/dev/null | sed -n 's/.* EndTime=\([0-9T:-]*\) .*/\1/p')
  [[ -n $end ]] && end=$(seconds_of "$end") && export SLURM_JOB_END_TIME=$end
  begin=$(maintenance_begin)
  [[ -n $begin ]] && ((begin < ${SLURM_JOB_END_TIME:-begin + 1})) || return 0
  say "Slurm announces maintenance for $(date --date="@$begin" '+%F %T'): the run stops in time for it"
  export SLURM_JOB_END_TIME=$begin
}

# watch_for_maintenance: of what is announced while the ranks run; stops them, as `scancel
# --signal=USR2` does, when this is the last look with three minutes left.
watch_for_maintenance() {
  local begin now
  trap 'kill $! 2>/dev/null; exit' TERM
  while sleep "$look_s" & wait $!; do
    begin=$(maintenance_begin)
    printf -v now '%(%s)T' -1
    [[ -n $begin ]] && ((begin - now < look_s + 180)) || continue
    say "Slurm announces maintenance for $(date --date="@$begin" '+%F %T'): stopping the run"
    scancel --signal=USR2 "$job"
    return
  done
}
