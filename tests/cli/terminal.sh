#!/usr/bin/env bash
# The live line, on terminals of a set width: it keeps to its row and out of the log's lines.
. "$(dirname "$0")/helpers.bash"

# on ARGUMENT...: what stands on a terminal after a training, in `said`. `settings`: of the run.
on() {
  inputs star
  exits 0 timeout 300 python3 "$root/tests/cli/terminal.py" "$@" "$bin/bovila" "${deck[@]}" \
    --set train.batch_size=1 ${settings[@]+"${settings[@]}"}
}

# are_log_lines FILE: every line has one time, at its beginning.
are_log_lines() {
  ! grep -vE '^([0-9]{2}:){2}[0-9]{2} (info|warning): ' "$1"
  ! grep -E '.+([0-9]{2}:){2}[0-9]{2} (info|warning): ' "$1"
}

# has_live_lines NUMBER: takes their number, said last, from `said`; there were so many at least.
has_live_lines() {
  local number
  number=$(sed -n '$s/^live lines: //p' said)
  sed -i '$d' said
  ((number >= $1)) || { echo "expected $1 live lines at least, saw $number"; return 1; }
}

test_the_live_line_keeps_to_one_row_of_a_narrow_terminal() {
  local columns
  for columns in 40 80; do
    rm -rf out
    on "$columns"
    has_live_lines 40
    are_log_lines said
    says "epoch 1 done:"
  done
}

test_a_terminal_that_becomes_narrower_is_asked_for_its_width() {
  on --resize 50 200
  has_live_lines 40
  are_log_lines said
}

test_a_message_in_the_middle_of_a_training_has_a_line_of_its_own() {
  local settings=(--set checkpoint.every_steps=1)
  on 80 env LD_PRELOAD="$bin/libfaults.so" BOVILA_FAULTS_UNDER="$PWD/out/checkpoints" \
    BOVILA_FAULTS="write 2 full"
  says "NOT SAVED"
  has_live_lines 40
  are_log_lines said
}

test_a_terminal_that_cannot_rewrite_a_line_gets_log_lines() {
  on --term dumb 80
  has_live_lines 0
  ! grep -q $'\r' said
  are_log_lines said
  says "epoch 1 step 1 (1 of 24 questions)"
}

test_pth2h5_keeps_its_progress_on_one_row() {
  mkdir videos
  python3 - <<'END'
import struct
header = "{'descr': '<f4', 'fortran_order': False, 'shape': (20000, 768), }".ljust(117) + "\n"
for n in range(3):
    with open(f"videos/v{n}.npy", "wb") as file:
        file.write(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode())
        file.truncate(file.tell() + 20000 * 768 * 4)
END
  exits 0 python3 "$root/tests/cli/terminal.py" 30 "$bin/pth2h5" videos set
  has_live_lines 1
  says_once "converting: 184.3 of 184.3 MB"
}

run_tests terminal
