#!/usr/bin/env bash
# File systems of clusters, and containers: no locks, NFS, process numbers of their own, a small
# /dev/shm. Locks and NFS are libfaults.so's (tests/faults), containers are made by unshare.
. "$(dirname "$0")/helpers.bash"

readonly no_locks=(37 95 524) # ENOLCK, EOPNOTSUPP, and what DVS says
faults() { env LD_PRELOAD="$bin/libfaults.so" "$@"; }
container=(unshare --map-root-user --pid --fork --mount-proc) # process numbers of its own

test_a_file_system_without_locks_takes_features_and_checkpoints() {
  inputs star
  local error
  for error in "${no_locks[@]}"; do
    exits 0 faults BOVILA_NO_FLOCK="$error" "$bin/pth2h5" "$mini/data/star/clipvitl14.pth" set \
      --shards 2 --force
    diff -r set "$(features star)"
    exits 0 faults BOVILA_NO_FLOCK="$error" "$bin/bovila" "${deck[@]}" --set data.features=set \
      --set train.epochs=1 --fresh
  done
}

test_nothing_is_removed_on_nfs_while_it_is_open() {
  inputs star
  # What the double does of a file that is removed while it is open.
  (cd "$(mktemp -d -p .)" && faults BOVILA_NFS=1 python3 -c '
import os
file = open("some", "w")
os.remove("some")
assert [name[:4] for name in os.listdir(".")] == [".nfs"]
try: os.remove(os.listdir(".")[0])
except OSError as error: print(error)') | grep -q "busy"
  rm -r tmp.*
  for _ in 1 2; do
    exits 0 faults BOVILA_NFS=1 "$bin/pth2h5" "$mini/data/star/clipvitl14.pth" set --force
  done
  exits 0 faults BOVILA_NFS=1 "$bin/bovila" "${deck[@]}" --set checkpoint.every_steps=1 \
    --set checkpoint.keep=2
  exits 0 faults BOVILA_NFS=1 "$bin/bovila" "${deck[@]}" --fresh
  exits 0 faults BOVILA_NFS=1 "$bin/ckpt2pth" out out.pth
  [[ -z $(find . -name '.nfs*') && ! -e out/run.lock ]]
}

# As when somebody reads a file of an old checkpoint for long.
test_an_old_checkpoint_with_a_file_that_nfs_holds_is_put_away_without_a_word() {
  inputs star
  local first=out/checkpoints/step-00000001
  exits 0 bovila "${deck[@]}" --set checkpoint.every_steps=1 --set checkpoint.keep=100 \
    --set train.epochs=1
  touch "$first/.nfs0001"
  exits 0 faults BOVILA_NFS=1 "$bin/bovila" "${deck[@]}" --set checkpoint.keep=2
  (! grep "not deleted\|NOT SAVED" said)
  [[ ! -e $first && -e out/checkpoints/.step-00000001.deleted/.nfs0001 ]]
  exits 0 bovila "${deck[@]}" --set train.epochs=3
  [[ ! -e out/checkpoints/.step-00000001.deleted ]]
}

test_what_others_leave_in_a_checkpoint_does_not_make_it_invalid() {
  inputs star
  exits 0 bovila "${deck[@]}"
  touch out/checkpoints/step-00000012/{._state.h5,.nfs0001,.state.h5.Xy12ab,notes.txt}
  exits 0 bovila "${deck[@]}" --set train.epochs=3
  says_once "going on from $PWD/out/checkpoints/step-00000012"
  (! grep "passed over" said)
}

test_ranks_with_process_numbers_of_their_own_load_a_copy_each_and_say_what_it_costs() {
  inputs star
  local tcp=(--mca btl self,tcp) # Open MPI's shared memory ends such ranks
  exits 0 ranks 2 "${deck[@]}" --output out/plain
  exits 0 timeout 300 "$MPIRUN" "${tcp[@]}" -np 2 "${container[@]}" \
    "$bin/bovila" "${deck[@]}" --output out/apart
  says_once "the weights of the node's first rank cannot be mapped ("
  says "loading my own copy, 0.000579 GB more on this node"
  cmp out/plain/checkpoints/step-00000006/state.h5 out/apart/checkpoints/step-00000006/state.h5
  # Where the number of the first rank's file is that of another one in the second's container.
  exits 0 timeout 300 "$MPIRUN" "${tcp[@]}" -np 2 "${container[@]}" \
    "$bin/mpi_tests" --test-case="another file under the same name is not taken*"
  says "cannot be mapped (/proc/1/fd/" "is another file)" "1 passed"
}

# Without the kernel's locks the second run could ask after the first one's number, in vain.
test_a_run_in_another_container_of_the_same_host_is_not_taken_for_dead() {
  inputs star
  local i
  env LD_PRELOAD="$bin/libfaults.so" BOVILA_NO_FLOCK=37 "$bin/bovila" "${deck[@]}" \
    --set train.epochs=100000 >first 2>&1 &
  job=$!
  trap 'kill -KILL $job 2>/dev/null || true' EXIT
  for ((i = 0; i < 1200; ++i)); do
    grep -qs "epoch 1 step 3 " first && break
    sleep 0.05
  done
  exits 2 faults BOVILA_NO_FLOCK=37 "${container[@]}" \
    "$bin/bovila" "${deck[@]}"
  says_once "is in use by another run: process "
  kill -KILL "$job"
  wait "$job" || true
  # A dead one's heart is listened for, and then its folder is taken.
  exits 0 faults BOVILA_NO_FLOCK=37 "${container[@]}" \
    "$bin/bovila" "${deck[@]}" --fresh
  says "looking for 15 s whether it still runs"
}

test_a_small_dev_shm_is_named_where_nccl_fails() {
  exits 0 unshare --map-root-user --mount sh -c 'mount -t tmpfs -o size=64m tmpfs /dev/shm &&
    exec "$0" --test-case="NCCL*small /dev/shm*" --success' "$bin/torch_tests"
  says "CHECK( is_small == (here < 1024 * kMegabyte) ) is correct!" "values: CHECK( true == true )"
}

run_tests containers
