# The hosts that mpirun's own words name, and the same words without some of them: a list (--host a:4,b:4;
# MPICH's -hosts) or a file with a line a host (--hostfile FILE; MPICH's -f). Slots are a:4 or slots=4,
# else 1. Sourced by jobs/supervise.sh, whose `launcher` is read at the start; words that name no hosts,
# as a scheduler's mpirun has them, leave hosts_in_use with nothing to say.

all_words=()   # the launcher's, as they were typed
host_places=() # "a:4" or "a slots=4", as mpirun is given them
hosts_word=    # place in the launcher's words of the list or of the file's name
hosts_file=    # a file that mpirun is given in the place of the user's
hosts_form=    # list or file
ranks_word=    # place of the number of ranks; nothing: mpirun fills the slots

# read_hosts: of the launcher's words up to the program's, all of which are mpirun's.
read_hosts() {
  local i
  all_words=("${launcher[@]}")
  for ((i = 0; i + 1 < ${#launcher[@]}; ++i)); do
    case ${launcher[i]} in
      -H | -host | --host | -hosts) hosts_form=list hosts_word=$((i + 1)) ;;
      -hostfile | --hostfile | -machinefile | --machinefile | -f) hosts_form=file hosts_word=$((i + 1)) ;;
      -n | --n | -np | --np | -c) ranks_word=$((i + 1)) ;;
    esac
  done
  case $hosts_form in
    list) mapfile -t host_places < <(tr ',' '\n' <<<"${launcher[hosts_word]}") ;;
    file) mapfile -t host_places < <(grep -vE '^[ \t]*(#|$)' "${launcher[hosts_word]}") ;;
  esac
}

host_of() { sed -E 's/^[ \t]*//; s/[: \t].*//' <<<"$1"; }

slots_of() {
  local slots
  slots=$(sed -nE 's/^[^:]*:([0-9]+).*/\1/p; s/.*slots *= *([0-9]+).*/\1/p' <<<"$1" | head -1)
  echo "${slots:-1}"
}

# is_among HOST HOST...: names with their domain and without it are the same host's.
is_among() {
  local host=$1 other
  shift
  for other; do
    [[ $host == "$other" ]] && return
    [[ $host$other =~ ^[0-9.]+$ ]] || [[ ${host%%.*} != "${other%%.*}" ]] || return 0
  done
  return 1
}

hosts_in_use() {
  local place host
  for place in "${host_places[@]}"; do
    host=$(host_of "$place")
    is_among "$host" "${left_out[@]}" || echo "$host"
  done | awk '!seen[$0]++'
}

# launch_on HOST...: sets `launcher` to the words for these alone, with their share of the ranks. Fails
# where there are none of them, or where ranks are no whole number a slot.
launch_on() {
  local place slots all=0 some=0 ranks words=("${all_words[@]}") places=()
  for place in "${host_places[@]}"; do
    slots=$(slots_of "$place")
    ((all += slots))
    is_among "$(host_of "$place")" "$@" || continue
    ((some += slots))
    places+=("$place")
  done
  ((some > 0)) || return
  if [[ -n $ranks_word ]]; then
    ranks=${words[ranks_word]}
    [[ $ranks =~ ^[0-9]+$ ]] && ((ranks * some % all == 0)) || return
    words[ranks_word]=$((ranks * some / all))
  fi
  if [[ $hosts_form == list ]]; then
    words[hosts_word]=$(with_commas "${places[@]}")
  else
    [[ -n $hosts_file ]] || hosts_file=$(mktemp) || return
    printf '%s\n' "${places[@]}" >"$hosts_file"
    words[hosts_word]=$hosts_file
  fi
  launcher=("${words[@]}")
}

remove_hosts_file() { [[ -z $hosts_file ]] || rm -f "$hosts_file"; }

leave_hosts_out() {
  local hosts
  mapfile -t hosts < <(hosts_in_use)
  launch_on "${hosts[@]}"
}

# In a shell of its own, with a file of its own: the ranks' words and their file stay.
check_host() (
  hosts_file=
  trap remove_hosts_file EXIT
  launch_on "$1" && "${launcher[@]}" "$BOVILA" --self-check
)
